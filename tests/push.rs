//! The push against receivers on loopback, named for how they behave: what arrives, what is tried
//! again, and what a receiver that is not well costs.

#[path = "push/page.rs"]
mod page;
#[path = "push/receiver.rs"]
mod receiver;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use vminsights_exporter::config::{OtlpSettings, Settings};
use vminsights_exporter::exposition::{Media, families_of};
use vminsights_exporter::push::{BackOff, Pusher, Report};
use vminsights_exporter::series::{Family, FamilyHeader, LabelName, MetricType, SeriesList};
use vminsights_exporter::snapshot::{Block, Contribution, PollKey, PollStatus, SnapshotStore};
use vminsights_exporter::telemetry::push::PushOutcome;
use vminsights_exporter::telemetry::{LogFormat, SelfMetrics};

use page::{of_requests, of_text};
use receiver::{Receiver, Reply};

/// Longer than any test: what ends early ends for another reason.
const LONG: Duration = Duration::from_secs(60);

/// The settings of `otlp: {…}` with these variables.
fn otlp(yaml: &str, variables: &[(&str, &str)]) -> OtlpSettings {
    let text = format!("workspaces: [{{id: 5f6d2b1c-0000-4000-8000-000000000001}}]\n{yaml}");
    let variable = |name: &str| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let (settings, problems) =
        Settings::read_with(Path::new("exporter.yaml"), &text, &variable).unwrap();
    assert_eq!(problems, []);
    settings.otlp.unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn family(name: &str, kind: MetricType, labels: &[&str]) -> Family {
    let names: Arc<[LabelName]> = labels.iter().map(|name| name.parse().unwrap()).collect();
    Family {
        header: FamilyHeader {
            name: name.parse().unwrap(),
            kind,
            help: "Help.".into(),
        },
        series: SeriesList::new(names),
    }
}

fn publish(store: &SnapshotStore, query: &str, families: Vec<Family>) {
    let key = PollKey {
        query: query.into(),
        workspace: "prod".into(),
    };
    store.publish(&key, |_| Contribution {
        blocks: families
            .into_iter()
            .map(|family| Arc::new(Block::new(family, at(1_000))))
            .collect(),
        status: PollStatus::new(at(900), Duration::from_secs(60), at(1_060)),
        at: at(1_000),
    });
}

/// A snapshot with all that a page can have: gauges and counters, absent labels, characters that
/// need escaping, values that are no finite number, one family from two queries.
fn snapshot() -> SnapshotStore {
    let store = SnapshotStore::default();
    let mut disks = family(
        "vminsights_disk_free_percent",
        MetricType::Gauge,
        &["vm", "disk"],
    );
    disks.series.push(["web-1", "C:\\\"x\"\n"], 12.5);
    disks.series.push(["größe", ""], f64::INFINITY);
    let mut sent = family(
        "vminsights_threat_sent_bytes_total",
        MetricType::Counter,
        &["vm"],
    );
    sent.series.push_counter(["web-1"], 4096.0, at(500));
    publish(&store, "a", vec![disks, sent]);
    let mut more = family(
        "vminsights_disk_free_percent",
        MetricType::Gauge,
        &["disk", "vm"],
    );
    more.series.push(["/", "db-1"], 0.1);
    publish(&store, "b", vec![more]);
    store
}

struct Rig {
    pusher: Pusher,
    metrics: SelfMetrics,
    store: Arc<SnapshotStore>,
}

impl Rig {
    fn new(settings: &OtlpSettings, store: SnapshotStore) -> Self {
        let metrics = SelfMetrics::new().unwrap();
        let pusher = Pusher::new(settings, &metrics).unwrap().unwrap();
        Self {
            pusher: pusher.with_back_off(BackOff {
                first: Duration::from_millis(1),
                longest: Duration::from_millis(1),
            }),
            metrics,
            store: Arc::new(store),
        }
    }

    fn to(receiver: &Receiver, rest: &str) -> Self {
        let yaml = format!("otlp: {{endpoint: 'http://{}'{rest}}}", receiver.address);
        Self::new(&otlp(&yaml, &[]), snapshot())
    }

    async fn push(&mut self) -> Report {
        let resource = self.pusher.resource("host-1:10048");
        self.pusher.push(&self.store, &resource, LONG).await
    }

    /// The page as a scrape would get it now.
    fn page(&self) -> String {
        let snapshot = self.store.current();
        let page = snapshot.page(Media::default());
        let own = families_of(&self.metrics.gather(), self.metrics.began());
        let mut bytes = page.pieces().concat();
        bytes.extend_from_slice(&page.tail(&own));
        String::from_utf8(bytes).unwrap()
    }

    fn own(&self, series: &str) -> Option<f64> {
        let page = self.page();
        let line = page.lines().find_map(|line| line.strip_prefix(series))?;
        line.trim().parse().ok()
    }

    fn pushes(&self, outcome: &str) -> Option<f64> {
        let series = format!("vminsights_exporter_otlp_pushes_total{{outcome=\"{outcome}\"}}");
        self.own(&series)
    }
}

/// What a process measures of itself between two looks differs; all else must not.
fn changes_by_itself(name: &str) -> bool {
    name.starts_with("process_")
}

fn assert_same_series(pushed: &page::SeriesMap, page: &page::SeriesMap) {
    let keys = |map: &page::SeriesMap| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(pushed), keys(page));
    let mut compared = 0;
    for (key, value) in page.iter().filter(|(key, _)| !changes_by_itself(&key.0)) {
        assert_eq!(pushed[key].to_bits(), value.to_bits(), "{key:?}");
        compared += 1;
    }
    assert!(compared > 40, "{compared}");
}

#[tokio::test]
async fn what_arrives_is_the_page_over_each_protocol_and_compression() {
    for compression in ["gzip", "none"] {
        for protocol in ["http/protobuf", "grpc"] {
            let receiver = match protocol {
                "grpc" => Receiver::grpc(|_| Reply::Take).await,
                _ => Receiver::http(|_| Reply::Take).await,
            };
            let rest = format!(", protocol: {protocol}, compression: {compression}");
            let mut rig = Rig::to(&receiver, &rest);
            let page = of_text(&rig.page());
            let report = rig.push().await;
            assert_eq!(report.outcome, PushOutcome::Success, "{report:?}");
            let seen = receiver.seen();
            assert_eq!(seen.len(), 1);
            let pushed = of_requests(seen.iter().map(|seen| &seen.request));
            assert_same_series(&pushed, &page);
            assert_eq!(report.sent, page.len() as u64);
            let header = match protocol {
                "grpc" => "grpc-encoding",
                _ => "content-encoding",
            };
            let said = seen[0].headers.get(header).map(|v| v.to_str().unwrap());
            assert_eq!(said, (compression == "gzip").then_some("gzip"));
            if protocol == "http/protobuf" {
                assert_eq!(seen[0].path, "/v1/metrics");
            }
            assert_eq!(rig.pushes("success"), Some(1.0));
            let sent = rig.own("vminsights_exporter_otlp_data_points_sent_total");
            assert_eq!(sent, Some(report.sent as f64));
            let last = rig.own("vminsights_exporter_otlp_last_success_timestamp_seconds");
            assert!(last.unwrap() > 1.7e9, "{last:?}");
        }
    }
}

#[tokio::test]
async fn points_have_the_times_of_the_answers_and_the_resource_says_who_sends() {
    let receiver = Receiver::http(|_| Reply::Take).await;
    let mut rig = Rig::to(&receiver, "");
    rig.push().await;
    let request = &receiver.seen()[0].request;
    let points = page::points(request);
    let times = |name: &str| -> Vec<(u64, u64)> {
        let points = points.iter().filter(|(other, _)| *other == name);
        points
            .map(|(_, point)| (point.start_time_unix_nano, point.time_unix_nano))
            .collect()
    };
    assert_eq!(
        times("vminsights_threat_sent_bytes_total"),
        [(500_000_000_000, 1_000_000_000_000)]
    );
    assert_eq!(
        times("vminsights_disk_free_percent"),
        [(0, 1_000_000_000_000); 3]
    );
    let resource = request.resource_metrics[0].resource.as_ref().unwrap();
    let attributes: Vec<_> = resource.attributes.iter().map(page::pair).collect();
    let service = ("service.instance.id".to_owned(), "host-1:10048".to_owned());
    assert!(attributes.contains(&service), "{attributes:?}");
}

#[tokio::test]
async fn headers_go_along_and_are_not_shown() {
    for protocol in ["http/protobuf", "grpc"] {
        let receiver = match protocol {
            "grpc" => Receiver::grpc(|_| Reply::Take).await,
            _ => Receiver::http(|_| Reply::Take).await,
        };
        let yaml = format!(
            "otlp: {{endpoint: 'http://{}', protocol: {protocol}}}",
            receiver.address
        );
        let variables = [(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "X-Scope-OrgID=of-old, Authorization=Bearer%20hunter2, x-scope-orgid = team",
        )];
        let settings = otlp(&yaml, &variables);
        assert!(!format!("{settings:?}").contains("hunter2"));
        let mut rig = Rig::new(&settings, snapshot());
        assert_eq!(rig.push().await.outcome, PushOutcome::Success);
        let headers = &receiver.seen()[0].headers;
        assert_eq!(headers["authorization"], "Bearer hunter2");
        let teams: Vec<_> = headers.get_all("x-scope-orgid").iter().collect();
        assert_eq!(teams, ["team"], "of one given twice the later");
    }
}

#[tokio::test]
async fn a_busy_receiver_is_asked_again() {
    let busy = |status: u16| Reply::Http(status, vec![("retry-after", "0".into())], "busy");
    let statuses = [429, 502, 503, 504];
    let receiver = Receiver::http(move |number| match statuses.get(number) {
        Some(status) => busy(*status),
        None => Reply::Take,
    })
    .await;
    let mut rig = Rig::to(&receiver, "");
    assert_eq!(rig.push().await.outcome, PushOutcome::Success);
    let seen = receiver.seen();
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().all(|one| one.request == seen[0].request));
    let retries = rig.own("vminsights_exporter_otlp_retries_total");
    assert_eq!(retries, Some(4.0));

    let receiver = Receiver::grpc(|number| match number {
        0 => Reply::Grpc(tonic::Status::unavailable("busy")),
        _ => Reply::Take,
    })
    .await;
    let mut rig = Rig::to(&receiver, ", protocol: grpc");
    assert_eq!(rig.push().await.outcome, PushOutcome::Success);
    assert_eq!(receiver.seen().len(), 2);
}

#[tokio::test]
async fn a_receiver_that_asks_for_more_time_than_there_is_gets_it() {
    let receiver =
        Receiver::http(|_| Reply::Http(429, vec![("retry-after", "300".into())], "later")).await;
    let mut rig = Rig::to(&receiver, "");
    let report = rig.push().await;
    assert_eq!(report.outcome, PushOutcome::Failed);
    assert_eq!(report.patience, Duration::from_secs(300));
    assert_eq!(
        report.message.as_deref(),
        Some("the receiver answered 429 Too Many Requests: later")
    );
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    for status in [400, 401, 404, 413, 500] {
        let receiver = Receiver::http(move |_| Reply::Http(status, vec![], "no")).await;
        let mut rig = Rig::to(&receiver, "");
        let report = rig.push().await;
        assert_eq!((report.outcome, report.sent), (PushOutcome::Refused, 0));
        assert_eq!(receiver.seen().len(), 1, "{status}");
        assert_eq!(rig.pushes("refused"), Some(1.0));
        let last = rig.own("vminsights_exporter_otlp_last_success_timestamp_seconds");
        assert_eq!(last, None);
    }
    for status in [
        tonic::Status::invalid_argument("no"),
        tonic::Status::resource_exhausted("no word of when"),
    ] {
        let receiver = Receiver::grpc(move |_| Reply::Grpc(status.clone())).await;
        let mut rig = Rig::to(&receiver, ", protocol: grpc");
        assert_eq!(rig.push().await.outcome, PushOutcome::Refused);
        assert_eq!(receiver.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_failure_is_logged_once_and_again_when_its_cause_changes() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let lines = tracing_subscriber::fmt()
        .event_format(LogFormat::Json)
        .with_writer(Arc::new(log.reopen().unwrap()))
        .finish();
    let _logging = tracing::subscriber::set_default(lines);
    // With one subscriber alone, `tracing` asks the thread that comes by an event first whether anybody
    // wants it, and the other tests' threads say no for all.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let receiver = Receiver::http(|number| match number {
        0 | 1 => Reply::Http(400, vec![], "no such tenant"),
        2 => Reply::Http(400, vec![], "the tenant's licence has expired"),
        _ => Reply::Take,
    })
    .await;
    let mut rig = Rig::to(&receiver, "");
    for _ in 0..5 {
        rig.push().await;
    }
    let text = std::fs::read_to_string(log.path()).unwrap();
    let seen: Vec<(String, String)> = text
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            (field("level"), field("detail"))
        })
        .collect();
    let pair = |level: &str, detail: &str| (level.to_owned(), detail.to_owned());
    let refused = "the receiver answered 400 Bad Request: ";
    assert_eq!(
        seen,
        [
            pair("WARN", &format!("{refused}no such tenant")),
            pair(
                "WARN",
                &format!("{refused}the tenant's licence has expired")
            ),
            pair("INFO", ""),
        ]
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Receiver::http(|_| Reply::Take).await;
    let location = format!("http://{}/v1/metrics", other.address);
    let sent = location.clone();
    let receiver =
        Receiver::http(move |_| Reply::Http(307, vec![("location", sent.clone())], "")).await;
    let mut rig = Rig::to(&receiver, "");
    let report = rig.push().await;
    assert_eq!(report.outcome, PushOutcome::Refused);
    assert_eq!(
        report.message,
        Some(format!(
            "the receiver answered 307 Temporary Redirect to {location}; redirects are not followed"
        ))
    );
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn partial_success_is_counted() {
    for protocol in ["http/protobuf", "grpc"] {
        let reply = |_| Reply::Partial(3, "3 points too old");
        let receiver = match protocol {
            "grpc" => Receiver::grpc(reply).await,
            _ => Receiver::http(reply).await,
        };
        let mut rig = Rig::to(&receiver, &format!(", protocol: {protocol}"));
        let report = rig.push().await;
        assert_eq!(
            (report.outcome, report.rejected, report.message.as_deref()),
            (PushOutcome::Partial, 3, Some("3 points too old"))
        );
        assert_eq!(receiver.seen().len(), 1);
        assert_eq!(rig.pushes("partial"), Some(1.0));
        let rejected = rig.own("vminsights_exporter_otlp_data_points_rejected_total");
        assert_eq!(rejected, Some(3.0));
    }
    let receiver = Receiver::http(|_| Reply::Partial(0, "use a newer version")).await;
    let report = Rig::to(&receiver, "").push().await;
    assert_eq!(report.outcome, PushOutcome::Success, "a warning only");
    assert_eq!(report.message.as_deref(), Some("use a newer version"));
}

#[tokio::test]
async fn a_family_of_5_mib_goes_in_requests_below_4() {
    for protocol in ["http/protobuf", "grpc"] {
        let receiver = match protocol {
            "grpc" => Receiver::grpc(|_| Reply::Take).await,
            _ => Receiver::http(|_| Reply::Take).await,
        };
        let mut rig = Rig::to(&receiver, &format!(", protocol: {protocol}"));
        let mut big = family("vminsights_threat_connections", MetricType::Gauge, &["vm"]);
        let long = "x".repeat(512);
        for number in 0..10_000 {
            big.series.push([format!("{long}{number}").as_str()], 1.0);
        }
        publish(&rig.store, "big", vec![big]);
        let page = of_text(&rig.page());
        let report = rig.push().await;
        assert_eq!(report.outcome, PushOutcome::Success, "{report:?}");
        let seen = receiver.seen();
        let bytes: Vec<usize> = seen.iter().map(|one| one.bytes).collect();
        assert_eq!(bytes.len(), 2, "{bytes:?}");
        assert!(bytes.iter().sum::<usize>() > 5 << 20, "{bytes:?}");
        assert!(bytes.iter().all(|one| *one <= 4 << 20), "{bytes:?}");
        let pushed = of_requests(seen.iter().map(|one| &one.request));
        assert_same_series(&pushed, &page);
    }
}

#[tokio::test]
async fn one_refused_request_does_not_keep_the_others_back() {
    let receiver = Receiver::http(|number| match number {
        0 => Reply::Http(400, vec![], "no"),
        _ => Reply::Take,
    })
    .await;
    let mut rig = Rig::to(&receiver, "");
    let mut big = family("vminsights_threat_connections", MetricType::Gauge, &["vm"]);
    let long = "x".repeat(512);
    for number in 0..10_000 {
        big.series.push([format!("{long}{number}").as_str()], 1.0);
    }
    publish(&rig.store, "big", vec![big]);
    let report = rig.push().await;
    assert_eq!(report.outcome, PushOutcome::Refused);
    assert_eq!(receiver.seen().len(), 2);
    assert!(report.sent > 1_000, "{report:?}");
}

#[tokio::test]
async fn a_dead_collector_costs_a_counter() {
    for protocol in ["http/protobuf", "grpc"] {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let yaml = format!(
            "otlp: {{endpoint: 'http://{}', protocol: {protocol}}}",
            port.local_addr().unwrap()
        );
        drop(port);
        let mut rig = Rig::new(&otlp(&yaml, &[]), snapshot());
        let resource = rig.pusher.resource("host-1:10048");
        let short = Duration::from_millis(50);
        let report = rig.pusher.push(&rig.store, &resource, short).await;
        assert_eq!(report.outcome, PushOutcome::Failed);
        let message = report.message.unwrap();
        assert!(message.contains("Connection refused"), "{message}");
        assert_eq!(rig.pushes("failed"), Some(1.0));
        assert!(rig.own("vminsights_exporter_otlp_retries_total").unwrap() > 0.0);
    }
}

#[tokio::test]
async fn a_silent_collector_is_given_up_after_the_timeout() {
    // Takes connections, never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let yaml = format!(
        "otlp: {{endpoint: 'http://{}', timeout: 20ms}}",
        listener.local_addr().unwrap()
    );
    let mut rig = Rig::new(&otlp(&yaml, &[]), snapshot());
    let resource = rig.pusher.resource("host-1:10048");
    let short = Duration::from_millis(10);
    let report = rig.pusher.push(&rig.store, &resource, short).await;
    assert_eq!(
        (report.outcome, report.message.as_deref()),
        (PushOutcome::Failed, Some("no answer within 20ms"))
    );
}

/// Passes on what comes; what it took before it went deaf it keeps open, and passes nothing on any more.
async fn deaf_later(to: std::net::SocketAddr) -> (std::net::SocketAddr, watch::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (deafen, mut deaf) = watch::channel(());
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(to).await.unwrap();
            deaf.mark_unchanged();
            let mut deaf = deaf.clone();
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    Ok(()) = deaf.changed() => std::future::pending().await,
                }
            });
        }
    });
    (address, deafen)
}

#[tokio::test]
async fn a_grpc_connection_whose_other_end_is_gone_is_replaced() {
    let receiver = Receiver::grpc(|_| Reply::Take).await;
    let (address, deafen) = deaf_later(receiver.address).await;
    let yaml = format!("otlp: {{endpoint: 'http://{address}', protocol: grpc, timeout: 500ms}}");
    let mut rig = Rig::new(&otlp(&yaml, &[]), snapshot());
    assert_eq!(rig.push().await.outcome, PushOutcome::Success);
    deafen.send(()).unwrap();
    let resource = rig.pusher.resource("host-1:10048");
    let limit = Duration::from_secs(10);
    let report = rig.pusher.push(&rig.store, &resource, limit).await;
    assert_eq!(report.outcome, PushOutcome::Success, "{report:?}");
    assert_eq!(receiver.seen().len(), 2);
}

#[tokio::test]
async fn tls_is_by_the_ca_file_and_not_without() {
    for protocol in ["http/protobuf", "grpc"] {
        let receiver = match protocol {
            "grpc" => Receiver::grpcs().await,
            _ => Receiver::https().await,
        };
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, &receiver.ca_pem).unwrap();
        let yaml = |rest: &str| {
            let address = receiver.address;
            format!("otlp: {{endpoint: 'https://{address}', protocol: {protocol}{rest}}}")
        };
        let trusting = yaml(&format!(", ca_file: {}", ca.display()));
        let mut rig = Rig::new(&otlp(&trusting, &[]), snapshot());
        let report = rig.push().await;
        assert_eq!(report.outcome, PushOutcome::Success, "{report:?}");

        let mut rig = Rig::new(&otlp(&yaml(""), &[]), snapshot());
        let resource = rig.pusher.resource("host-1:10048");
        let report = rig.pusher.push(&rig.store, &resource, Duration::ZERO).await;
        assert_eq!(report.outcome, PushOutcome::Failed);
        let message = report.message.unwrap();
        assert!(message.contains("certificate"), "{message}");
        assert_eq!(receiver.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_ca_file_that_is_none_is_named() {
    let settings = otlp(
        "otlp: {endpoint: 'https://127.0.0.1:1', ca_file: nowhere.pem}",
        &[],
    );
    let error = Pusher::new(&settings, &SelfMetrics::new().unwrap()).err();
    assert_eq!(
        error.unwrap().to_string(),
        "otlp.ca_file: cannot read nowhere.pem"
    );
}

#[tokio::test]
async fn the_last_push_comes_when_the_exporter_ends() {
    let receiver = Receiver::http(|_| Reply::Take).await;
    let rig = Rig::to(&receiver, ", interval: 1h");
    let running = rig.pusher.start(rig.store.clone(), "host-1:10048");
    running.stop().await;
    assert_eq!(receiver.seen().len(), 1);
}
