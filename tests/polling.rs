//! Polls against real workspaces on loopback, named for how they behave, and what the first door
//! shows of them.

#[path = "azure_client/catalogue.rs"]
mod catalogue;
#[path = "azure_client/rig.rs"]
#[expect(
    dead_code,
    reason = "shared with azure_client.rs, which uses all of it"
)]
mod rig;
#[path = "azure_client/server.rs"]
#[expect(
    dead_code,
    reason = "shared with azure_client.rs, which uses all of it"
)]
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use vminsights_exporter::catalogue::Catalogue;
use vminsights_exporter::exposition::Media;
use vminsights_exporter::http::{Endpoint, Limits, Lock, Server as Door, Site};
use vminsights_exporter::ledger::Ledger;
use vminsights_exporter::poll::Poller;
use vminsights_exporter::snapshot::{PollState, PollStatus, SnapshotStore};
use vminsights_exporter::telemetry::{FailureReason, SelfMetrics};

use catalogue::catalogue;
use rig::{Rig, workspace};
use server::{Behaviour, Reply, Seen};

const SOON: Duration = Duration::from_secs(20);

fn answer(vm: &str, rows: u32, rest: &str) -> Reply {
    Reply::json(
        200,
        format!(
            r#"{{"tables": [{{"name": "PrimaryResult", "columns": [{{"name": "Computer", "type": "string"}}, {{"name": "Rows", "type": "long"}}], "rows": [["{vm}", {rows}]]}}]{rest}}}"#
        ),
    )
}

struct Polled {
    rig: Rig,
    store: Arc<SnapshotStore>,
    _poller: Poller,
}

impl Polled {
    async fn new(settings: &str, workspace_behaves: impl Behaviour) -> Self {
        Self::of(&catalogue(settings), workspace_behaves).await
    }

    async fn of(catalogue: &Catalogue, workspace_behaves: impl Behaviour) -> Self {
        let rig = Rig::asking(workspace_behaves).await;
        let store = Arc::default();
        let poller = Poller::start(
            catalogue,
            &[workspace()],
            &rig.client(),
            &store,
            &Ledger::in_memory(),
        );
        Self {
            rig,
            store,
            _poller: poller,
        }
    }

    fn status(&self) -> PollStatus {
        self.store.current().polls().next().unwrap().1.clone()
    }

    async fn until(&self, what: &str, condition: impl Fn(&PollStatus) -> bool) -> PollStatus {
        let deadline = Instant::now() + SOON;
        loop {
            let status = self.status();
            if condition(&status) {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "not within {SOON:?}: {what}: {status:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The lines of the query's own family.
    fn data(&self) -> Vec<String> {
        let page = self
            .store
            .current()
            .page(Media::default())
            .pieces()
            .concat();
        let page = String::from_utf8(page).unwrap();
        let lines = page.lines().filter(|line| line.starts_with("x_rows{"));
        lines.map(str::to_owned).collect()
    }
}

/// Answers once, then only in part.
#[derive(Default)]
struct WorkspaceThatRunsShort(AtomicUsize);

impl Behaviour for WorkspaceThatRunsShort {
    fn reply(&self, _: &Seen) -> Reply {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => answer("whole", 7, ""),
            _ => answer(
                "part",
                3,
                r#", "error": {"code": "PartialError", "message": "Not all."}"#,
            ),
        }
    }
}

#[tokio::test]
async fn a_partial_answer_is_a_failed_poll_and_never_shown() {
    let polled = Polled::new("", WorkspaceThatRunsShort::default()).await;
    polled
        .until("first answer", |status| status.state == PollState::Ok)
        .await;
    let status = polled
        .until("partial answer", |status| status.polls >= 2)
        .await;
    polled
        .until("its failure", |status| {
            status.failures.contains_key(&FailureReason::Partial)
        })
        .await;
    assert!(status.last_success.is_some());
    let name = &workspace().name;
    assert_eq!(
        polled.data(),
        [format!("x_rows{{workspace=\"{name}\",vm=\"whole\"}} 7")]
    );
}

/// Answers once, then never well again.
#[derive(Default)]
struct DyingWorkspace(AtomicUsize);

impl Behaviour for DyingWorkspace {
    fn reply(&self, _: &Seen) -> Reply {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => answer("web-1", 7, ""),
            _ => Reply::json(503, "{}"),
        }
    }
}

#[tokio::test]
async fn values_are_dropped_once_they_are_stale() {
    let polled = Polled::new("stale_after: 4s\ntimeout: 1s\n", DyingWorkspace::default()).await;
    // The state ok lasts for a second only, which a busy machine may sleep through.
    polled
        .until("first answer", |status| status.last_success.is_some())
        .await;
    let status = polled
        .until("a failure", |status| status.state == PollState::Failed)
        .await;
    assert_eq!(status.series, 1, "still up");
    let status = polled
        .until("too old", |status| status.state == PollState::Stale)
        .await;
    assert_eq!(polled.data(), [] as [String; 0]);
    assert_eq!(status.series, 0);
}

/// Takes its time.
struct SlowWorkspace;

impl Behaviour for SlowWorkspace {
    fn reply(&self, _: &Seen) -> Reply {
        Reply::Silence
    }
}

#[tokio::test]
async fn a_poll_that_is_due_while_one_runs_is_left_out_and_counted() {
    let polled = Polled::new("timeout: 30s\n", SlowWorkspace).await;
    let status = polled
        .until("overlaps", |status| {
            status
                .failures
                .get(&FailureReason::Overlap)
                .is_some_and(|count| *count >= 2)
        })
        .await;
    assert_eq!(status.state, PollState::Pending, "the first has not ended");
    assert_eq!(
        polled.rig.logs.seen().len(),
        1,
        "no second request while the first runs"
    );
}

#[tokio::test]
async fn a_poll_ends_with_its_timeout() {
    let polled = Polled::new("timeout: 1s\n", SlowWorkspace).await;
    polled
        .until("timeout", |status| {
            status.failures.contains_key(&FailureReason::Timeout)
        })
        .await;
}

/// A mistake of ours, made here by a length of time that no configuration can have.
#[tokio::test]
async fn a_poll_that_panics_drops_its_values_and_goes_on() {
    let mut broken = catalogue("");
    Arc::make_mut(&mut broken.queries[0]).stale_after = Duration::MAX;
    let polled = Polled::of(&broken, |_: &Seen| answer("web-1", 7, "")).await;
    let status = polled
        .until("two panics", |status| {
            let internal = status.failures.get(&FailureReason::Internal);
            internal.is_some_and(|count| *count >= 2)
        })
        .await;
    assert_eq!(status.state, PollState::Stale);
    assert_eq!(polled.data(), [] as [String; 0]);
}

/// Asks everybody to come back in two minutes.
struct BusyWorkspace;

impl Behaviour for BusyWorkspace {
    fn reply(&self, _: &Seen) -> Reply {
        Reply::json(429, "{}").header("Retry-After", "120")
    }
}

#[tokio::test]
async fn retry_after_postpones_the_next_run() {
    let polled = Polled::new("", BusyWorkspace).await;
    let status = polled
        .until("throttled", |status| {
            status.failures.contains_key(&FailureReason::Throttled)
        })
        .await;
    let wait = status
        .next_run
        .duration_since(jiff::Timestamp::now())
        .as_secs();
    assert!((118..=122).contains(&wait), "next run in {wait} s");
}

/// Each way in which a workspace can answer badly, and what it counts as.
#[tokio::test]
async fn each_bad_answer_counts_as_its_reason_and_shows_nothing() {
    struct Answers(Reply);
    impl Behaviour for Answers {
        fn reply(&self, _: &Seen) -> Reply {
            self.0.clone()
        }
    }
    let other_columns = r#"{"tables": [{"name": "PrimaryResult", "columns": [{"name": "n", "type": "int"}], "rows": [[7]]}]}"#;
    let text_value = r#"{"tables": [{"name": "PrimaryResult", "columns": [{"name": "Computer", "type": "string"}, {"name": "Rows", "type": "string"}], "rows": [["a", "7"]]}]}"#;
    for (reply, reason) in [
        (Reply::json(400, "{}"), FailureReason::BadQuery),
        (Reply::json(403, "{}"), FailureReason::Forbidden),
        (Reply::json(404, "{}"), FailureReason::NotFound),
        (Reply::json(500, "{}"), FailureReason::ServerError),
        (Reply::json(504, "{}"), FailureReason::Timeout),
        (Reply::json(204, ""), FailureReason::EmptyBody),
        (Reply::json(200, ""), FailureReason::EmptyBody),
        (Reply::json(200, "{\"tables\": ["), FailureReason::Decode),
        (Reply::json(200, other_columns), FailureReason::Shape),
        (Reply::json(200, text_value), FailureReason::Shape),
    ] {
        let polled = Polled::new("", Answers(reply)).await;
        let status = polled
            .until(reason.as_str(), |status| status.was_tried())
            .await;
        assert_eq!(status.failures.keys().collect::<Vec<_>>(), [&reason]);
        assert_eq!(status.state, PollState::Failed);
        assert!(!status.last_failure.unwrap().message.is_empty());
        assert_eq!(polled.data(), [] as [String; 0]);
    }
}

/// The first door before a store, on a free port. Ends with the sender.
async fn door(
    store: Arc<SnapshotStore>,
) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let metrics = SelfMetrics::new().unwrap();
    let anywhere = ["127.0.0.1:0".parse().unwrap()];
    let door = Door::bind(&anywhere, Limits::default()).await.unwrap();
    let Some(&Endpoint::Tcp(address)) = door.endpoints().next() else {
        panic!("an address")
    };
    let site = Site {
        store,
        metrics: metrics.clone(),
        telemetry_path: "/metrics".into(),
        about: Arc::default(),
        lifecycle: None,
    };
    let (stop, stopped) = oneshot::channel();
    let lock = Arc::new(Lock::open(metrics.clone()));
    let serving = tokio::spawn(door.serve(site.router(), lock, metrics, async {
        let _ = stopped.await;
    }));
    (address, stop, serving)
}

/// Sends a request as it stands and reads the answer to its end.
async fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_door_shows_pending_polls_at_once_and_is_ready_when_all_were_tried() {
    let polled = Polled::new("timeout: 30s\n", SlowWorkspace).await;
    let (address, _stop, _serving) = door(polled.store.clone()).await;
    let page = send(address, "GET /metrics HTTP/1.1").await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(
        page.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{page}"
    );
    assert!(page.contains("state=\"pending\"} 1\n"), "{page}");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("content-length: {}\r\n", body.len())),
        "{head}"
    );
    let ready = send(address, "GET /-/ready HTTP/1.1").await;
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert!(
        ready.ends_with("Not ready: 0 of 1 queries have been tried.\n"),
        "{ready}"
    );

    let polled = Polled::new("", BusyWorkspace).await;
    polled.until("tried", PollStatus::was_tried).await;
    let (address, _stop, _serving) = door(polled.store.clone()).await;
    let ready = send(address, "GET /-/ready HTTP/1.1").await;
    assert!(
        ready.starts_with("HTTP/1.1 200 "),
        "a failure is a try: {ready}"
    );
}

#[tokio::test]
async fn what_the_door_does_not_have_it_refuses() {
    let (address, _stop, _serving) = door(Arc::default()).await;
    for (request, status) in [
        ("GET / HTTP/1.1", "200 OK"),
        ("HEAD / HTTP/1.1", "200 OK"),
        ("HEAD /metrics HTTP/1.1", "200 OK"),
        ("GET /-/healthy HTTP/1.1", "200 OK"),
        ("POST /metrics HTTP/1.1", "405 Method Not Allowed"),
        ("DELETE / HTTP/1.1", "405 Method Not Allowed"),
        ("GET /metrics/ HTTP/1.1", "404 Not Found"),
        ("GET /../etc/passwd HTTP/1.1", "404 Not Found"),
        ("GET /-/reload HTTP/1.1", "405 Method Not Allowed"),
        ("POST /-/reload HTTP/1.1", "403 Forbidden"),
        ("PUT /-/reload HTTP/1.1", "403 Forbidden"),
        ("NONSENSE", "400 Bad Request"),
    ] {
        let answer = send(address, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{request}: {answer}"
        );
    }
    let head = send(address, "HEAD / HTTP/1.1").await;
    assert!(head.ends_with("\r\n\r\n"), "no body: {head}");
    assert!(
        head.contains("\r\ncontent-type: text/html; charset=utf-8\r\n")
            && head.contains("\r\ncontent-security-policy: default-src 'none'; style-src 'sha256-"),
        "{head}"
    );
    let head = send(address, "HEAD /metrics HTTP/1.1").await;
    assert!(head.ends_with("\r\n\r\n"), "no body: {head}");
    let page = send(address, "GET /metrics HTTP/1.1").await;
    assert!(
        page.contains("http_requests_total{code=\"405\",handler=\"metrics\"} 1\n"),
        "{page}"
    );
    assert!(
        page.contains("http_requests_total{code=\"404\",handler=\"other\"} 2\n"),
        "{page}"
    );
    assert!(
        !page.contains("passwd"),
        "no stranger's text is a label: {page}"
    );
}

#[tokio::test]
async fn the_door_closes_when_told_and_finishes_what_it_began() {
    let (address, stop, serving) = door(Arc::default()).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    send(address, "GET /metrics HTTP/1.1").await;
    stop.send(()).unwrap();
    tokio::time::timeout(SOON, serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(SOON, idle.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "an idle connection is closed");
}
