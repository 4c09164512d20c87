//! Events: each struct's `emit` writes its log line and moves its counter.

use std::time::Duration;

use super::{FailureReason, SelfMetrics};

/// The Logs Query API answered, or could not be asked.
pub struct ApiRequest<'a> {
    pub workspace: &'a str,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    pub duration: Duration,
    /// `None`: it brought a whole table.
    pub failure: Option<FailureReason>,
}

impl ApiRequest<'_> {
    pub fn emit(&self, metrics: &SelfMetrics) {
        metrics.count_api_request(self.failure);
        tracing::debug!(
            workspace = self.workspace,
            status = self.status,
            seconds = self.duration.as_secs_f64(),
            outcome = self.failure.map_or("success", FailureReason::as_str),
            "Logs Query API request"
        );
    }
}

/// A connection to our own server was closed because as many as allowed were open.
pub struct ConnectionRefused {
    pub limit: usize,
}

impl ConnectionRefused {
    pub fn emit(&self, metrics: &SelfMetrics) {
        metrics.count_refused_connection();
        tracing::debug!(limit = self.limit, "connection refused: too many are open");
    }
}

/// A collector did not take some of our spans.
pub struct SpansLost<'a> {
    pub spans: u64,
    pub error: &'a str,
}

impl SpansLost<'_> {
    /// Without `log` it is counted only: a collector that is away would fill the log.
    pub fn emit(&self, metrics: &SelfMetrics, log: bool) {
        metrics.count_lost_spans(self.spans);
        if log {
            tracing::warn!(
                spans = self.spans,
                error = self.error,
                "the collector does not take our traces"
            );
        }
    }
}

/// A poll brought no whole answer. Its counter is part of the poll's status, which is on the page.
pub struct PollFailed<'a> {
    pub query: &'a str,
    pub workspace: &'a str,
    pub reason: FailureReason,
    pub duration: Duration,
    /// With all its causes.
    pub error: &'a str,
    pub hint: Option<&'a str>,
}

impl PollFailed<'_> {
    pub fn emit(&self) {
        tracing::warn!(
            query = self.query,
            workspace = self.workspace,
            reason = self.reason.as_str(),
            seconds = self.duration.as_secs_f64(),
            error = self.error,
            hint = self.hint,
            "poll failed"
        );
    }
}

/// A poll brought a whole answer after one that failed.
pub struct PollRecovered<'a> {
    pub query: &'a str,
    pub workspace: &'a str,
}

impl PollRecovered<'_> {
    pub fn emit(&self) {
        tracing::info!(
            query = self.query,
            workspace = self.workspace,
            "poll succeeds again"
        );
    }
}

/// Some of an answer's rows are not on the page as such, and the answer before had no such rows.
pub struct RowsLeftOut<'a> {
    pub query: &'a str,
    pub workspace: &'a str,
    /// How many rows or samples had which issue.
    pub issues: &'a dyn std::fmt::Display,
}

impl RowsLeftOut<'_> {
    pub fn emit(&self) {
        tracing::warn!(
            query = self.query,
            workspace = self.workspace,
            issues = %self.issues,
            "some rows are not published as they came"
        );
    }
}

/// The values of a query's last success were too old and are no longer published.
pub struct ValuesDropped<'a> {
    pub query: &'a str,
    pub workspace: &'a str,
    pub series: u64,
    pub stale_after: Duration,
}

impl ValuesDropped<'_> {
    pub fn emit(&self) {
        tracing::warn!(
            query = self.query,
            workspace = self.workspace,
            series = self.series,
            stale_after_seconds = self.stale_after.as_secs(),
            "values dropped: no poll has succeeded for too long"
        );
    }
}
