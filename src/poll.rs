//! When to ask, and what becomes of the answer: one task for each query and workspace.
//!
//! A task asks through `azure`, has `series` read the answer, and publishes to the
//! [`SnapshotStore`]; only this module does. A failure costs its own query and workspace: their last
//! good values stay up until they are stale. The next run never waits for the one before: it is left
//! out and counted as an overlap.

mod counting;
mod poller;
mod schedule;
mod unpolled;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, Span};

use crate::azure::{Cost, LogsClient, Query, QueryFailure};
use crate::catalogue::QueryDefinition;
use crate::config::Workspace;
use crate::ledger::Ledger;
use crate::series::{
    Family, FamilyHeader, MetricMapping, Projection, RowIssue, SeriesList, ShapeError, project,
};
use crate::snapshot::{
    Block, Contribution, Failure, PollKey, PollState, PollStatus, Snapshot, SnapshotStore, Success,
};
use crate::table::ResultTable;
use crate::telemetry::events::{PollFailed, PollRecovered, RowsLeftOut, ValuesDropped};
use crate::telemetry::{FailureReason, error_chain, spans};
use counting::Tally;
pub use poller::{Changes, Poller};
use schedule::Schedule;
use unpolled::Unpolled;

/// From so many rows on, a table is read on a thread where it holds up no other poll.
const MANY_ROWS: usize = 2_000;
/// However long the service asks us to wait, we look again after this.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// What only a person can mend (a role, a table, the query's text) is asked for ever more calmly, up to
/// this pace, and so found soon after it has been mended.
const CALM: Duration = Duration::from_secs(5 * 60);

/// One query asked of one workspace, again and again.
struct Poll {
    key: PollKey,
    query: Arc<QueryDefinition>,
    workspace: Workspace,
    client: LogsClient,
    store: Arc<SnapshotStore>,
    schedule: Schedule,
    status: PollStatus,
    /// What the last whole answer said; in the mapping's order.
    blocks: Vec<Arc<Block>>,
    /// When `blocks` are dropped unless a poll succeeds.
    stale_at: Option<Instant>,
    /// Whether the last answer, or the lack of it, took the service long.
    slow: bool,
    /// How many failures in a row only a person could mend.
    hopeless: u32,
    /// There if the query counts.
    tally: Option<Tally>,
}

/// A run that is under way. Dropping it gives it up.
struct Run {
    started: Instant,
    /// The root of the run's trace; it ends when what the run brought is published.
    span: Span,
    task: AbortOnDrop<Result<Polled, Unpolled>>,
}

/// A whole answer, read.
struct Polled {
    rows: u64,
    unreadable_rows: u64,
    slow: bool,
    cost: Cost,
    projection: Projection,
}

impl Poll {
    /// One that has not run.
    fn new(
        query: Arc<QueryDefinition>,
        workspace: Workspace,
        client: LogsClient,
        store: Arc<SnapshotStore>,
        schedule: Schedule,
    ) -> Self {
        let next_run = timestamp(schedule.next());
        Self {
            key: PollKey {
                query: query.name.as_str().into(),
                workspace: workspace.name.clone(),
            },
            status: PollStatus::new(Timestamp::now(), query.interval, next_run),
            query,
            workspace,
            client,
            store,
            schedule,
            blocks: Vec::new(),
            stale_at: None,
            slow: false,
            hopeless: 0,
            tally: None,
        }
    }

    /// `rush`: how long it takes to ask once all that start with it.
    fn starts_in_a_rush(&mut self, rush: Duration) {
        self.schedule.starts_in_a_rush(rush);
        self.status.next_run = timestamp(self.schedule.next());
    }

    /// Puts it on the page: as pending, or with what its counters had come to. The poll that counted
    /// before has ended by now; `before` is its tally.
    fn begin(&mut self, ledger: &Ledger, before: Option<&Tally>) {
        self.tally = Tally::open(ledger, &self.query, &self.workspace, before);
        if self.tally.is_some() {
            self.stale_at = None;
        }
        if !self.recount() {
            self.publish();
        }
    }

    /// Goes on from where the poll before, of an older definition or client, was stopped: until the
    /// first answer with those of its values that mean the same today.
    fn take_over(&mut self, before: &Self) {
        if before.workspace.id != self.workspace.id {
            return;
        }
        let mapping = &self.query.mapping;
        if !before.blocks.is_empty() {
            let labels = || mapping.labels.iter().map(|mapped| &mapped.label);
            let kept = mapping.metrics.iter().map(|metric| {
                let mut blocks = before.blocks.iter();
                let same = blocks.find(|block| {
                    let header = block.header();
                    (&header.name, header.kind, &*header.help)
                        == (&metric.name, metric.kind, metric.help.as_str())
                        && block.series().names().iter().skip(1).eq(labels())
                });
                same.cloned().unwrap_or_else(|| no_series(metric))
            });
            self.blocks = kept.collect();
        }
        self.status = PollStatus {
            interval: self.status.interval,
            next_run: self.status.next_run,
            series: series(&self.blocks),
            ..before.status.clone()
        };
        let (was, is) = (before.query.stale_after, self.query.stale_after);
        self.stale_at = before
            .stale_at
            .map(|at| at.checked_sub(was).unwrap_or(at) + is);
    }

    /// Runs until it is told to stop. A panic is a mistake of ours: it costs this poll its values,
    /// which nobody would refresh or drop otherwise, and no other poll anything.
    async fn keep_running(mut self, mut stopped: oneshot::Receiver<()>) -> Self {
        loop {
            let ended = tokio::select! {
                biased;
                _ = &mut stopped => return self,
                ended = AssertUnwindSafe(self.run()).catch_unwind() => ended,
            };
            if ended.is_err() {
                self.fail(&Unpolled::Panic, Duration::ZERO);
                self.expire();
                self.publish();
            }
        }
    }

    async fn run(&mut self) {
        let mut running: Option<Run> = None;
        loop {
            let ended = async {
                match &mut running {
                    Some(run) => (&mut run.task.0).await,
                    None => std::future::pending().await,
                }
            };
            let stale = async {
                match self.stale_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // A run that has ended is no overlap for the one that is due at the same moment.
                biased;
                result = ended => {
                    let Some(Run { started, span, .. }) = running.take() else {
                        continue;
                    };
                    let result = result.unwrap_or_else(|panic| Err(panic.into()));
                    span.in_scope(|| self.settle(result, started.elapsed()));
                }
                () = sleep_until(self.schedule.next()) => {
                    self.schedule.advance(Instant::now());
                    self.status.next_run = timestamp(self.schedule.next());
                    if running.is_some() {
                        self.status.overlap();
                    } else {
                        running = Some(self.ask());
                    }
                    self.publish();
                }
                () = stale => {
                    self.expire();
                    self.publish();
                }
            }
        }
    }

    /// Begins a run.
    fn ask(&self) -> Run {
        let span = spans::poll(&self.key.query, &self.key.workspace);
        let query = self.query.clone();
        let workspace = self.workspace.clone();
        let client = self.client.clone();
        let previous = self.blocks.clone();
        let slow = self.slow;
        let tally = self.tally.clone();
        let asking = async move {
            if let Some(tally) = tally {
                return tally.run(&client, slow).await;
            }
            let answer = client
                .query(Query {
                    workspace: &workspace,
                    kql: &query.kql,
                    timeout: query.timeout,
                    // When the next run is due, this one's answer is late news.
                    patience: query.interval,
                    slow,
                })
                .await?;
            let (slow, cost) = (answer.slow, answer.cost);
            let unreadable_rows = answer.unreadable_rows;
            let rows = answer.table.row_count() as u64 + unreadable_rows;
            let projecting = spans::project(rows);
            let read = move || {
                projecting.in_scope(|| {
                    read(&query, &answer.table, &workspace.name, &previous)
                        .inspect_err(|_| spans::failed(&projecting, FailureReason::Shape))
                })
            };
            let projection = if rows as usize > MANY_ROWS {
                tokio::task::spawn_blocking(read).await??
            } else {
                read()?
            };
            Ok(Polled {
                rows,
                unreadable_rows,
                slow,
                cost,
                projection,
            })
        };
        Run {
            started: Instant::now(),
            task: AbortOnDrop(tokio::spawn(asking.instrument(span.clone()))),
            span,
        }
    }

    /// Takes in what a run brought and publishes it.
    fn settle(&mut self, result: Result<Polled, Unpolled>, duration: Duration) {
        self.slow = match &result {
            Ok(polled) => polled.slow,
            Err(Unpolled::Query(failure)) => failure.slow,
            Err(_) => self.slow,
        };
        match result {
            Ok(polled) => self.succeed(polled, duration),
            Err(error) => {
                self.fail(&error, duration);
                spans::publish().in_scope(|| {
                    // What was counted before the run failed has been written.
                    if !self.recount() {
                        self.publish();
                    }
                });
            }
        }
    }

    fn succeed(&mut self, polled: Polled, duration: Duration) {
        self.hopeless = 0;
        let Projection {
            families,
            mut issues,
        } = polled.projection;
        issues.add(RowIssue::Unreadable, polled.unreadable_rows);
        let failed_before = self.status.last_failure.as_ref().is_some_and(|failure| {
            self.status
                .last_success
                .is_none_or(|success| failure.at > success)
        });
        let had_issues = self.status.last_issues.total() > 0;
        let at = Timestamp::now();
        let publishing = spans::publish().entered();
        self.status.ledger = self.tally.as_ref().map(Tally::status);
        self.store.publish(&self.key, |current| {
            let (blocks, dropped) = blocks(families, &self.key, current, at);
            issues.add(RowIssue::Duplicate, dropped);
            self.blocks = blocks;
            self.status.succeed(Success {
                at,
                duration,
                rows: polled.rows,
                series: series(&self.blocks),
                issues,
                cpu: polled.cost.cpu,
                scanned_bytes: polled.cost.scanned_bytes,
            });
            Contribution {
                blocks: self.blocks.clone(),
                status: self.status.clone(),
                at,
            }
        });
        drop(publishing);
        // What was counted stays so.
        let goes_stale = self.tally.is_none();
        self.stale_at = goes_stale.then(|| Instant::now() + self.query.stale_after);
        let (query, workspace) = (&*self.key.query, &*self.key.workspace);
        if failed_before {
            PollRecovered { query, workspace }.emit();
        }
        if issues.total() > 0 && !had_issues {
            RowsLeftOut {
                query,
                workspace,
                issues: &issues,
            }
            .emit();
        }
    }

    fn fail(&mut self, error: &Unpolled, duration: Duration) {
        let (reason, hint) = (error.reason(), error.hint());
        if let Unpolled::Query(QueryFailure {
            retry_after: Some(wait),
            ..
        }) = error
        {
            self.schedule
                .postpone(Instant::now() + (*wait).min(LONGEST_WAIT));
            self.status.next_run = timestamp(self.schedule.next());
        }
        self.hopeless = match reason {
            FailureReason::Forbidden
            | FailureReason::NotFound
            | FailureReason::NotCollected
            | FailureReason::BadQuery => self.hopeless.saturating_add(1),
            _ => 0,
        };
        let pause = calm(self.query.interval, self.hopeless);
        if !pause.is_zero() {
            self.schedule.postpone(Instant::now() + pause);
            self.status.next_run = timestamp(self.schedule.next());
        }
        spans::failed(&Span::current(), reason);
        let message = error_chain(error);
        // Where there is no table that is said once: it may well stay so.
        if reason != FailureReason::NotCollected || self.status.state != PollState::NotCollected {
            PollFailed {
                query: &self.key.query,
                workspace: &self.key.workspace,
                reason,
                duration,
                error: &message,
                hint,
            }
            .emit();
        }
        self.status.fail(Failure {
            at: Timestamp::now(),
            duration,
            reason,
            message,
            hint: hint.map(str::to_owned),
        });
    }

    /// Publishes what the counters have come to, if it counts and that is known.
    fn recount(&mut self) -> bool {
        let Some(tally) = &self.tally else {
            return false;
        };
        self.status.ledger = Some(tally.status());
        let Some(families) = tally.written() else {
            return false;
        };
        let at = Timestamp::now();
        self.store.publish(&self.key, |current| {
            self.blocks = blocks(families, &self.key, current, at).0;
            self.status.series = series(&self.blocks);
            Contribution {
                blocks: self.blocks.clone(),
                status: self.status.clone(),
                at,
            }
        });
        true
    }

    /// Drops the values of the last success, which is too long ago.
    fn expire(&mut self) {
        self.stale_at = None;
        ValuesDropped {
            query: &self.key.query,
            workspace: &self.key.workspace,
            series: self.status.series,
            stale_after: self.query.stale_after,
        }
        .emit();
        self.blocks.clear();
        self.status.expire();
    }

    fn publish(&self) {
        self.store.publish(&self.key, |_| Contribution {
            blocks: self.blocks.clone(),
            status: self.status.clone(),
            at: Timestamp::now(),
        });
    }
}

/// The families as they go on the page, and how many series do not: two samples of one label set
/// would make Prometheus refuse the whole page.
fn blocks(
    families: Vec<Family>,
    key: &PollKey,
    current: &Snapshot,
    at: Timestamp,
) -> (Vec<Arc<Block>>, u64) {
    let mut all_dropped = 0;
    let blocks = families.into_iter().map(|mut family| {
        let rivals = current.rivals(key, &family.header.name);
        let (series, dropped) = family.series.without(&rivals);
        all_dropped += dropped as u64;
        family.series = series;
        Arc::new(Block::new(family, at))
    });
    (blocks.collect(), all_dropped)
}

/// How many series there are.
fn series(blocks: &[Arc<Block>]) -> u64 {
    blocks.iter().map(|block| block.series().len() as u64).sum()
}

/// How long nothing is asked after so many failures in a row that only a person could mend: after the
/// first not at all, for it may have been a slip, then one interval, three, seven, up to [`CALM`].
fn calm(interval: Duration, hopeless: u32) -> Duration {
    let doubled = 1_u32.checked_shl(hopeless.saturating_sub(1));
    let left_out = doubled.map_or(u32::MAX, |doubled| doubled.saturating_sub(1));
    interval.saturating_mul(left_out).min(CALM)
}

/// Reads a table as the definition says.
fn read(
    query: &QueryDefinition,
    table: &ResultTable,
    workspace: &str,
    previous: &[Arc<Block>],
) -> Result<Projection, ShapeError> {
    let previous: Vec<&SeriesList> = previous.iter().map(|block| block.series()).collect();
    project(&query.mapping, table, workspace, &previous)
}

/// What stands in the blocks, in its metric's place, where nothing is known.
fn no_series(metric: &MetricMapping) -> Arc<Block> {
    let header = FamilyHeader {
        name: metric.name.clone(),
        kind: metric.kind,
        help: metric.help.as_str().into(),
    };
    let series = SeriesList::new(Arc::new([]));
    Arc::new(Block::new(Family { header, series }, Timestamp::now()))
}

/// Ends the task when nobody waits for it any more.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The wall clock's time of a moment near now.
fn timestamp(moment: Instant) -> Timestamp {
    let now = Instant::now();
    let ahead = moment.saturating_duration_since(now);
    let behind = now.saturating_duration_since(moment);
    // Only a clock near the end of time could overflow here.
    Timestamp::now()
        .checked_add(ahead)
        .and_then(|at| at.checked_sub(behind))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
