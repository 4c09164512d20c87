//! Answers and refusals of the Logs Query API.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use vminsights_exporter::table::{Cell, Column, ColumnType};

use crate::rig::{
    HonestTokenEndpoint, HonestWorkspace, ONE_ROW, PATIENT, Rig, Told, WORKSPACE, ask,
    ask_patiently,
};
use crate::server::{Authority, Behaviour, Reply, Seen, Server};

#[tokio::test]
async fn an_honest_workspace_is_asked_as_documented() {
    let rig = Rig::asking(HonestWorkspace).await;
    let answer = rig.ask().await.unwrap();
    assert_eq!(answer.table.columns(), [Column::new("n", ColumnType::Int)]);
    assert_eq!(answer.table.rows().next(), Some(&[Cell::Long(7)][..]));
    assert_eq!(answer.unreadable_rows, 0);
    assert_eq!(answer.body_bytes, ONE_ROW.len() as u64);

    let [asked] = &rig.logs.seen()[..] else {
        panic!("one request")
    };
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.path, format!("/v1/workspaces/{WORKSPACE}/query"));
    assert_eq!(asked.body, r#"{"query":"Heartbeat | take 1"}"#);
    for (name, value) in [
        ("content-type", "application/json"),
        ("authorization", "Bearer token-1"),
        ("cache-control", "no-cache"),
        ("prefer", "wait=60,include-statistics=true"),
        ("accept-encoding", "gzip"),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    assert!(
        asked
            .header("user-agent")
            .starts_with("vminsights-exporter/")
    );
    assert_eq!(asked.header("x-ms-client-request-id").len(), 36);
    assert_eq!(rig.counted("success"), 1.0);
}

#[tokio::test]
async fn logs_on_this_machine_may_be_plain_http_and_all_else_stays_https() {
    let ca = Authority::new();
    let entra = Server::tls(ca.acceptor("127.0.0.1"), HonestTokenEndpoint::new()).await;
    let mut rig = Rig::of(&ca, entra, Server::plain(HonestWorkspace).await);
    rig.settings.allow_http_on_loopback = true;
    assert_eq!(rig.settings.endpoints.logs.scheme(), "http");
    rig.ask().await.unwrap();
    assert_eq!(rig.logs.seen()[0].header("authorization"), "Bearer token-1");

    let mut rig = Rig::asking(HonestWorkspace).await;
    rig.settings.allow_http_on_loopback = true;
    let plain = Server::plain(HonestTokenEndpoint::new()).await;
    rig.settings.endpoints.authority = plain.address.parse().unwrap();
    assert!(rig.ask().await.is_err());
    assert!(plain.seen().is_empty(), "no secret by plain http");
}

#[tokio::test]
async fn the_service_is_asked_to_wait_for_as_long_as_we_do_within_its_limits() {
    let rig = Rig::asking(HonestWorkspace).await;
    let client = rig.client();
    for seconds in [10, 3_600] {
        ask(&client, Duration::from_secs(seconds)).await.unwrap();
    }
    let asked: Vec<String> = rig
        .logs
        .seen()
        .iter()
        .map(|seen| seen.header("prefer").to_owned())
        .collect();
    assert_eq!(
        asked,
        [
            "wait=10,include-statistics=true",
            "wait=600,include-statistics=true"
        ]
    );
}

/// Answers compressed.
struct GzipWorkspace;

/// `{"tables":[{"name":"PrimaryResult","columns":[{"name":"n","type":"int"}],"rows":[[7]]}]}`
const GZIP: [u8; 91] = [
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 42, 73, 76, 202, 73, 45, 86, 178, 138, 174, 86, 202,
    75, 204, 77, 85, 178, 82, 10, 40, 202, 204, 77, 44, 170, 12, 74, 45, 46, 205, 41, 81, 210, 81,
    74, 206, 207, 41, 205, 205, 67, 81, 146, 7, 20, 46, 169, 44, 0, 49, 51, 243, 74, 148, 106, 99,
    117, 148, 138, 242, 203, 65, 74, 162, 205, 99, 99, 107, 99, 107, 1, 241, 123, 47, 160, 88, 0,
    0, 0,
];

impl Behaviour for GzipWorkspace {
    fn reply(&self, _: &Seen) -> Reply {
        Reply::json(200, &GZIP[..]).header("content-encoding", "gzip")
    }
}

#[tokio::test]
async fn a_compressed_answer_is_read_and_a_damaged_one_is_no_answer() {
    let rig = Rig::asking(GzipWorkspace).await;
    let answer = rig.ask().await.unwrap();
    assert_eq!((answer.table.row_count(), answer.body_bytes), (1, 88));

    let damaged = |_: &Seen| {
        let mut bytes = GZIP.to_vec();
        bytes[20] ^= 0xff;
        Reply::json(200, bytes).header("content-encoding", "gzip")
    };
    let told = Rig::asking(damaged).await.failure().await;
    assert_eq!(told.reason, "decode");
    assert!(
        told.text
            .contains("cannot decompress the answer of 127.0.0.1"),
        "{told:?}"
    );
}

/// Answers with so many rows that they are decoded off the async threads; every tenth is damaged.
struct LargeWorkspace;

impl Behaviour for LargeWorkspace {
    fn reply(&self, _: &Seen) -> Reply {
        let rows: Vec<String> = (0..50_000)
            .map(|n| match n % 10 {
                0 => r#"["zero"]"#.to_owned(),
                _ => format!("[{n}]"),
            })
            .collect();
        Reply::json(200, ONE_ROW.replace("[7]", &rows.join(",")))
    }
}

#[tokio::test]
async fn a_large_answer_is_whole_but_for_its_damaged_rows() {
    let rig = Rig::asking(LargeWorkspace).await;
    let answer = rig.ask().await.unwrap();
    assert_eq!(answer.table.row_count(), 45_000);
    assert_eq!(answer.unreadable_rows, 5_000);
}

/// Says: too many requests.
struct ThrottledWorkspace;

impl Behaviour for ThrottledWorkspace {
    fn reply(&self, _: &Seen) -> Reply {
        let body = r#"{"error": {"code": "ThrottledError", "message": "slow down"}}"#;
        Reply::json(429, body).header("retry-after", "17")
    }
}

#[tokio::test]
async fn a_throttled_workspace_says_when_to_come_back() {
    let rig = Rig::asking(ThrottledWorkspace).await;
    let told = rig.failure().await;
    assert_eq!(told.reason, "throttled");
    assert_eq!(told.text, "HTTP 429: ThrottledError: slow down");
    assert_eq!(told.retry_after, Some(Duration::from_secs(17)));
    assert!(told.hint.contains("ask less often"), "{told:?}");
    assert_eq!(rig.counted("throttled"), 1.0);
    assert_eq!(rig.counted("success"), 0.0);
}

#[tokio::test]
async fn a_throttled_identity_asks_nothing_more_until_then() {
    let rig = Rig::asking(ThrottledWorkspace).await;
    let client = rig.client();
    let first = ask(&client, PATIENT).await.unwrap_err();
    assert_eq!(first.retry_after, Some(Duration::from_secs(17)));
    let second = Told::of(&ask(&client, PATIENT).await.unwrap_err());
    assert_eq!(second.reason, "throttled");
    assert!(
        second
            .text
            .starts_with("not asked: Azure throttles this identity"),
        "{second:?}"
    );
    assert!(
        second.retry_after > Some(Duration::from_secs(10)),
        "{second:?}"
    );
    assert_eq!(rig.logs.seen().len(), 1);
    assert_eq!(
        rig.counted("throttled"),
        1.0,
        "what was not sent is no request"
    );
}

#[tokio::test]
async fn a_workspace_without_data_answers_without_a_body() {
    for reply in [Reply::json(204, ""), Reply::json(200, "")] {
        let rig = Rig::asking(move |_: &Seen| reply.clone()).await;
        let told = rig.failure().await;
        assert_eq!(told.reason, "empty_body");
        assert!(told.hint.contains("no data at all"), "{told:?}");
        assert_eq!(rig.counted("empty_body"), 1.0);
    }
}

/// Sends the browser elsewhere.
struct RedirectingWorkspace(String);

impl Behaviour for RedirectingWorkspace {
    fn reply(&self, _: &Seen) -> Reply {
        Reply::json(307, "").header("location", &self.0)
    }
}

#[tokio::test]
async fn no_token_follows_a_redirect() {
    let target = Rig::asking(HonestWorkspace).await;
    let rig = Rig::asking(RedirectingWorkspace(target.logs.address.clone())).await;
    let told = rig.failure().await;
    assert_eq!(told.reason, "server_error");
    assert_eq!(told.text, "HTTP 307");
    assert!(told.hint.contains("redirects are not followed"), "{told:?}");
    assert!(target.logs.seen().is_empty());
}

/// Refuses, and quotes the token that it refuses.
struct EchoingWorkspace;

impl Behaviour for EchoingWorkspace {
    fn reply(&self, request: &Seen) -> Reply {
        Reply::json(
            403,
            format!("no entry for {}", request.header("authorization")),
        )
    }
}

#[tokio::test]
async fn a_token_that_the_service_echoes_is_not_told() {
    let told = Rig::asking(EchoingWorkspace).await.failure().await;
    assert_eq!(told.reason, "forbidden");
    assert_eq!(told.text, "HTTP 403: no entry for Bearer <secret>");
    assert!(told.hint.contains("Log Analytics Reader"), "{told:?}");
}

#[tokio::test]
async fn a_failure_bears_the_id_that_the_request_was_sent_under() {
    let rig = Rig::asking(ThrottledWorkspace).await;
    let failure = rig.ask().await.unwrap_err();
    let sent = rig.logs.seen()[0]
        .header("x-ms-client-request-id")
        .to_owned();
    assert_eq!(failure.request_id.map(|id| id.to_string()), Some(sent));
}

#[tokio::test]
async fn four_queries_run_at_a_time_and_the_fifth_waits_its_turn() {
    let door = Arc::new(Semaphore::new(0));
    let reply = Reply::When(Arc::clone(&door), Box::new(Reply::json(200, ONE_ROW)));
    let rig = Rig::asking(move |_: &Seen| reply.clone()).await;
    let client = rig.client();
    let running: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { ask(&client, PATIENT).await })
        })
        .collect();
    while rig.logs.seen().len() < 4 {
        tokio::task::yield_now().await;
    }
    let fifth = ask_patiently(&client, Duration::from_millis(50));
    let fifth = fifth.await.unwrap_err();
    let told = Told::of(&fifth);
    assert_eq!(told.reason, "timeout");
    assert_eq!(
        told.text,
        "no answer within 50ms, while waiting for its turn"
    );
    assert_eq!(fifth.request_id, None);
    assert_eq!(rig.logs.seen().len(), 4);

    door.add_permits(5);
    for query in running {
        query.await.unwrap().unwrap();
    }
    ask(&client, PATIENT).await.unwrap();
    let counted = (rig.counted("success"), rig.counted("timeout"));
    assert_eq!(counted, (5.0, 0.0), "what was not sent is no request");
}
