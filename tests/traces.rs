//! The exporter's own traces, as a collector on loopback receives them, and the log beside them.

#[path = "azure_client/catalogue.rs"]
mod catalogue;
#[path = "traces/collector.rs"]
#[expect(
    dead_code,
    reason = "shared with traces_process.rs, which uses the rest"
)]
mod collector;
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

use std::net::Ipv4Addr;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::net::TcpListener;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt};
use vminsights_exporter::telemetry::traces::{self, TraceExport, TraceGuard};
use vminsights_exporter::telemetry::{LogFormat, SelfMetrics, Traces, spans};

use collector::{API_KEY, Collector, Log, export, lost, names, poll, rows};
use rig::{Rig, SECRET, WORKSPACE};
use server::{Reply, Seen};

/// Logging as the program has it, for this test's thread, on which all its tasks run.
fn logging() -> (Log, Traces, DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let targets = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("vminsights_exporter", LevelFilter::DEBUG);
    let lines = fmt::layer()
        .event_format(LogFormat::Json)
        .with_writer(move || writer.clone())
        .with_filter(filter_fn(move |metadata| {
            metadata.is_event() && targets.would_enable(metadata.target(), metadata.level())
        }));
    let (spans, traces) = traces::layer();
    let subscriber = tracing_subscriber::registry().with(spans).with(lines);
    (log, traces, tracing::subscriber::set_default(subscriber))
}

/// Polls with traces to a collector, until all of them are there.
async fn traced(rig: &Rig, runs: u64, ratio: f64) -> (Collector, Log) {
    let collector = Collector::start().await;
    let log = traced_to(export(&collector.address, ratio), rig, runs).await;
    (collector, log)
}

async fn traced_to(export: TraceExport, rig: &Rig, runs: u64) -> Log {
    let (log, switch, _logging) = logging();
    let guard: TraceGuard = switch.start(export, &rig.metrics).unwrap();
    poll(rig, runs).await;
    guard.stop().await;
    log
}

fn text(value: &Option<AnyValue>) -> String {
    match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let pair = attributes.iter().find(|pair| pair.key == key)?;
    Some(text(&pair.value))
}

fn span<'a>(trace: &'a [Span], name: &str) -> &'a Span {
    trace.iter().find(|span| span.name == name).unwrap()
}

/// The span's error.type, if it is marked as failed.
fn failure(span: &Span) -> Option<String> {
    let failed = span.status.as_ref().map(|status| status.code()) == Some(StatusCode::Error);
    failed.then(|| attribute(&span.attributes, "error.type").unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn assert_no_secret(collector: &Collector, log: &Log) {
    let everything = format!("{:?} {}", collector.received.lock().unwrap(), log.text());
    for secret in [SECRET, "token-1", "token-2", API_KEY, "Heartbeat"] {
        assert!(!everything.contains(secret), "{secret}: {everything}");
    }
}

#[tokio::test]
async fn a_collector_over_grpc_gets_the_same() {
    let rig = Rig::asking(rows(1)).await;
    let collector = Collector::start_grpc().await;
    let export = TraceExport {
        grpc: true,
        gzip: true,
        ..export(&collector.address, 1.0)
    };
    let log = traced_to(export, &rig, 1).await;
    let traces = collector.traces();
    assert_eq!(
        names(&traces[0]),
        ["poll", "sign_in", "query", "decode", "project", "publish"]
    );
    assert_eq!(collector.keys.lock().unwrap()[0], API_KEY);
    assert_no_secret(&collector, &log);
}

#[tokio::test]
async fn a_poll_is_one_trace_and_only_the_first_signs_in() {
    let rig = Rig::asking(rows(1)).await;
    let (collector, log) = traced(&rig, 2, 1.0).await;
    let traces = collector.traces();
    assert_eq!(
        names(&traces[0]),
        ["poll", "sign_in", "query", "decode", "project", "publish"]
    );
    assert_eq!(
        names(&traces[1]),
        ["poll", "query", "decode", "project", "publish"]
    );
    for trace in &traces {
        let (root, steps) = trace.split_first().unwrap();
        for step in steps {
            assert_eq!(step.parent_span_id, root.span_id, "{}", step.name);
            assert!(root.start_time_unix_nano <= step.start_time_unix_nano);
            assert!(step.end_time_unix_nano <= root.end_time_unix_nano);
        }
        assert!(trace.iter().all(|span| failure(span).is_none()));
    }
    let root = &traces[0][0];
    assert_eq!(
        attribute(&root.attributes, "query").as_deref(),
        Some("rows")
    );
    assert_eq!(
        attribute(&root.attributes, "workspace").as_deref(),
        Some("prod")
    );
    let query = span(&traces[0], "query");
    let of_query = |key| attribute(&query.attributes, key);
    assert_eq!(query.kind, 3, "a client's");
    assert_eq!(of_query("http.request.method").as_deref(), Some("POST"));
    assert_eq!(
        of_query("http.response.status_code").as_deref(),
        Some("200")
    );
    assert_eq!(of_query("server.address").as_deref(), Some("127.0.0.1"));
    let url = format!("{}/v1/workspaces/{WORKSPACE}/query", rig.logs.address);
    assert_eq!(of_query("url.full"), Some(url));
    assert_eq!(of_query("http.request.resend_count"), None);

    let resource = collector.received.lock().unwrap()[0].resource_spans[0]
        .resource
        .clone()
        .unwrap();
    let of_resource = |key| attribute(&resource.attributes, key);
    assert_eq!(
        of_resource("service.name").as_deref(),
        Some("vminsights-exporter")
    );
    assert_eq!(
        of_resource("service.version").as_deref(),
        Some(env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        of_resource("cloud.provider"),
        None,
        "who knows where we run"
    );
    assert_eq!(collector.keys.lock().unwrap()[0], API_KEY);
    assert_no_secret(&collector, &log);
}

#[tokio::test]
async fn a_failed_poll_says_so_and_its_log_lines_name_the_trace() {
    let rig = Rig::asking(|_: &Seen| Reply::json(403, "{}")).await;
    let (collector, log) = traced(&rig, 1, 1.0).await;
    let trace = &collector.traces()[0];
    assert_eq!(names(trace), ["poll", "sign_in", "query", "publish"]);
    for name in ["poll", "query"] {
        assert_eq!(failure(span(trace, name)).as_deref(), Some("forbidden"));
    }
    assert_eq!(failure(span(trace, "sign_in")), None);

    let lines = log.lines();
    let line = lines
        .iter()
        .find(|line| line["msg"] == "poll failed")
        .unwrap();
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["query"], "rows");
    assert_eq!(line["reason"], "forbidden");
    assert_eq!(line["trace_id"], hex(&trace[0].trace_id));
    assert_eq!(line["span_id"], hex(&trace[0].span_id));
    let request = lines
        .iter()
        .find(|line| line["msg"] == "Logs Query API request")
        .unwrap();
    assert_eq!(request["trace_id"], line["trace_id"]);
    assert_no_secret(&collector, &log);
}

#[tokio::test]
async fn the_step_that_fails_is_marked() {
    for (body, step, reason, steps) in [
        (
            "{\"tables\": [",
            "decode",
            "decode",
            &["poll", "sign_in", "query", "decode", "publish"][..],
        ),
        (
            rig::ONE_ROW,
            "project",
            "shape",
            &["poll", "sign_in", "query", "decode", "project", "publish"][..],
        ),
    ] {
        let rig = Rig::asking(move |_: &Seen| Reply::json(200, body)).await;
        let (collector, _) = traced(&rig, 1, 1.0).await;
        let trace = &collector.traces()[0];
        assert_eq!(names(trace), steps);
        assert_eq!(failure(span(trace, step)).as_deref(), Some(reason));
        assert_eq!(failure(&trace[0]).as_deref(), Some(reason));
        assert_eq!(failure(span(trace, "query")), None, "it brought its answer");
    }

    let rig = Rig::signing_in_at(|_: &Seen| {
        Reply::json(
            401,
            format!(r#"{{"error_description": "AADSTS7000215: bad {SECRET}"}}"#),
        )
    })
    .await;
    let (collector, log) = traced(&rig, 1, 1.0).await;
    let trace = &collector.traces()[0];
    assert_eq!(names(trace), ["poll", "sign_in", "publish"]);
    assert_eq!(failure(span(trace, "sign_in")).as_deref(), Some("sign_in"));
    assert_no_secret(&collector, &log);
}

#[tokio::test]
async fn a_poll_that_is_not_sampled_sends_nothing_and_still_names_its_trace() {
    let rig = Rig::asking(|_: &Seen| Reply::json(403, "{}")).await;
    let (collector, log) = traced(&rig, 1, 0.0).await;
    assert_eq!(collector.spans(), []);
    let lines = log.lines();
    let line = lines.iter().find(|line| line["msg"] == "poll failed");
    assert_eq!(line.unwrap()["trace_id"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn off_there_are_no_spans_and_no_ids() {
    let (log, _traces, _logging) = logging();
    let rig = Rig::asking(|_: &Seen| Reply::json(403, "{}")).await;
    poll(&rig, 1).await;
    let text = log.text();
    assert!(text.contains("\"msg\":\"poll failed\""), "{text}");
    assert!(!text.contains("trace_id"), "{text}");
}

#[tokio::test]
async fn stopping_turns_traces_off() {
    let (_log, switch, _logging) = logging();
    let metrics = SelfMetrics::new().unwrap();
    let collector = Collector::start().await;
    let guard = switch
        .start(export(&collector.address, 1.0), &metrics)
        .unwrap();
    let again = switch.start(export(&collector.address, 1.0), &metrics);
    assert_eq!(
        again.err().unwrap().to_string(),
        "traces: they are on already"
    );
    let run = || spans::poll("q", "w");
    run().in_scope(|| ());
    guard.stop().await;
    run().in_scope(|| ());
    assert_eq!(names(&collector.spans()), ["poll"]);
}

/// A collector that accepts connections and never answers holds up its own thread only.
#[tokio::test]
async fn a_silent_collector_holds_up_no_poll() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let (_log, switch, _logging) = logging();
    let rig = Rig::asking(rows(1)).await;
    let mut export = export(&endpoint, 1.0);
    export.timeout = Duration::from_millis(200);
    let guard = switch.start(export, &rig.metrics).unwrap();
    // More spans than the queue holds, while a batch is being sent in vain.
    for _ in 0..3_000 {
        spans::poll("q", "w").in_scope(|| ());
    }
    poll(&rig, 1).await;
    guard.flush().await;
    assert!(lost(&rig.metrics) >= 512.0, "{}", lost(&rig.metrics));
}
