use std::cell::Cell;

use futures_util::stream::{FuturesUnordered, StreamExt};
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
            doorkeeper
                .judge(&Visitor::default(), &users, credentials)
                .await,
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

#[tokio::test(start_paused = true)]
async fn a_remembered_password_waits_for_nobody_until_the_hash_changes() {
    let (doorkeeper, mut users) = (Doorkeeper::new(), users(&["alice"]));
    let visitor = Visitor::default();
    let alice = || header("alice:alice's password");
    let judge = async |users: &_, header| doorkeeper.judge(&visitor, users, header).await;
    assert_eq!(judge(&users, alice()).await, Verdict::Known);
    let _turn = doorkeeper.checking.lock().await;
    assert_eq!(judge(&users, alice()).await, Verdict::Known);
    assert_eq!(judge(&users, header("alice:x")).await, Verdict::Busy);
    let new = bcrypt::hash("alice's new password", 4).unwrap();
    users.insert("alice".into(), Secret::new(new));
    assert_eq!(
        judge(&users, alice()).await,
        Verdict::Busy,
        "is checked anew"
    );
}

/// An unknown user costs a check as a known one does: it waits for its turn.
#[tokio::test]
async fn an_unknown_user_costs_a_check() {
    let (doorkeeper, users) = (Doorkeeper::new(), users(&["alice"]));
    let turn = doorkeeper.checking.lock().await;
    let visitor = Visitor::default();
    let mut judged = Box::pin(doorkeeper.judge(&visitor, &users, header("mallory:x")));
    assert!(futures_util::poll!(&mut judged).is_pending());
    drop(turn);
    assert_eq!(judged.await, Verdict::Unknown);
}

/// How many wrong passwords of a flood are checked before a right one of the same user that came
/// last. Each of the flood comes again as soon as it is refused.
async fn checked_before(doorkeeper: &Doorkeeper, flood: &[&Visitor], scraper: &Visitor) -> usize {
    let users = users(&["alice"]);
    let checked = Cell::new(0);
    let turn = doorkeeper.checking.lock().await;
    let mut wrong: FuturesUnordered<_> = FuturesUnordered::new();
    for visitor in flood {
        let (users, checked) = (&users, &checked);
        let mut again = Box::pin(async move {
            loop {
                let verdict = doorkeeper.judge(visitor, users, header("alice:x")).await;
                assert_eq!(verdict, Verdict::Unknown);
                checked.set(checked.get() + 1);
            }
        });
        assert!(futures_util::poll!(&mut again).is_pending());
        wrong.push(again);
    }
    let mut right = Box::pin(doorkeeper.judge(scraper, &users, header("alice:alice's password")));
    assert!(futures_util::poll!(&mut right).is_pending());
    drop(turn);
    let verdict = tokio::select! {
        verdict = right => verdict,
        () = async { while wrong.next().await.is_some() {} } => unreachable!("it never ends"),
    };
    assert_eq!(verdict, Verdict::Known);
    checked.get()
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_delays_a_right_one_by_a_bound() {
    let connections: Vec<_> = (0..48).map(|_| Visitor::default()).collect();
    let flood: Vec<_> = connections.iter().collect();
    let one = Visitor::default();
    // From the same address: one of each connection, each once.
    let before = checked_before(&Doorkeeper::new(), &flood, &one).await;
    assert!(before <= 48, "{before}");
    // Many requests of one connection count as one.
    let many = [&flood[0]; 48].map(|visitor| *visitor);
    let before = checked_before(&Doorkeeper::new(), &many, &one).await;
    assert!(before <= 2, "{before}");
    // Many connections of another address count as one.
    let doorkeeper = Doorkeeper::new();
    let elsewhere = (0..=u8::MAX)
        .map(|last| Visitor::new(Some([192, 0, 2, last].into())))
        .find(|visitor| !std::ptr::eq(doorkeeper.line(visitor), doorkeeper.line(&one)));
    let before = checked_before(&doorkeeper, &flood, &elsewhere.unwrap()).await;
    assert!(before <= 2, "{before}");
}

#[test]
fn an_ipv6_network_is_one_address() {
    let address = |text: &str| Visitor::new(Some(text.parse().unwrap())).address;
    assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:2"));
    assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
    assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
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
