//! The state machine, driven by hand: no network and no waiting.

use super::*;
use crate::catalogue::Catalogue;
use crate::config::Settings;
use crate::exposition::Media;
use crate::series::{Family, FamilyHeader, MetricType, RowIssues};
use crate::telemetry::SelfMetrics;

const SETTINGS: &str = "workspaces: [{id: 5f6d2b1c-0000-4000-8000-000000000001, name: prod}]
azure: {credential: azure_cli}
packs: [feed]";

/// A poll of the pack query `table_freshness` that nobody runs.
fn poll(query: &str, store: &Arc<SnapshotStore>) -> Poll {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = std::path::Path::new("exporter.yaml");
    let settings = Settings::from_yaml(file, SETTINGS).unwrap();
    let catalogue = Catalogue::load(&settings, file).unwrap();
    let definition = catalogue.queries[0].clone();
    let client = LogsClient::new(&settings.azure, SelfMetrics::new().unwrap()).unwrap();
    let schedule = Schedule::new(Instant::now(), definition.interval, 0.0);
    let mut poll = Poll::new(
        definition,
        settings.workspaces[0].clone(),
        client,
        store.clone(),
        schedule,
    );
    poll.key.query = query.into();
    poll
}

fn polled(tables: &[&str]) -> Polled {
    let names = ["workspace", "table"].map(|name| name.parse().unwrap());
    let mut series = SeriesList::new(names.into());
    for table in tables {
        series.push(["prod", table], 7.0);
    }
    Polled {
        rows: tables.len() as u64,
        unreadable_rows: 0,
        slow: false,
        cost: Cost {
            cpu: Some(Duration::from_millis(250)),
            scanned_bytes: Some(1_000),
        },
        projection: Projection {
            families: vec![Family {
                header: FamilyHeader {
                    name: "x_delay".parse().unwrap(),
                    kind: MetricType::Gauge,
                    help: "Delay.".into(),
                },
                series,
            }],
            issues: RowIssues::default(),
        },
    }
}

fn page(store: &SnapshotStore) -> String {
    String::from_utf8(store.current().page(Media::default()).pieces().concat()).unwrap()
}

/// The page's data lines.
fn data(store: &SnapshotStore) -> Vec<String> {
    let page = page(store);
    let lines = page.lines().filter(|line| line.starts_with("x_delay{"));
    lines.map(str::to_owned).collect()
}

fn shape_error() -> Unpolled {
    Unpolled::Shape(ShapeError::Missing {
        part: "label table".into(),
        column: "Table".into(),
        columns: "A, B".into(),
    })
}

const TOOK: Duration = Duration::from_millis(10);

#[tokio::test]
async fn a_success_is_published_and_what_vanished_is_gone() {
    let store = Arc::default();
    let mut poll = poll("a", &store);
    poll.settle(Ok(polled(&["A", "B"])), TOOK);
    assert_eq!(
        data(&store),
        [
            "x_delay{workspace=\"prod\",table=\"A\"} 7",
            "x_delay{workspace=\"prod\",table=\"B\"} 7"
        ]
    );
    poll.settle(Ok(polled(&["B"])), TOOK);
    assert_eq!(data(&store), ["x_delay{workspace=\"prod\",table=\"B\"} 7"]);
    poll.settle(Ok(polled(&[])), TOOK);
    assert!(data(&store).is_empty());
    assert!(page(&store).contains("state=\"empty\"} 1\n"));
}

#[tokio::test]
async fn a_failure_keeps_the_last_good_values_until_they_are_stale() {
    let store = Arc::default();
    let mut poll = poll("a", &store);
    poll.settle(Ok(polled(&["A"])), TOOK);
    let stale_at = poll.stale_at.unwrap();
    poll.settle(Err(shape_error()), TOOK);
    assert_eq!(data(&store).len(), 1, "still up");
    assert_eq!(poll.stale_at, Some(stale_at), "a failure buys no time");
    assert!(page(&store).contains("state=\"failed\"} 1\n"));
    assert!(page(&store).contains("reason=\"shape\"} 1\n"));
    poll.expire();
    poll.publish();
    assert!(data(&store).is_empty());
    assert!(page(&store).contains("state=\"stale\"} 1\n"));
    assert!(page(&store).contains("poll_series{query=\"a\",workspace=\"prod\"} 0\n"));
    poll.settle(Ok(polled(&["A"])), TOOK);
    assert_eq!(data(&store).len(), 1);
    assert!(poll.stale_at.unwrap() > stale_at);
}

#[tokio::test]
async fn a_failure_is_told_with_its_cause_and_hint() {
    let store: Arc<SnapshotStore> = Arc::default();
    let mut poll = poll("a", &store);
    poll.settle(Err(shape_error()), TOOK);
    let snapshot = store.current();
    let (_, status) = snapshot.polls().next().unwrap();
    let failure = status.last_failure.as_ref().unwrap();
    assert_eq!(failure.reason, FailureReason::Shape);
    assert_eq!(
        failure.message,
        "the answer has no column \"Table\", which label table needs; it has: A, B"
    );
    assert!(failure.hint.is_some());
}

#[tokio::test]
async fn a_label_set_that_another_query_has_is_published_once_and_counted() {
    let store = Arc::default();
    let mut first = poll("a", &store);
    let mut second = poll("b", &store);
    first.settle(Ok(polled(&["A"])), TOOK);
    second.settle(Ok(polled(&["A", "B"])), TOOK);
    assert_eq!(data(&store).len(), 2, "{:?}", data(&store));
    assert!(
        page(&store).contains(
            "poll_row_issues_total{query=\"b\",workspace=\"prod\",issue=\"duplicate\"} 1\n"
        )
    );
    assert!(
        page(&store).contains(
            "poll_row_issues_total{query=\"a\",workspace=\"prod\",issue=\"duplicate\"} 0\n"
        )
    );
}

#[tokio::test]
async fn unreadable_rows_are_rows_and_issues() {
    let store = Arc::default();
    let mut poll = poll("a", &store);
    let mut answer = polled(&["A"]);
    answer.rows = 3;
    answer.unreadable_rows = 2;
    poll.settle(Ok(answer), TOOK);
    assert!(page(&store).contains("poll_rows{query=\"a\",workspace=\"prod\"} 3\n"));
    assert!(page(&store).contains("issue=\"unreadable\"} 2\n"));
}

#[tokio::test]
async fn what_answers_cost_adds_up_and_is_absent_where_they_do_not_say_it() {
    let store = Arc::default();
    let mut poll = poll("a", &store);
    poll.settle(Err(shape_error()), TOOK);
    assert!(!page(&store).contains("poll_cpu_seconds_total"));
    poll.settle(Ok(polled(&["A"])), TOOK);
    let mut answer = polled(&["A"]);
    answer.cost.scanned_bytes = None;
    poll.settle(Ok(answer), TOOK);
    let page = page(&store);
    let of_poll = "{query=\"a\",workspace=\"prod\"}";
    let cpu = format!("vminsights_exporter_poll_cpu_seconds_total{of_poll} 0.5\n");
    assert!(page.contains(&cpu), "{page}");
    let bytes = format!("vminsights_exporter_poll_scanned_bytes_total{of_poll} 1000\n");
    assert!(page.contains(&bytes), "{page}");
}

#[test]
fn what_only_a_person_can_mend_is_asked_ever_more_calmly() {
    let minute = Duration::from_secs(60);
    let pauses = [0, 1, 2, 3, 4, 40, u32::MAX].map(|failures| calm(minute, failures).as_secs());
    assert_eq!(pauses, [0, 0, 60, 180, 300, 300, 300]);
}
