//! The life of traces in a whole process: with one subscriber for all threads, as the program has it.
//! Alone in its file, because what a span costs is decided for all subscribers of a process at once.

#[path = "azure_client/catalogue.rs"]
mod catalogue;
#[path = "traces/collector.rs"]
#[expect(dead_code, reason = "shared with traces.rs, which uses the rest")]
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

use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};
use vminsights_exporter::telemetry::{LogFormat, SelfMetrics, spans, traces};

use collector::{Collector, Log, export, lost, names, poll, rows};
use rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_off_then_on_then_lost_then_off() {
    let log = Log::default();
    let writer = log.clone();
    let lines = fmt::layer()
        .event_format(LogFormat::Logfmt)
        .with_writer(move || writer.clone())
        .with_filter(filter_fn(|metadata| metadata.is_event()));
    let (layer, switch) = traces::layer();
    tracing_subscriber::registry()
        .with(layer)
        .with(lines)
        .init();
    let is_on = || !spans::poll("q", "w").is_disabled();
    assert!(!is_on(), "before they start");

    let collector = Collector::start().await;
    let metrics = SelfMetrics::new().unwrap();
    let guard = switch
        .start(export(&collector.address, 1.0), &metrics)
        .unwrap();
    assert!(is_on(), "while they run");

    // An answer so large that other threads read it.
    let rig = Rig::asking(rows(20_000)).await;
    poll(&rig, 1).await;
    guard.flush().await;
    let traces = collector.traces();
    let polled = traces.iter().find(|trace| trace.len() > 1).unwrap();
    assert_eq!(
        names(polled),
        ["poll", "sign_in", "query", "decode", "project", "publish"]
    );
    assert_eq!(lost(&metrics), 0.0);

    collector.die().await;
    for expected in [1.0, 2.0] {
        spans::poll("q", "w").in_scope(|| ());
        guard.flush().await;
        assert_eq!(lost(&metrics), expected);
    }
    let log = log.text();
    let complaints: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("msg=\"the collector does not take our traces\""))
        .collect();
    assert_eq!(complaints.len(), 1, "{log}");
    assert!(
        complaints[0].contains(" level=WARN ") && complaints[0].contains(" spans=1 error="),
        "{log}"
    );
    // Which of the two it is depends on when the client hears that its open connection has ended.
    let causes = ["onnection refused", "connection closed before message"];
    assert!(
        causes.iter().any(|cause| complaints[0].contains(cause)),
        "{}",
        complaints[0]
    );

    guard.stop().await;
    assert!(!is_on(), "after they stop");
}
