use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::*;

/// Signs in as scripted; with a gate, not before it opens.
struct Script {
    outcomes: Mutex<VecDeque<Result<(&'static str, i64), &'static str>>>,
    calls: Arc<AtomicUsize>,
    gate: Option<Arc<Notify>>,
}

impl TokenSource for Script {
    fn sign_in(&self) -> BoxFuture<'_, Result<Token, SignInError>> {
        async {
            self.calls.fetch_add(1, Ordering::SeqCst);
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            let next = self.outcomes.lock().unwrap().pop_front();
            match next.unwrap_or(Err("the script is over")) {
                Ok((text, expires)) => Ok(token(text, expires)),
                Err(cause) => Err(SignInError::before("script", cause)),
            }
        }
        .boxed()
    }
}

fn token(text: &'static str, expires: i64) -> Token {
    let expires = azure_core::time::OffsetDateTime::from_unix_timestamp(expires).unwrap();
    Token::new(&AccessToken::new(text, expires)).unwrap()
}

struct Rig {
    cache: TokenCache,
    calls: Arc<AtomicUsize>,
    now: Arc<AtomicI64>,
}

fn rig(outcomes: &[Result<(&'static str, i64), &'static str>], gate: Option<Arc<Notify>>) -> Rig {
    let calls = Arc::new(AtomicUsize::new(0));
    let now = Arc::new(AtomicI64::new(0));
    let source = Script {
        outcomes: Mutex::new(outcomes.iter().copied().collect()),
        calls: Arc::clone(&calls),
        gate,
    };
    let clock = Arc::clone(&now);
    let clock = move || Timestamp::from_second(clock.load(Ordering::SeqCst)).unwrap();
    Rig {
        cache: TokenCache::with_clock(
            Box::new(source),
            Counting::logs(&SelfMetrics::new().unwrap()),
            Box::new(clock),
        ),
        calls,
        now,
    }
}

impl Rig {
    async fn at(&self, second: i64) -> Result<String, String> {
        self.now.store(second, Ordering::SeqCst);
        let outcome = self.cache.token().await;
        // A refresh in the background lands before we go on.
        let flight = self.cache.0.lock().flight.clone();
        if let Some(flight) = flight {
            let _ = flight.await;
        }
        outcome
            .map(|token| token.expose().to_owned())
            .map_err(|error| error.to_string())
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_living_token_is_not_asked_for_again() {
    let rig = rig(&[Ok(("one", 3_600))], None);
    assert_eq!(rig.at(0).await, Ok("one".into()));
    assert_eq!(rig.at(3_299).await, Ok("one".into()));
    assert_eq!(rig.calls(), 1);
}

#[tokio::test]
async fn the_last_five_minutes_bring_a_new_one_without_anybody_waiting() {
    let rig = rig(&[Ok(("one", 3_600)), Ok(("two", 7_200))], None);
    assert_eq!(rig.at(0).await, Ok("one".into()));
    assert_eq!(rig.at(3_300).await, Ok("one".into()), "it still lives");
    assert_eq!(rig.at(3_301).await, Ok("two".into()));
    assert_eq!(rig.calls(), 2);
}

#[tokio::test]
async fn while_refreshing_fails_the_old_one_serves_and_tries_are_half_a_minute_apart() {
    let script = [
        Ok(("one", 3_600)),
        Err("down"),
        Err("down"),
        Err("still down"),
    ];
    let rig = rig(&script, None);
    for (second, outcome, calls) in [
        (0, Ok("one"), 1),
        (3_400, Ok("one"), 2),
        (3_429, Ok("one"), 2),
        (3_430, Ok("one"), 3),
        (3_440, Ok("one"), 3),
        (3_600, Err("script: still down"), 4),
        (3_601, Err("script: the script is over"), 5),
    ] {
        let outcome = outcome.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(rig.at(second).await, outcome, "at {second}");
        assert_eq!(rig.calls(), calls, "at {second}");
    }
}

#[tokio::test]
async fn a_token_that_is_born_expired_serves_who_asked_and_nobody_else() {
    let rig = rig(&[Ok(("old", 10)), Ok(("new", 10_000))], None);
    assert_eq!(rig.at(100).await, Ok("old".into()));
    assert_eq!(rig.at(100).await, Ok("new".into()));
}

#[tokio::test]
async fn a_refused_token_is_let_go_of_once() {
    let rig = rig(&[Ok(("one", 3_600)), Ok(("two", 3_600))], None);
    let one = rig.cache.token().await.unwrap();
    rig.cache.discard(&one);
    assert_eq!(rig.at(0).await, Ok("two".into()));
    rig.cache.discard(&one);
    assert_eq!(rig.at(0).await, Ok("two".into()), "the newer one stays");
    assert_eq!(rig.calls(), 2);
}

#[tokio::test]
async fn all_who_wait_share_one_sign_in_and_its_failure() {
    let gate = Arc::new(Notify::new());
    let rig = rig(&[Err("wrong secret")], Some(Arc::clone(&gate)));
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let cache = rig.cache.clone();
            async move { cache.token().await }
        })
        .collect();
    let open = async {
        tokio::task::yield_now().await;
        gate.notify_one();
    };
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(waiting), open);
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().to_string(), "script: wrong secret");
    }
    assert_eq!(rig.calls(), 1);
}

#[tokio::test]
async fn a_sign_in_outlives_whoever_gave_up_on_it() {
    let gate = Arc::new(Notify::new());
    let rig = rig(&[Ok(("one", 3_600))], Some(Arc::clone(&gate)));
    assert!(rig.cache.token().now_or_never().is_none());
    gate.notify_one();
    assert_eq!(rig.at(0).await, Ok("one".into()));
    assert_eq!(rig.calls(), 1);
}

#[test]
fn what_cannot_be_sent_is_no_token_and_none_prints() {
    let moment = azure_core::time::OffsetDateTime::UNIX_EPOCH;
    for (text, error) in [
        ("", "the token is empty"),
        (
            "a\nb",
            "the token has characters that a header cannot carry",
        ),
        (
            "eyJ…",
            "the token has characters that a header cannot carry",
        ),
    ] {
        assert_eq!(
            Token::new(&AccessToken::new(text, moment)).unwrap_err(),
            error
        );
    }
    let token = token("hunter2", 0);
    assert_eq!(token.header().to_str().unwrap(), "Bearer hunter2");
    let printed = format!("{token:?} {:?}", token.header());
    assert!(!printed.contains("hunter2"), "{printed}");
}
