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
