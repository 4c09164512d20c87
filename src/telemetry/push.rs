//! What the push over OTLP says about itself: its counters and its events.
//!
//! The counters exist only where a push is configured. An exporter that does not push would
//! otherwise show pushes that never happen, and alerts on the last success would fire for it.

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, Opts};

use super::SelfMetrics;

/// How a push ended: the `outcome` label's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// The receiver took all of it.
    Success,
    /// The receiver took it, but not each of its data points.
    Partial,
    /// The receiver said no, in a way that sending again does not change.
    Refused,
    /// The receiver could not be reached, or had not taken it when the time was up.
    Failed,
    /// It was not tried: the one before was still under way, or the receiver had asked for patience.
    Skipped,
}

impl PushOutcome {
    pub const ALL: [Self; 5] = [
        Self::Success,
        Self::Partial,
        Self::Refused,
        Self::Failed,
        Self::Skipped,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// Counters of the push. Cheap to clone; clones share the counters.
#[derive(Clone, Debug)]
pub struct PushMetrics {
    pushes: IntCounterVec,
    retries: IntCounter,
    sent: IntCounter,
    rejected: IntCounter,
    /// Without a label, so that there is none before the first success.
    last_success: GaugeVec,
    duration: Gauge,
}

impl PushMetrics {
    /// Adds the push's counters to those of the process.
    ///
    /// # Errors
    /// If they are there already.
    pub fn new(process: &SelfMetrics) -> prometheus::Result<Self> {
        let metrics = Self {
            pushes: IntCounterVec::new(
                Opts::new(
                    "vminsights_exporter_otlp_pushes_total",
                    "Pushes over OTLP by outcome: success, partial (some data points rejected), refused, failed or skipped.",
                ),
                &["outcome"],
            )?,
            retries: IntCounter::new(
                "vminsights_exporter_otlp_retries_total",
                "Requests over OTLP that were sent again because the receiver could not be reached or asked for it.",
            )?,
            sent: IntCounter::new(
                "vminsights_exporter_otlp_data_points_sent_total",
                "Data points in requests that the OTLP receiver answered with success, those that it rejected among them.",
            )?,
            rejected: IntCounter::new(
                "vminsights_exporter_otlp_data_points_rejected_total",
                "Data points that the OTLP receiver said it rejected, out of requests that it answered with success.",
            )?,
            last_success: GaugeVec::new(
                Opts::new(
                    "vminsights_exporter_otlp_last_success_timestamp_seconds",
                    "When the OTLP receiver last took a whole push; absent before the first.",
                ),
                &[],
            )?,
            duration: Gauge::new(
                "vminsights_exporter_otlp_push_duration_seconds",
                "How long the last push over OTLP took, waits and repetitions included.",
            )?,
        };
        for outcome in PushOutcome::ALL {
            metrics.pushes.with_label_values(&[outcome.as_str()]);
        }
        process.register(&metrics.pushes)?;
        process.register(&metrics.retries)?;
        process.register(&metrics.sent)?;
        process.register(&metrics.rejected)?;
        process.register(&metrics.last_success)?;
        process.register(&metrics.duration)?;
        Ok(metrics)
    }
}

/// Headers, which often hold a token, travel in the clear to another machine.
pub struct HeadersInTheClear<'a> {
    /// What goes along with them: `metrics` or `traces`.
    pub signal: &'a str,
    pub host: &'a str,
}

impl HeadersInTheClear<'_> {
    pub fn emit(&self) {
        tracing::warn!(
            signal = self.signal,
            host = self.host,
            "OTLP headers are sent over plain http; whoever is on the way can read them"
        );
    }
}

/// A push ended.
pub struct PushEnded<'a> {
    pub outcome: PushOutcome,
    /// In requests that the receiver took.
    pub sent: u64,
    /// Of those, what it said it rejected.
    pub rejected: u64,
    pub duration: Duration,
    /// The moment, in seconds since 1970.
    pub at: f64,
    /// What went wrong, or what the receiver had to say.
    pub message: Option<&'a str>,
    /// Whether the push before ended the same way, with the same message. A dead receiver is worth one
    /// line, not one a minute; one that is dead for another reason is worth another.
    pub again: bool,
}

impl PushEnded<'_> {
    pub fn emit(&self, metrics: &PushMetrics) {
        let outcome = self.outcome.as_str();
        metrics.pushes.with_label_values(&[outcome]).inc();
        metrics.sent.inc_by(self.sent);
        metrics.rejected.inc_by(self.rejected);
        metrics.duration.set(self.duration.as_secs_f64());
        if self.outcome == PushOutcome::Success {
            let no_labels: &[&str] = &[];
            metrics
                .last_success
                .with_label_values(no_labels)
                .set(self.at);
        }
        // The level is part of what the macro expands to, so each has its own line.
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    outcome,
                    points = self.sent,
                    rejected = self.rejected,
                    seconds = self.duration.as_secs_f64(),
                    detail = self.message,
                    "OTLP push ended"
                )
            };
        }
        match (self.outcome, self.again) {
            (_, true) => log!(debug),
            // Taken, but not without a word of warning.
            (PushOutcome::Success, false) if self.message.is_none() => log!(info),
            (_, false) => log!(warn),
        }
    }
}

/// A request is sent again.
pub struct PushRetried<'a> {
    pub error: &'a str,
    pub wait: Duration,
}

impl PushRetried<'_> {
    pub fn emit(&self, metrics: &PushMetrics) {
        metrics.retries.inc();
        tracing::debug!(
            error = self.error,
            wait_seconds = self.wait.as_secs_f64(),
            "OTLP request will be sent again"
        );
    }
}

/// Pushes were due and did not run.
pub struct PushSkipped {
    pub pushes: u64,
    pub reason: &'static str,
}

impl PushSkipped {
    pub fn emit(&self, metrics: &PushMetrics) {
        let outcome = PushOutcome::Skipped.as_str();
        metrics
            .pushes
            .with_label_values(&[outcome])
            .inc_by(self.pushes);
        tracing::debug!(
            pushes = self.pushes,
            reason = self.reason,
            "OTLP push skipped"
        );
    }
}
