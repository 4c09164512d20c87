use proptest::prelude::*;

use super::*;

fn header(credentials: &str) -> Option<HeaderValue> {
    let text = format!("Basic {}", STANDARD.encode(credentials));
    Some(HeaderValue::from_str(&text).unwrap())
}

fn users(names: &[&str]) -> HashMap<String, Secret> {
    let hash = |name: &&str| bcrypt::hash(format!("{name}'s password"), 4).unwrap();
    let user = |name: &&str| ((*name).to_owned(), Secret::new(hash(name)));
    names.iter().map(user).collect()
}

#[tokio::test]
async fn right_wrong_and_unknown() {
    let (doorkeeper, users) = (Doorkeeper::new(), users(&["alice", "bob"]));
    for (credentials, expected) in [
        (header("alice:alice's password"), Verdict::Known),
        (header("bob:bob's password"), Verdict::Known),
        (header("alice:bob's password"), Verdict::Unknown),
        (header("mallory:alice's password"), Verdict::Unknown),
        (header("alice:"), Verdict::Unknown),
        (header(":"), Verdict::Unknown),
        (header("alice"), Verdict::Unknown),
        (Some(HeaderValue::from_static("Bearer x")), Verdict::Unknown),
        (Some(HeaderValue::from_static("Basic !")), Verdict::Unknown),
        (None, Verdict::Unknown),
    ] {
        let told = format!("{credentials:?}");
        assert_eq!(
            doorkeeper.judge(&users, credentials).await,
            expected,
            "{told}"
        );
    }
    assert_eq!(
        doorkeeper.remembered.lock().unwrap().len(),
        2,
        "only right ones"
    );
}

#[tokio::test]
async fn a_remembered_password_waits_for_nobody_until_the_hash_changes() {
    let (doorkeeper, mut users) = (Doorkeeper::new(), users(&["alice"]));
    let alice = || header("alice:alice's password");
    assert_eq!(doorkeeper.judge(&users, alice()).await, Verdict::Known);
    let _all = doorkeeper
        .waiting
        .try_acquire_many(MAX_WAITING as u32)
        .unwrap();
    assert_eq!(doorkeeper.judge(&users, alice()).await, Verdict::Known);
    assert_eq!(
        doorkeeper.judge(&users, header("alice:x")).await,
        Verdict::Busy
    );
    let new = bcrypt::hash("alice's new password", 4).unwrap();
    users.insert("alice".into(), Secret::new(new));
    assert_eq!(
        doorkeeper.judge(&users, alice()).await,
        Verdict::Busy,
        "is checked anew"
    );
}

/// An unknown user costs a check as a known one does: it waits for its turn.
#[tokio::test]
async fn an_unknown_user_costs_a_check() {
    let (doorkeeper, users) = (Arc::new(Doorkeeper::new()), users(&["alice"]));
    let turn = doorkeeper.checking.clone().try_acquire_owned().unwrap();
    let mut judged = Box::pin(doorkeeper.judge(&users, header("mallory:x")));
    assert!(futures_util::poll!(&mut judged).is_pending());
    drop(turn);
    assert_eq!(judged.await, Verdict::Unknown);
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), basic: bool) {
        let mut text = if basic { b"Basic ".to_vec() } else { Vec::new() };
        if basic {
            text.extend_from_slice(STANDARD.encode(&bytes).as_bytes());
        } else {
            text.extend_from_slice(&bytes);
        }
        if let Ok(value) = HeaderValue::from_bytes(&text)
            && let Some(credentials) = Credentials::parse(&value)
        {
            prop_assert_eq!(credentials.user().len() + 1 + credentials.password().len(), credentials.decoded.len());
        }
    }
}
