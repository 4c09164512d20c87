//! How a poll stands: its counts, its last outcomes, and the families that say so.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::PollKey;
use crate::series::{
    Family, FamilyHeader, LabelName, MetricType, RowIssue, RowIssues, SeriesList, unix_seconds,
};
use crate::telemetry::FailureReason;

/// What the newest answer or the lack of one means. Exclusive and complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollState {
    /// The last poll brought rows.
    Ok,
    /// The last poll brought a whole answer without rows.
    Empty,
    /// The last poll failed; what the last good one brought, if any did, is still published.
    Failed,
    /// No poll has succeeded for so long that its values were dropped.
    Stale,
    /// The workspace has no such table: there is nothing that could be known.
    NotCollected,
    /// None has ended yet.
    Pending,
}

impl PollState {
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::Empty,
        Self::Failed,
        Self::Stale,
        Self::NotCollected,
        Self::Pending,
    ];

    /// The `state` label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Empty => "empty",
            Self::Failed => "failed",
            Self::Stale => "stale",
            Self::NotCollected => "not_collected",
            Self::Pending => "pending",
        }
    }
}

/// A poll's whole answer.
#[derive(Clone, Copy, Debug)]
pub struct Success {
    pub at: Timestamp,
    pub duration: Duration,
    pub rows: u64,
    pub series: u64,
    pub issues: RowIssues,
    /// What it cost the service, where that says so.
    pub cpu: Option<Duration>,
    pub scanned_bytes: Option<u64>,
}

/// Why a poll brought none.
#[derive(Clone, Debug)]
pub struct Failure {
    pub at: Timestamp,
    pub duration: Duration,
    pub reason: FailureReason,
    /// For the log and the status page; never a label.
    pub message: String,
    pub hint: Option<String>,
}

/// How one poll stands.
#[derive(Clone, Debug)]
pub struct PollStatus {
    /// Since when the counts below count.
    pub began: Timestamp,
    pub interval: Duration,
    pub next_run: Timestamp,
    pub state: PollState,
    /// Attempts, those that were left out for overlap too.
    pub polls: u64,
    pub failures: BTreeMap<FailureReason, u64>,
    /// Of all answers together.
    pub row_issues: RowIssues,
    /// Of the last whole answer.
    pub last_issues: RowIssues,
    /// Of all whole answers that said it; absent before the first.
    pub cpu: Option<Duration>,
    pub scanned_bytes: Option<u64>,
    pub last_duration: Option<Duration>,
    pub last_success: Option<Timestamp>,
    /// Of the last whole answer.
    pub rows: Option<u64>,
    /// Published now.
    pub series: u64,
    pub last_failure: Option<Failure>,
    /// There if the query counts.
    pub ledger: Option<LedgerStatus>,
}

/// How a query's counters stand. Times are Azure's own, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LedgerStatus {
    /// Up to where all that had arrived is counted.
    pub covered_until: Option<f64>,
    /// What an outage lasted beyond what can be caught up with.
    pub lost_seconds: f64,
    /// How often Azure's clock went back so far that nothing fitted any more.
    pub clock_went_back: u64,
    /// Bins' values that were lower than before.
    pub shrunk: u64,
    /// Rows of bins that were forgotten already.
    pub too_late: u64,
    pub write_failures: u64,
}

impl PollStatus {
    /// Of a poll that has not run.
    pub fn new(began: Timestamp, interval: Duration, next_run: Timestamp) -> Self {
        Self {
            began,
            interval,
            next_run,
            state: PollState::Pending,
            polls: 0,
            failures: BTreeMap::new(),
            row_issues: RowIssues::default(),
            last_issues: RowIssues::default(),
            cpu: None,
            scanned_bytes: None,
            last_duration: None,
            last_success: None,
            rows: None,
            series: 0,
            last_failure: None,
            ledger: None,
        }
    }

    pub fn succeed(&mut self, success: Success) {
        self.polls += 1;
        self.state = if success.rows == 0 {
            PollState::Empty
        } else {
            PollState::Ok
        };
        self.row_issues.add_all(&success.issues);
        self.last_issues = success.issues;
        if let Some(cpu) = success.cpu {
            self.cpu = Some(self.cpu.unwrap_or_default().saturating_add(cpu));
        }
        if let Some(bytes) = success.scanned_bytes {
            self.scanned_bytes = Some(self.scanned_bytes.unwrap_or_default().saturating_add(bytes));
        }
        self.last_duration = Some(success.duration);
        self.last_success = Some(success.at);
        self.rows = Some(success.rows);
        self.series = success.series;
    }

    /// The values of the last success stay until [`PollStatus::expire`].
    pub fn fail(&mut self, failure: Failure) {
        self.polls += 1;
        *self.failures.entry(failure.reason).or_default() += 1;
        self.state = match (failure.reason, self.state) {
            (FailureReason::NotCollected, _) => PollState::NotCollected,
            (_, PollState::Stale) => PollState::Stale,
            _ => PollState::Failed,
        };
        self.last_duration = Some(failure.duration);
        self.last_failure = Some(failure);
    }

    /// A poll was due while the one before was still running. What the latter brings decides the
    /// state.
    pub fn overlap(&mut self) {
        self.polls += 1;
        *self.failures.entry(FailureReason::Overlap).or_default() += 1;
    }

    /// The last good values are too old and are dropped.
    pub fn expire(&mut self) {
        if self.state != PollState::NotCollected {
            self.state = PollState::Stale;
        }
        self.series = 0;
    }

    /// Whether a first attempt has ended, well or not.
    pub fn was_tried(&self) -> bool {
        self.state != PollState::Pending
    }

    /// The families that say all this, with the labels `query` and `workspace`.
    pub fn families(&self, key: &PollKey) -> Vec<Family> {
        POLL_FAMILIES
            .iter()
            .map(|own| {
                let names = ["query", "workspace"].into_iter().chain(own.label);
                // The names are those of the table below, which a test reads through.
                let names: Option<Vec<LabelName>> = names.map(|name| name.parse().ok()).collect();
                let mut series = SeriesList::new(names.unwrap_or_default().into());
                for (label, value) in (own.samples)(self) {
                    let labels = [&*key.query, &*key.workspace, label];
                    match own.kind {
                        MetricType::Counter => series.push_counter(labels, value, self.began),
                        MetricType::Gauge => series.push(labels, value),
                    }
                }
                (own, series)
            })
            .filter_map(|(own, series)| {
                Some(Family {
                    header: FamilyHeader {
                        name: own.name.parse().ok()?,
                        kind: own.kind,
                        help: own.help.into(),
                    },
                    series,
                })
            })
            .collect()
    }
}

/// A family that the exporter has for each poll: the page and the documentation are made from it.
pub struct OwnFamily {
    pub name: &'static str,
    pub kind: MetricType,
    pub help: &'static str,
    /// Beside `query` and `workspace`.
    pub label: Option<&'static str>,
    samples: fn(&PollStatus) -> Vec<(&'static str, f64)>,
}

const fn own(
    name: &'static str,
    kind: MetricType,
    label: Option<&'static str>,
    help: &'static str,
    samples: fn(&PollStatus) -> Vec<(&'static str, f64)>,
) -> OwnFamily {
    OwnFamily {
        name,
        kind,
        help,
        label,
        samples,
    }
}

fn one(value: f64) -> Vec<(&'static str, f64)> {
    vec![("", value)]
}

/// The families of [`PollStatus::families`].
pub const POLL_FAMILIES: [OwnFamily; 16] = [
    own(
        "vminsights_exporter_polls_total",
        MetricType::Counter,
        None,
        "Polls of the query, failed ones included.",
        |poll| one(poll.polls as f64),
    ),
    own(
        "vminsights_exporter_poll_failures_total",
        MetricType::Counter,
        Some("reason"),
        "Polls that brought no whole answer, by reason; a reason appears when it has happened.",
        |poll| {
            let failures = poll.failures.iter();
            failures
                .map(|(reason, count)| (reason.as_str(), *count as f64))
                .collect()
        },
    ),
    own(
        "vminsights_exporter_poll_state",
        MetricType::Gauge,
        Some("state"),
        "1 for the state that the poll is in, else 0: ok (rows), empty (a whole answer without rows), failed (last good values still shown), stale (they were dropped), not_collected (the workspace has no such table), pending (none has ended yet).",
        |poll| {
            PollState::ALL
                .map(|state| (state.as_str(), f64::from(u8::from(state == poll.state))))
                .into()
        },
    ),
    own(
        "vminsights_exporter_poll_duration_seconds",
        MetricType::Gauge,
        None,
        "How long the last poll took, from sign-in to the last series.",
        |poll| {
            let duration = poll.last_duration;
            duration.map_or(Vec::new(), |duration| one(duration.as_secs_f64()))
        },
    ),
    own(
        "vminsights_exporter_poll_rows",
        MetricType::Gauge,
        None,
        "Rows of the last whole answer.",
        |poll| poll.rows.map_or(Vec::new(), |rows| one(rows as f64)),
    ),
    own(
        "vminsights_exporter_poll_series",
        MetricType::Gauge,
        None,
        "Series of the query that are published now.",
        |poll| one(poll.series as f64),
    ),
    own(
        "vminsights_exporter_poll_row_issues_total",
        MetricType::Counter,
        Some("issue"),
        "Rows, or single samples of them, that are not published as such: unreadable, not_finite, duplicate (a label set that another row has), overflow_gathered or overflow_dropped (beyond max_series), truncated (published, with a label value cut at 1,024 bytes).",
        |poll| {
            RowIssue::ALL
                .map(|issue| (issue.as_str(), poll.row_issues.get(issue) as f64))
                .into()
        },
    ),
    own(
        "vminsights_exporter_poll_cpu_seconds_total",
        MetricType::Counter,
        None,
        "Processor time that Azure spent on the query's whole answers, by its own account; absent before the first that says so.",
        |poll| poll.cpu.map_or(Vec::new(), |cpu| one(cpu.as_secs_f64())),
    ),
    own(
        "vminsights_exporter_poll_scanned_bytes_total",
        MetricType::Counter,
        None,
        "Stored data (compressed) that Azure read for the query's whole answers, from its caches or past them, by its own account; not what it bills, and absent before the first answer that says so.",
        |poll| {
            poll.scanned_bytes
                .map_or(Vec::new(), |bytes| one(bytes as f64))
        },
    ),
    own(
        "vminsights_exporter_poll_last_success_timestamp_seconds",
        MetricType::Gauge,
        None,
        "When the last whole answer came; absent before the first.",
        |poll| {
            poll.last_success
                .map_or(Vec::new(), |at| one(unix_seconds(at)))
        },
    ),
    own(
        "vminsights_exporter_poll_next_run_timestamp_seconds",
        MetricType::Gauge,
        None,
        "When the query is asked next.",
        |poll| one(unix_seconds(poll.next_run)),
    ),
    own(
        "vminsights_exporter_poll_interval_seconds",
        MetricType::Gauge,
        None,
        "How often the query is asked.",
        |poll| one(poll.interval.as_secs_f64()),
    ),
    own(
        "vminsights_exporter_ledger_covered_until_timestamp_seconds",
        MetricType::Gauge,
        None,
        "Up to where, by Azure's clock, all rows that had arrived are in the counters; absent before the first whole answer. Only for queries that feed counters, as all families of the ledger.",
        |poll| {
            let covered = poll.ledger.and_then(|ledger| ledger.covered_until);
            covered.map_or(Vec::new(), one)
        },
    ),
    own(
        "vminsights_exporter_ledger_lost_seconds_total",
        MetricType::Counter,
        None,
        "How much of the time of outages was beyond what can be caught up with: rows that arrived then are not in the counters.",
        |poll| {
            poll.ledger
                .map_or(Vec::new(), |ledger| one(ledger.lost_seconds))
        },
    ),
    own(
        "vminsights_exporter_ledger_anomalies_total",
        MetricType::Counter,
        Some("anomaly"),
        "What counting met that should not be: shrunk (a bin's value was lower than before; nothing is subtracted), too_late (a bin that was forgotten already; not counted), clock_went_back (Azure's clock; the counters took a new baseline).",
        |poll| {
            poll.ledger.map_or(Vec::new(), |ledger| {
                vec![
                    ("shrunk", ledger.shrunk as f64),
                    ("too_late", ledger.too_late as f64),
                    ("clock_went_back", ledger.clock_went_back as f64),
                ]
            })
        },
    ),
    own(
        "vminsights_exporter_ledger_write_failures_total",
        MetricType::Counter,
        None,
        "Answers whose growth could not be written to the state, and so was not counted yet.",
        |poll| {
            poll.ledger
                .map_or(Vec::new(), |ledger| one(ledger.write_failures as f64))
        },
    ),
];
