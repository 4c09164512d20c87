//! Counters: a run asks for the bins that the book lacks, slice by slice, and each answer's growth is
//! written before it is published.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ring::digest;

use crate::azure::{Cost, LogsClient, Query, QueryFailure};
use crate::catalogue::{Counting, QueryDefinition};
use crate::config::Workspace;
use crate::ledger::{
    Absorbed, Book, Change, Entry, Gap, Key, Ledger, MINUTE, Micros, Rules, StoreError, Window,
};
use crate::series::{
    BinRow, Family, FamilyHeader, LabelName, Mapping, OVERFLOW, Projection, RowIssue, RowIssues,
    SeriesList, bins,
};
use crate::snapshot::LedgerStatus;
use crate::telemetry::events::StateUnreadable;
use crate::telemetry::{FailureReason, error_chain};

use super::{Polled, Unpolled};

/// After so many good answers in a row a question may be wider again.
const WIDER_AFTER: u32 = 4;

/// A book that says again and again that its window is gone has a service whose clock runs wild.
const MOST_GAPS: usize = 3;

/// The counts of one query and workspace, and what has become of them.
#[derive(Clone)]
pub struct Tally {
    ledger: Ledger,
    query: Arc<QueryDefinition>,
    workspace: Workspace,
    counting: Counting,
    held: Arc<Mutex<Held>>,
}

struct Held {
    book: Book,
    status: LedgerStatus,
    /// How wide a question may be; less than a slice after an answer that was too big.
    width: Micros,
    /// Whether the book could not be read: nothing of it is published until it is written again.
    is_lost: bool,
    /// Whether a run has ended since the book was read: what was to be seen at 0 before it grows has been.
    is_shown: bool,
}

impl Tally {
    /// The counts as the ledger has them; `None` if the query does not count. `before` is what
    /// counted for the query until now: a ledger in memory has nothing else.
    pub fn open(
        ledger: &Ledger,
        query: &Arc<QueryDefinition>,
        workspace: &Workspace,
        before: Option<&Self>,
    ) -> Option<Self> {
        let counting = query.counting.clone()?;
        let rules = rules(query, &counting);
        let before = before.filter(|before| before.workspace.id == workspace.id);
        let (book, error) = match before {
            Some(before) if !ledger.is_persistent() => {
                (before.lock().book.clone().under(rules), None)
            }
            _ => ledger.book(query.name.as_str(), &workspace.id.to_string(), rules),
        };
        let is_lost = error.is_some();
        // That another process has the state has been said once, for all queries.
        if let Some(error) = error.filter(|_| !ledger.is_waiting()) {
            StateUnreadable {
                query: query.name.as_str(),
                workspace: &workspace.name,
                error: &error_chain(&error),
            }
            .emit();
        }
        let width = book.slice();
        Some(Self {
            ledger: ledger.clone(),
            query: query.clone(),
            workspace: workspace.clone(),
            counting,
            held: Arc::new(Mutex::new(Held {
                status: LedgerStatus {
                    covered_until: book.covered_until().map(seconds),
                    ..before.map(Self::status).unwrap_or_default()
                },
                book,
                width,
                is_lost,
                is_shown: false,
            })),
        })
    }

    pub fn status(&self) -> LedgerStatus {
        self.lock().status
    }

    /// Asks until the book has everything that is there.
    ///
    /// # Errors
    /// If an answer fails; what the ones before it brought is kept.
    pub async fn run(&self, client: &LogsClient, slow: bool) -> Result<Polled, Unpolled> {
        let polled = self.catch_up(client, slow).await;
        self.lock().is_shown = true;
        polled
    }

    async fn catch_up(&self, client: &LogsClient, slow: bool) -> Result<Polled, Unpolled> {
        let tally = self.clone();
        tokio::task::spawn_blocking(move || tally.reread().map_err(Box::new))
            .await?
            .map_err(|error| *error)?;
        let (mut window, mut width, slice) = {
            let held = self.lock();
            let width = held.width;
            (held.book.question(width), width, held.book.slice())
        };
        let mut polled = Polled {
            rows: 0,
            unreadable_rows: 0,
            slow,
            cost: Cost::default(),
            projection: Projection {
                families: Vec::new(),
                issues: RowIssues::default(),
            },
        };
        let mut release = self.lock().is_shown;
        let mut gaps = 0;
        let mut good = 0;
        loop {
            let kql = self.text(window)?;
            let asked = client
                .query(Query {
                    workspace: &self.workspace,
                    kql: &kql,
                    timeout: self.query.timeout,
                    patience: self.query.interval,
                    slow: polled.slow,
                })
                .await;
            let answer = match asked {
                Err(failure) if is_too_much(&failure) && window.width() > MINUTE => {
                    // Whole minutes, and at last a single one.
                    width = (window.width() / 2 / MINUTE).max(1) * MINUTE;
                    good = 0;
                    self.lock().width = width;
                    window = window.narrowed(width);
                    continue;
                }
                answer => answer?,
            };
            polled.slow = answer.slow;
            polled.cost += answer.cost;
            polled.rows += answer.table.row_count() as u64 + answer.unreadable_rows;
            polled.unreadable_rows += answer.unreadable_rows;
            let served = answer.served.ok_or(Unpolled::NoDate)?.as_microsecond();
            let tally = self.clone();
            let taking = move || {
                tally
                    .take(window, &answer.table, served, release)
                    .map_err(Box::new)
            };
            let taken = tokio::task::spawn_blocking(taking)
                .await?
                .map_err(|error| *error)?;
            release = false;
            let (absorbed, issues) = taken;
            polled.projection.issues.add_all(&issues);
            // What was too much for a service that was busy may be none now. Where it is too much for
            // good, few questions are asked in vain.
            good += 1;
            if good % WIDER_AFTER == 0 || !absorbed.behind {
                width = (width * 2).min(slice);
                self.lock().width = width;
            }
            if absorbed.gap.is_some() {
                gaps += 1;
                if gaps > MOST_GAPS {
                    return Err(Unpolled::ClockRunsWild);
                }
                window = self.lock().book.question(width);
            } else if let (true, Window::Bins { until, .. }) = (absorbed.behind, window) {
                window = Window::Bins {
                    from: until,
                    until: until.saturating_add(width),
                };
            } else {
                break;
            }
        }
        let tally = self.clone();
        polled.projection.families = tokio::task::spawn_blocking(move || tally.families()).await?;
        Ok(polled)
    }

    /// Reads a book that could not be read. Until that is done nothing is asked: what was counted beside
    /// it would be counted twice. And when it is done, this run ends, so that what was written is seen
    /// before it grows.
    fn reread(&self) -> Result<(), Unpolled> {
        let mut held = self.lock();
        if !held.is_lost {
            return Ok(());
        }
        let rules = rules(&self.query, &self.counting);
        let workspace = self.workspace.id.to_string();
        let (book, error) = self
            .ledger
            .book(self.query.name.as_str(), &workspace, rules);
        match error {
            // It never will be; the next answer's commit writes it anew.
            Some(StoreError::Record { .. }) => Ok(()),
            Some(error) => Err(Unpolled::Unread(error)),
            None => {
                held.width = book.slice();
                held.status.covered_until = book.covered_until().map(seconds);
                held.book = book;
                held.is_lost = false;
                Err(Unpolled::TakenOver)
            }
        }
    }

    /// The query about the bins of a window. What bounds it is computed by the service, from its own
    /// clock.
    fn text(&self, window: Window) -> Result<String, Unpolled> {
        Ok(match window {
            Window::Baseline { lookback } => self
                .counting
                .about(&format!("{}ms", lookback / 1000), "now() + 1d"),
            Window::Bins { from, until } => {
                let moment =
                    |at| Timestamp::from_microsecond(at).map_err(|_| Unpolled::ClockRunsWild);
                self.counting.about(
                    &format!("now() - datetime({})", moment(from)?),
                    &format!("datetime({})", moment(until)?),
                )
            }
        })
    }

    /// Reads an answer into the book and has it written. If that fails, nothing of it is counted: it
    /// will be asked for again.
    fn take(
        &self,
        window: Window,
        table: &crate::table::ResultTable,
        served: Micros,
        release: bool,
    ) -> Result<(Absorbed, RowIssues), Unpolled> {
        let (rows, mut issues) = bins(&self.query.mapping, &self.counting.bin, table)?;
        let entries = rows.into_iter().map(entry).collect();
        let mut held = self.lock();
        let (absorbed, change) = held.book.absorb(window, entries, served, release);
        let (query, workspace) = (self.query.name.as_str(), self.workspace.id.to_string());
        self.write(&mut held, query, &workspace, &change)?;
        let covered = held.book.covered_until();
        let status = &mut held.status;
        status.too_late += absorbed.too_late;
        status.shrunk += absorbed.shrunk;
        status.lost_seconds += match absorbed.gap {
            Some(Gap::Outage(length)) => length as f64 / 1e6,
            _ => 0.0,
        };
        status.clock_went_back += u64::from(absorbed.gap == Some(Gap::ClockWentBack));
        status.covered_until = covered.map(seconds);
        issues.add(RowIssue::OverflowGathered, absorbed.gathered);
        Ok((absorbed, issues))
    }

    fn write(
        &self,
        held: &mut Held,
        query: &str,
        workspace: &str,
        change: &Change,
    ) -> Result<(), Unpolled> {
        let Err(error) = self.ledger.commit(query, workspace, &held.book, change) else {
            held.is_lost = false;
            return Ok(());
        };
        held.status.write_failures += 1;
        let rules = rules(&self.query, &self.counting);
        let (book, unread) = self.ledger.book(query, workspace, rules);
        held.book = book;
        held.is_lost = unread.is_some();
        Err(Unpolled::State(error))
    }

    /// The counters as they were last written; `None` where that cannot be read.
    pub fn written(&self) -> Option<Vec<Family>> {
        let is_lost = self.lock().is_lost;
        (!is_lost).then(|| self.families())
    }

    fn families(&self) -> Vec<Family> {
        let mapping = &self.query.mapping;
        let names: Arc<[LabelName]> = label_names(mapping);
        let held = self.lock();
        let mut published: Vec<_> = held.book.published().collect();
        published.sort_unstable_by_key(|series| (series.labels.is_none(), series.labels));
        let family = |(index, metric): (usize, &crate::series::MetricMapping)| {
            let mut series = SeriesList::new(names.clone());
            for one in &published {
                let began = Timestamp::from_microsecond(one.began).unwrap_or(Timestamp::UNIX_EPOCH);
                let value = one.totals.get(index).copied().unwrap_or_default();
                let workspace = std::iter::once(&*self.workspace.name);
                match one.labels {
                    Some(labels) => {
                        let labels = labels.iter().map(|label| &**label);
                        series.push_counter(workspace.chain(labels), value, began);
                    }
                    None => {
                        let labels = std::iter::repeat_n(OVERFLOW, mapping.labels.len());
                        series.push_counter(workspace.chain(labels), value, began);
                    }
                }
            }
            Family {
                header: FamilyHeader {
                    name: metric.name.clone(),
                    kind: metric.kind,
                    help: metric.help.as_str().into(),
                },
                series,
            }
        };
        mapping.metrics.iter().enumerate().map(family).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        // A panic while it was held has left a book that was not written: the next commit says so.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a narrower question may bring what this one did not; one that was never sent is not too wide.
fn is_too_much(failure: &QueryFailure) -> bool {
    failure.request_id.is_some()
        && matches!(
            failure.reason,
            FailureReason::Partial | FailureReason::Timeout
        )
}

fn label_names(mapping: &Mapping) -> Arc<[LabelName]> {
    std::iter::once(LabelName::workspace())
        .chain(mapping.labels.iter().map(|label| label.label.clone()))
        .collect()
}

fn rules(query: &QueryDefinition, counting: &Counting) -> Rules {
    let mapping = &query.mapping;
    Rules {
        fingerprint: fingerprint(query, counting),
        lookback: micros(counting.lookback),
        catch_up: micros(counting.catch_up),
        expire_after: micros(counting.expire_after),
        max_series: mapping
            .metrics
            .iter()
            .map(|metric| metric.max_series)
            .min()
            .unwrap_or_default(),
        metrics: mapping.metrics.iter().map(|m| m.name.to_string()).collect(),
        labels: mapping.labels.iter().map(|l| l.label.to_string()).collect(),
    }
}

/// Of everything that decides what is counted.
fn fingerprint(query: &QueryDefinition, counting: &Counting) -> u64 {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut part = |text: &str| {
        context.update(&(text.len() as u64).to_le_bytes());
        context.update(text.as_bytes());
    };
    part(&counting.about("", ""));
    part(&counting.bin);
    for label in &query.mapping.labels {
        part(&label.column);
    }
    for metric in &query.mapping.metrics {
        part(&metric.value);
        part(&format!("{:?}", metric.combine));
    }
    let digest = context.finish();
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_ref()[..8]);
    u64::from_le_bytes(first)
}

fn entry(row: BinRow) -> Entry {
    let mut context = digest::Context::new(&digest::SHA256);
    for label in &row.labels {
        context.update(&(label.len() as u64).to_le_bytes());
        context.update(label.as_bytes());
    }
    // Label values are strangers' words: two of them must not be made to meet.
    let digest = context.finish();
    let mut key = Key::default();
    let length = key.len();
    key.copy_from_slice(&digest.as_ref()[..length]);
    Entry {
        bin: row.bin.as_microsecond(),
        key,
        labels: row.labels,
        values: row.values,
    }
}

fn micros(length: Duration) -> Micros {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

fn seconds(moment: Micros) -> f64 {
    moment as f64 / 1e6
}
