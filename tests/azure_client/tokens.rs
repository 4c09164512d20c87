//! How the token is held, shared and replaced.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::rig::{
    HonestTokenEndpoint, HonestWorkspace, ONE_ROW, PATIENT, Rig, Told, ask, ask_patiently,
};
use crate::server::{Behaviour, Reply, Seen};

#[tokio::test]
async fn many_queries_share_one_sign_in() {
    let door = Arc::new(Semaphore::new(0));
    let entra = HonestTokenEndpoint::new();
    let behind = Arc::clone(&door);
    let slow =
        move |request: &Seen| Reply::When(Arc::clone(&behind), Box::new(entra.reply(request)));
    let rig = Rig::signing_in_at(slow).await;
    let client = rig.client();
    let queries = join_all((0..20).map(|_| ask_patiently(&client, PATIENT)));
    let open = async {
        while rig.entra.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        door.add_permits(100);
    };
    let (answers, ()) = tokio::join!(queries, open);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(rig.entra.seen().len(), 1);
    assert_eq!(rig.logs.seen().len(), 20);
}

/// Takes each token once, and then answers so.
struct ForgetfulWorkspace {
    taken: Mutex<BTreeSet<String>>,
    refusal: (u16, &'static str),
}

impl Behaviour for ForgetfulWorkspace {
    fn reply(&self, request: &Seen) -> Reply {
        let token = request.header("authorization").to_owned();
        if self.taken.lock().unwrap().insert(token) {
            return Reply::json(200, ONE_ROW);
        }
        let (status, code) = self.refusal;
        Reply::json(status, format!(r#"{{"error": {{"code": "{code}"}}}}"#))
    }
}

#[tokio::test]
async fn a_held_token_that_is_refused_is_replaced() {
    for (refusal, replaced) in [
        ((401, "AuthenticationFailed"), true),
        ((401, "InvalidTokenError"), true),
        ((403, "InvalidAuthenticationToken"), true),
        // A new token would not help.
        ((403, "InsufficientAccessError"), false),
    ] {
        let rig = Rig::asking(ForgetfulWorkspace {
            taken: Mutex::default(),
            refusal,
        })
        .await;
        let client = rig.client();
        ask(&client, PATIENT).await.unwrap();
        assert_eq!(ask(&client, PATIENT).await.is_ok(), replaced, "{refusal:?}");
        let asked = (rig.entra.seen().len(), rig.logs.seen().len());
        let expected = if replaced { (2, 3) } else { (1, 2) };
        assert_eq!(asked, expected, "{refusal:?}");
        let successes = if replaced { 2.0 } else { 1.0 };
        let counted = (rig.counted("success"), rig.counted("forbidden"));
        assert_eq!(counted, (successes, 1.0), "{refusal:?}");
    }
}

/// Takes the first token once, and then none.
struct StubbornWorkspace(AtomicBool);

impl Behaviour for StubbornWorkspace {
    fn reply(&self, _: &Seen) -> Reply {
        if self.0.swap(false, Ordering::SeqCst) {
            return Reply::json(200, ONE_ROW);
        }
        let body = r#"{"error": {"code": "AuthenticationFailed", "message": "no"}}"#;
        Reply::json(401, body)
    }
}

#[tokio::test]
async fn a_workspace_that_takes_no_token_is_not_asked_for_ever() {
    let rig = Rig::asking(StubbornWorkspace(AtomicBool::new(true))).await;
    let client = rig.client();
    ask(&client, PATIENT).await.unwrap();
    // The held token, then a new one; and after that a new one alone.
    for (sign_ins, requests) in [(2, 3), (3, 4)] {
        let told = Told::of(&ask(&client, PATIENT).await.unwrap_err());
        assert_eq!(told.reason, "forbidden");
        assert_eq!(told.text, "HTTP 401: AuthenticationFailed: no");
        assert!(told.hint.contains("azure.cloud"), "{told:?}");
        let asked = (rig.entra.seen().len(), rig.logs.seen().len());
        assert_eq!(asked, (sign_ins, requests));
    }
}

/// Hands out one token that soon ends, and then is down.
struct FailingTokenEndpoint {
    inner: HonestTokenEndpoint,
    down: AtomicBool,
}

impl Behaviour for FailingTokenEndpoint {
    fn reply(&self, request: &Seen) -> Reply {
        if self.down.swap(true, Ordering::SeqCst) {
            return Reply::json(503, "down for repair").header("retry-after", "5");
        }
        self.inner.reply(request)
    }
}

#[tokio::test]
async fn while_a_refresh_fails_the_old_token_serves() {
    let rig = Rig::signing_in_at(FailingTokenEndpoint {
        // Less than the five minutes in which a refresh is due, and long enough for this test.
        inner: HonestTokenEndpoint::with_life(240),
        down: AtomicBool::new(false),
    })
    .await;
    let client = rig.client();
    for _ in 0..5 {
        ask(&client, PATIENT).await.unwrap();
    }
    assert_eq!(rig.counted("success"), 5.0);
    let tokens: Vec<String> = rig
        .logs
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").to_owned())
        .collect();
    assert_eq!(tokens, ["Bearer token-1"; 5]);
    assert_eq!(
        rig.entra.seen().len(),
        1,
        "the first try is less than 30 s ago"
    );
}

#[tokio::test]
async fn a_refusal_is_told_with_its_code_and_what_to_do() {
    for (description, hint) in [
        (
            "AADSTS7000215: Invalid client secret provided.",
            "the client secret's value, not its id",
        ),
        (
            "AADSTS7000222: The provided client secret keys are expired.",
            "create a new one",
        ),
        (
            "AADSTS700016: Application was not found.",
            "does not know the application",
        ),
        ("AADSTS90002: Tenant not found.", "no such tenant"),
        ("AADSTS70011: The scope is not valid.", "azure.cloud"),
        (
            "AADSTS700213: No matching federated identity record.",
            "federated credential",
        ),
        (
            "AADSTS70021: No matching federated identity record.",
            "federated credential",
        ),
    ] {
        let body = format!(
            r#"{{"error": "invalid", "error_description": "{description}\r\nTrace ID: 1", "error_codes": [1]}}"#
        );
        let rig = Rig::signing_in_at(move |_: &Seen| Reply::json(401, body.clone())).await;
        let told = rig.failure().await;
        let host = rig.entra.address.trim_start_matches("https://");
        assert_eq!(told.reason, "sign_in");
        assert_eq!(
            told.text,
            format!("cannot sign in: client_secret at {host}: {description} (HTTP 401)")
        );
        assert!(told.hint.contains(hint), "{told:?}");
        assert_eq!(rig.counted("sign_in"), 1.0);
        assert!(rig.logs.seen().is_empty());
    }
}

#[tokio::test]
async fn a_secret_that_the_authority_echoes_is_not_told() {
    let echo = |request: &Seen| {
        let secret = request.form("client_secret").unwrap();
        Reply::json(
            400,
            format!(r#"{{"error_description": "bad secret {secret}"}}"#),
        )
    };
    let told = Rig::signing_in_at(echo).await.failure().await;
    assert!(
        told.text.ends_with("bad secret <secret> (HTTP 400)"),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_is_no_token_is_not_quoted() {
    for body in [
        r#"{"access_token": ["token-1"], "expires_in": 5}"#,
        r#"{"access_token": "token-1", "expires_in": "token-2"}"#,
        "token-1",
    ] {
        let rig = Rig::signing_in_at(move |_: &Seen| Reply::json(200, body)).await;
        let told = rig.failure().await;
        assert_eq!(told.reason, "sign_in");
        assert!(
            told.text.contains("the answer is no token (line 1 column"),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn an_authority_that_redirects_gets_no_secret_sent_on() {
    let elsewhere = Rig::asking(HonestWorkspace).await;
    let target = elsewhere.entra.address.clone();
    let redirect = move |_: &Seen| Reply::json(307, "").header("location", &target);
    let told = Rig::signing_in_at(redirect).await.failure().await;
    assert_eq!(told.reason, "sign_in");
    assert!(told.text.ends_with("no token (HTTP 307)"), "{told:?}");
    assert!(elsewhere.entra.seen().is_empty());
}

#[tokio::test]
async fn a_silent_authority_does_not_outlast_the_query() {
    let rig = Rig::signing_in_at(|_: &Seen| Reply::Silence).await;
    let failure = ask(&rig.client(), Duration::from_millis(200))
        .await
        .unwrap_err();
    let told = Told::of(&failure);
    assert_eq!(told.reason, "timeout");
    assert_eq!(told.text, "no answer within 200ms, while signing in");
    assert_eq!(rig.counted("timeout"), 1.0);
}
