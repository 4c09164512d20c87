//! Polls that count, against a workspace on loopback whose answers are too big, broken or repeated.

#[path = "azure_client/catalogue.rs"]
#[expect(
    dead_code,
    reason = "shared with polling.rs, which asks for gauges only"
)]
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

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use vminsights_exporter::catalogue::Catalogue;
use vminsights_exporter::exposition::Media;
use vminsights_exporter::ledger::Ledger;
use vminsights_exporter::poll::Poller;
use vminsights_exporter::series::RowIssue;
use vminsights_exporter::snapshot::{PollStatus, SnapshotStore};
use vminsights_exporter::telemetry::FailureReason;

use rig::{Rig, workspace};
use server::{Behaviour, Reply, Seen};

const SOON: Duration = Duration::from_secs(30);
const KQL: &str = "VMConnection
| where ingestion_time() >= bin(ago(lookback), 1m) and ingestion_time() < until
| summarize Rows = count() by Arrived = bin(ingestion_time(), 1m), Computer";

fn yaml(settings: &str) -> String {
    format!(
        "interval: 1s\n{settings}labels: {{vm: Computer}}\nmetrics:\n  - {{name: x_rows_total, type: counter, help: Rows., value: Rows, bin: Arrived}}\n"
    )
}

fn counting(settings: &str) -> Catalogue {
    catalogue::of(&yaml(settings), KQL)
}

/// Counts threats from this severity on.
fn severe(severity: u32) -> Catalogue {
    let kql = KQL.replace(
        "| summarize",
        "| where Severity >= min_severity\n| summarize",
    );
    let filters = format!("filters: {{min_severity: {severity}}}\n");
    catalogue::under(&filters, &yaml(""), &kql)
}

/// A workspace with one bin, of the minute in which the test began.
struct Bin {
    minute: Timestamp,
    rows: AtomicU32,
    /// How many VMs have them.
    vms: u32,
    /// Answers about more than this are partial.
    most: Option<SignedDuration>,
    /// Beside the row, one that cannot be read.
    broken_row: bool,
    /// How wide the windows were that were asked for, in minutes.
    asked: Mutex<Vec<i64>>,
}

impl Bin {
    fn of(rows: u32) -> Self {
        let now = Timestamp::now();
        Self {
            minute: now - SignedDuration::from_secs(now.as_second() % 60),
            rows: rows.into(),
            vms: 1,
            most: None,
            broken_row: false,
            asked: Mutex::default(),
        }
    }
}

/// What a bin has beside its rows for who asks for the severity 1, too.
const LESS_SEVERE: u32 = 100;

/// The bounds of a window, if the query has them.
fn bounds(query: &str) -> Option<(Timestamp, Timestamp)> {
    let mut moments = query.split("datetime(").skip(1);
    let mut moment = || moments.next()?.split(')').next()?.parse().ok();
    Some((moment()?, moment()?))
}

/// How far back a baseline looks.
fn lookback(query: &str) -> SignedDuration {
    let (_, rest) = query.split_once("lookback = ").unwrap();
    SignedDuration::from_millis(rest.split_once("ms;").unwrap().0.parse().unwrap())
}

struct Workspace(Arc<Bin>);

impl Behaviour for Workspace {
    fn reply(&self, seen: &Seen) -> Reply {
        let bin = &*self.0;
        let bounds = bounds(&seen.body);
        let width = match bounds {
            Some((from, until)) => until.duration_since(from),
            None => lookback(&seen.body),
        };
        bin.asked.lock().unwrap().push(width.as_mins());
        let in_window = bounds.is_none_or(|(from, until)| from <= bin.minute && bin.minute < until);
        let too_much = bin.most.is_some_and(|most| width > most);
        let count = bin.rows.load(Ordering::Relaxed)
            + if seen.body.contains("let min_severity = 1;") {
                LESS_SEVERE
            } else {
                0
            };
        let row = |vm| format!(r#"["{}", "web-{vm}", {count}]"#, bin.minute);
        let mut rows: Vec<String> = Vec::new();
        if in_window {
            rows.extend((1..=bin.vms).map(row));
        }
        if bin.broken_row {
            rows.push(r#"["soon", "web-2", 1]"#.into());
        }
        let error = match too_much {
            true => r#", "error": {"code": "PartialError", "message": "Too much."}"#,
            false => "",
        };
        Reply::json(
            200,
            format!(
                r#"{{"tables": [{{"name": "PrimaryResult", "columns": [{{"name": "Arrived", "type": "datetime"}}, {{"name": "Computer", "type": "string"}}, {{"name": "Rows", "type": "long"}}], "rows": [{}]}}]{error}}}"#,
                rows.join(", ")
            ),
        )
    }
}

struct Polled {
    rig: Rig,
    bin: Arc<Bin>,
    store: Arc<SnapshotStore>,
    poller: Poller,
}

impl Polled {
    async fn new(bin: Bin) -> Self {
        Self::of("", bin).await
    }

    async fn of(settings: &str, bin: Bin) -> Self {
        Self::asking(&counting(settings), bin).await
    }

    async fn asking(catalogue: &Catalogue, bin: Bin) -> Self {
        Self::with(catalogue, Arc::new(bin), &Ledger::in_memory()).await
    }

    async fn with(catalogue: &Catalogue, bin: Arc<Bin>, ledger: &Ledger) -> Self {
        let rig = Rig::asking(Workspace(bin.clone())).await;
        let store = Arc::default();
        let poller = Poller::start(catalogue, &[workspace()], &rig.client(), &store, ledger);
        Self {
            rig,
            bin,
            store,
            poller,
        }
    }

    fn status(&self) -> PollStatus {
        self.store.current().polls().next().unwrap().1.clone()
    }

    /// The counter's values.
    fn totals(&self) -> Vec<String> {
        let page = self.store.current();
        let page = page.page(Media::default()).pieces().concat();
        let page = String::from_utf8(page).unwrap();
        let lines = page
            .lines()
            .filter(|line| line.starts_with("x_rows_total{"));
        let value = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
        lines.map(value).collect()
    }

    async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let waiting = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let ended = tokio::time::timeout(SOON, waiting).await;
        assert!(ended.is_ok(), "{what}: {:?}", self.status());
    }
}

#[tokio::test]
async fn an_answer_that_is_too_big_is_asked_again_in_halves() {
    // What is wider than an hour does not pass.
    let polled = Polled::new(Bin {
        most: Some(SignedDuration::from_hours(1)),
        ..Bin::of(5)
    })
    .await;
    polled
        .until("the baseline", || polled.totals() == ["0"])
        .await;
    polled.bin.rows.store(7, Ordering::Relaxed);
    polled
        .until("its growth", || polled.totals() == ["2"])
        .await;
    let asked = polled.bin.asked.lock().unwrap().clone();
    assert_eq!(asked[..3], [60, 120, 60]);
}

#[tokio::test]
async fn a_baseline_that_is_too_big_becomes_a_narrow_one() {
    let polled = Polled::new(Bin {
        most: Some(SignedDuration::from_mins(10)),
        ..Bin::of(5)
    })
    .await;
    polled
        .until("the baseline", || polled.totals() == ["0"])
        .await;
    polled.bin.rows.store(7, Ordering::Relaxed);
    polled
        .until("its growth", || polled.totals() == ["2"])
        .await;
    let asked = polled.bin.asked.lock().unwrap().clone();
    assert_eq!(asked[..4], [60, 30, 15, 7]);
}

#[tokio::test]
async fn what_is_never_small_enough_fails_the_poll() {
    let polled = Polled::new(Bin {
        most: Some(SignedDuration::ZERO),
        ..Bin::of(5)
    })
    .await;
    polled
        .until("two failures", || {
            polled.status().failures.get(&FailureReason::Partial) == Some(&2)
        })
        .await;
    let asked = polled.bin.asked.lock().unwrap().clone();
    assert_eq!(asked[..7], [60, 30, 15, 7, 3, 1, 1], "then once a poll");
    assert_eq!(polled.totals(), Vec::<String>::new());
}

#[tokio::test]
async fn what_does_not_fit_is_gathered_and_told() {
    let bin = Bin {
        vms: 3,
        ..Bin::of(5)
    };
    let polled = Polled::of("max_series: 1\n", bin).await;
    polled
        .until("the baseline", || polled.totals() == ["0", "0"])
        .await;
    assert_eq!(
        polled.status().row_issues.get(RowIssue::OverflowGathered),
        0
    );
    polled.bin.rows.store(7, Ordering::Relaxed);
    polled
        .until("its growth", || polled.totals() == ["2", "4"])
        .await;
    let gathered = polled.status().row_issues;
    assert_eq!(gathered.get(RowIssue::OverflowGathered), 2);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_costs_itself() {
    let polled = Polled::new(Bin {
        broken_row: true,
        ..Bin::of(5)
    })
    .await;
    polled
        .until("the baseline", || polled.totals() == ["0"])
        .await;
    polled.bin.rows.store(9, Ordering::Relaxed);
    polled
        .until("its growth", || polled.totals() == ["4"])
        .await;
    assert!(polled.status().last_issues.total() > 0);
}

#[tokio::test]
async fn a_changed_definition_goes_on_with_its_counts() {
    let mut polled = Polled::new(Bin::of(5)).await;
    polled
        .until("the baseline", || polled.totals() == ["0"])
        .await;
    polled.bin.rows.store(7, Ordering::Relaxed);
    polled
        .until("its growth", || polled.totals() == ["2"])
        .await;
    let client = polled.rig.client();
    let changed = counting("timeout: 20s\n");
    let changes = polled
        .poller
        .reconcile(&changed, &[workspace()], &client)
        .await;
    assert_eq!(changes.restarted, 1);
    assert_eq!(polled.totals(), ["2"], "it is on the page all the time");
    polled.bin.rows.store(8, Ordering::Relaxed);
    polled
        .until("more growth", || polled.totals() == ["3"])
        .await;
}

#[tokio::test]
async fn another_filter_keeps_the_totals_and_takes_a_new_baseline() {
    let mut polled = Polled::asking(&severe(2), Bin::of(5)).await;
    polled
        .until("the baseline", || polled.totals() == ["0"])
        .await;
    polled.bin.rows.store(7, Ordering::Relaxed);
    polled
        .until("its growth", || polled.totals() == ["2"])
        .await;
    let client = polled.rig.client();
    let changes = polled
        .poller
        .reconcile(&severe(1), &[workspace()], &client)
        .await;
    assert_eq!(changes.restarted, 1);
    let before = polled.bin.asked.lock().unwrap().len();
    polled
        .until("three answers more", || {
            polled.bin.asked.lock().unwrap().len() > before + 3
        })
        .await;
    assert_eq!(
        polled.totals(),
        ["2"],
        "what now counts, too, was seen and not counted"
    );
    polled.bin.rows.store(8, Ordering::Relaxed);
    polled
        .until("more growth", || polled.totals() == ["3"])
        .await;
}

#[tokio::test]
async fn the_next_exporter_waits_for_the_state_and_counts_on_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, _) = Ledger::open(directory.path());
    let bin = Arc::new(Bin::of(5));
    let old = Polled::with(&counting(""), bin.clone(), &ledger).await;
    old.until("the baseline", || old.totals() == ["0"]).await;
    bin.rows.store(7, Ordering::Relaxed);
    old.until("its growth", || old.totals() == ["2"]).await;

    let (waiting, _) = Ledger::open(directory.path());
    let next = Polled::with(&counting(""), bin.clone(), &waiting).await;
    next.until("a failure", || {
        next.status().failures.get(&FailureReason::Internal) >= Some(&1)
    })
    .await;
    let failure = next.status().last_failure.unwrap();
    assert!(
        failure
            .message
            .starts_with("the counters' state cannot be read yet: ")
            && failure.message.ends_with(
                "is held by another process; a state directory is for one exporter only"
            ),
        "{}",
        failure.message
    );
    assert_eq!(next.totals(), [""; 0], "two that count would count twice");

    old.poller.stop().await;
    drop(ledger);
    // Nobody counts these when they arrive.
    bin.rows.store(10, Ordering::Relaxed);
    next.until("the lock", || waiting.retry().is_ok()).await;
    next.until("what the old one had counted", || !next.totals().is_empty())
        .await;
    assert_eq!(next.totals(), ["2"], "it is seen before it grows");
    next.until("what arrived meanwhile", || next.totals() == ["5"])
        .await;
}
