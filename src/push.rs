//! The second door: the snapshot goes to an OpenTelemetry receiver, every interval.
//!
//! What is sent is what the scrape page has at that moment, the process' own metrics included
//! ([`otlp`] makes the requests, one at a time, so that a big snapshot is never in memory a second
//! time). One push at a time: one that lasts beyond its interval makes the next ones fall out. Nothing
//! is kept for later; the next push has fresher values, so a dead receiver costs counters and no
//! memory, and no poll or scrape waits for it.
//!
//! [`Connection`] is the way to a receiver as the settings have it, for traces too; [`Client`] sends a
//! request over HTTP or gRPC; [`Pusher`] knows when, and what to do about failures.

mod answer;
mod client;
mod connection;
mod grpc;
mod http;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::{OtlpSettings, Signal};
use crate::exposition::{families_of, otlp};
use crate::series::{Family, unix_seconds};
use crate::snapshot::{Snapshot, SnapshotStore};
use crate::telemetry::push::{PushEnded, PushMetrics, PushOutcome, PushRetried, PushSkipped};
use crate::telemetry::{SelfMetrics, error_chain};

pub use answer::{Accepted, Again, SendError};
pub use client::{Client, ClientError};
pub use connection::{Connection, ConnectionError, Roots};
pub use retry::BackOff;

/// However long the interval, the first push comes this soon: after the first polls, and soon
/// enough for a person who waits for it.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// How long the push at shutdown may take.
const LAST_PUSH: Duration = Duration::from_secs(3);

/// Why there can be no push.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the push's counters cannot be added")]
    Metrics(#[from] prometheus::Error),
}

/// Sends the snapshot when it is due.
pub struct Pusher {
    client: Client,
    interval: Duration,
    attributes: Vec<(String, String)>,
    process: SelfMetrics,
    metrics: PushMetrics,
    back_off: BackOff,
    /// How the push before ended, and with what words.
    before: Option<(PushOutcome, Option<String>)>,
}

/// How a push went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub outcome: PushOutcome,
    /// Data points in requests that the receiver took.
    pub sent: u64,
    /// Of those, how many it said it rejected.
    pub rejected: u64,
    /// What went wrong, or what the receiver said.
    pub message: Option<String>,
    /// How long the receiver asked to be left alone.
    pub patience: Duration,
}

impl Pusher {
    /// `None` if no metrics are to be pushed. Connects to nothing yet.
    ///
    /// # Errors
    /// If the settings name a CA file that is none.
    pub fn new(settings: &OtlpSettings, process: &SelfMetrics) -> Result<Option<Self>, PushError> {
        let Some(push) = &settings.metrics else {
            return Ok(None);
        };
        let connection = Connection::new(Signal::Metrics, &push.connection)?;
        Ok(Some(Self {
            client: Client::new(&connection)?,
            interval: push.interval,
            attributes: settings.resource.clone(),
            process: process.clone(),
            metrics: PushMetrics::new(process)?,
            back_off: BackOff::default(),
            before: None,
        }))
    }

    /// With other waits between attempts.
    pub fn with_back_off(self, back_off: BackOff) -> Self {
        Self { back_off, ..self }
    }

    /// What sends, `instance` being unique among those that push to the same receiver.
    pub fn resource(&self, instance: &str) -> Arc<Resource> {
        Arc::new(otlp::resource(instance, &self.attributes))
    }

    /// Pushes every interval until the handle says stop.
    pub fn start(self, store: Arc<SnapshotStore>, instance: &str) -> RunningPush {
        let resource = self.resource(instance);
        let (stop, stopped) = oneshot::channel();
        RunningPush {
            stop,
            task: tokio::spawn(self.run(store, resource, stopped)),
        }
    }

    async fn run(
        mut self,
        store: Arc<SnapshotStore>,
        resource: Arc<Resource>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let interval = self.interval;
        let mut due = Instant::now() + interval.min(FIRST_WITHIN);
        loop {
            let pushed = async {
                tokio::time::sleep_until(due).await;
                self.push(&store, &resource, interval).await
            };
            let report = tokio::select! {
                biased;
                _ = &mut stopped => break,
                report = pushed => report,
            };
            let (next, skipped) = next_due(due, interval, Instant::now() + report.patience);
            due = next;
            if skipped > 0 {
                let reason = if report.patience.is_zero() {
                    "the push before took longer than the interval"
                } else {
                    "the receiver asked for patience"
                };
                PushSkipped {
                    pushes: skipped,
                    reason,
                }
                .emit(&self.metrics);
            }
        }
        // What the last polls brought. Whoever ends the process does not wait long.
        let _ = tokio::time::timeout(LAST_PUSH, self.push(&store, &resource, LAST_PUSH)).await;
    }

    /// One push of what is published now. Requests are sent again until `limit` has passed.
    pub async fn push(
        &mut self,
        store: &SnapshotStore,
        resource: &Arc<Resource>,
        limit: Duration,
    ) -> Report {
        let began = Instant::now();
        let page = Arc::new(Page {
            snapshot: store.current(),
            own: families_of(&self.process.gather(), self.process.began()),
            at: Timestamp::now(),
        });
        let report = self.deliver(&page, resource, began + limit).await;
        let ended = Some((report.outcome, report.message.clone()));
        PushEnded {
            outcome: report.outcome,
            sent: report.sent,
            rejected: report.rejected,
            duration: began.elapsed(),
            at: unix_seconds(Timestamp::now()),
            message: report.message.as_deref(),
            again: self.before == ended,
        }
        .emit(&self.metrics);
        self.before = ended;
        report
    }

    async fn deliver(
        &self,
        page: &Arc<Page>,
        resource: &Arc<Resource>,
        deadline: Instant,
    ) -> Report {
        let mut report = Report {
            outcome: PushOutcome::Success,
            sent: 0,
            rejected: 0,
            message: None,
            patience: Duration::ZERO,
        };
        let mut done = 0;
        loop {
            // Encoding and compressing 4 MiB would hold up a worker that scrapes need, too.
            let (page, resource, client) = (page.clone(), resource.clone(), self.client.clone());
            let next = tokio::task::spawn_blocking(move || {
                let batch =
                    otlp::batch(&resource, page.published(), done, otlp::MAX_REQUEST_BYTES)?;
                Some((client.encode(&batch.request), batch.points))
            });
            let (body, points) = match next.await {
                Ok(Some((Ok(body), points))) => (body, points),
                Ok(None) => return report,
                Ok(Some((Err(error), _))) => {
                    return report.failed(PushOutcome::Failed, error_chain(&error));
                }
                Err(error) => return report.failed(PushOutcome::Failed, error_chain(&error)),
            };
            done += points;
            match self.send(body, deadline).await {
                Ok(accepted) => report.add(points, accepted),
                Err(error) => match error.again {
                    // The next request may hold what the receiver takes.
                    Again::Never => {
                        report = report.failed(PushOutcome::Refused, error.text);
                    }
                    Again::After(asked) => {
                        report.patience = asked.unwrap_or_default();
                        return report.failed(PushOutcome::Failed, error.text);
                    }
                },
            }
        }
    }

    /// Sends one request, again while that may help and there is time.
    async fn send(&self, body: Bytes, deadline: Instant) -> Result<Accepted, SendError> {
        let mut attempt = 0;
        loop {
            let error = match self.client.send(body.clone()).await {
                Ok(accepted) => return Ok(accepted),
                Err(error) => error,
            };
            let Again::After(asked) = error.again else {
                return Err(error);
            };
            let wait = self.back_off.wait(attempt, asked, fastrand::f64());
            if Instant::now() + wait >= deadline {
                return Err(error);
            }
            PushRetried {
                error: &error.text,
                wait,
            }
            .emit(&self.metrics);
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

impl Report {
    fn add(&mut self, points: usize, accepted: Accepted) {
        let points = u64::try_from(points).unwrap_or(u64::MAX);
        self.sent += points;
        // A receiver that rejects more than it got is not believed.
        let rejected = accepted.rejected.min(points);
        self.rejected += rejected;
        if rejected > 0 && self.outcome == PushOutcome::Success {
            self.outcome = PushOutcome::Partial;
        }
        if !accepted.message.is_empty() {
            self.message.get_or_insert(accepted.message);
        }
    }

    fn failed(self, outcome: PushOutcome, message: String) -> Self {
        Self {
            outcome,
            message: Some(message),
            ..self
        }
    }
}

/// What one push sends: a snapshot, and the process' own metrics at that moment.
struct Page {
    snapshot: Arc<Snapshot>,
    own: Vec<Family>,
    at: Timestamp,
}

impl Page {
    fn published(&self) -> impl Iterator<Item = otlp::Published<'_>> {
        let data = self.snapshot.families().flatten();
        let data = data.map(|(_, block)| otlp::Published {
            header: block.header(),
            series: block.series(),
            at: block.at(),
        });
        let own = self.own.iter().map(|family| otlp::Published {
            header: &family.header,
            series: &family.series,
            at: self.at,
        });
        data.chain(own)
    }
}

/// The first moment after `due`, in steps of `interval`, that is not before `earliest`; and how many
/// were left out.
fn next_due(due: Instant, interval: Duration, earliest: Instant) -> (Instant, u64) {
    let next = due + interval;
    let late = earliest.saturating_duration_since(next).as_nanos();
    let missed = late.div_ceil(interval.as_nanos().max(1));
    let missed = u32::try_from(missed).unwrap_or(u32::MAX);
    (next + interval * missed, missed.into())
}

/// A push that goes on beside everything else.
pub struct RunningPush {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl RunningPush {
    /// Breaks off a push under way, pushes a last time, and ends within a few seconds.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// What tells this exporter from others: the machine's name, and the port of the page as in a
/// Prometheus `instance`.
pub fn instance(page: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "localhost",
        name => name,
    };
    match reqwest::Url::parse(page)
        .ok()
        .and_then(|url| url.port_or_known_default())
    {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_push_leaves_out_those_that_were_due_and_keeps_the_phase() {
        let due = Instant::now();
        let second = Duration::from_secs(1);
        let minute = 60 * second;
        for (late, next, skipped) in [(1, 60, 0), (60, 60, 0), (61, 120, 1), (300, 300, 4)] {
            assert_eq!(
                next_due(due, minute, due + late * second),
                (due + next * second, skipped),
                "{late} s"
            );
        }
    }

    #[test]
    fn an_instance_is_a_host_and_the_pages_port() {
        assert!(instance("http://127.0.0.1:10048/metrics").ends_with(":10048"));
        assert!(!instance("unix:/run/x").is_empty());
    }
}
