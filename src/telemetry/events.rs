//! Events: each struct's `emit` writes its log line and moves its counter.

use std::path::Path;
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

/// A sign-in ended. Its failure is logged by whoever needed the token.
pub struct SignedIn {
    /// What the token is for.
    pub service: &'static str,
    /// When the new token ends; `None`: there is none.
    pub expires: Option<jiff::Timestamp>,
}

impl SignedIn {
    pub fn emit(&self, metrics: &SelfMetrics) {
        metrics.count_sign_in(self.service, self.expires);
        let outcome = if self.expires.is_some() {
            "success"
        } else {
            "failure"
        };
        tracing::debug!(service = self.service, outcome, "sign-in");
    }
}

/// Azure was asked which workspaces there are.
pub struct Discovered {
    /// How many were found; `None`: it failed, and whoever asked logs why.
    pub workspaces: Option<usize>,
    pub at: jiff::Timestamp,
}

impl Discovered {
    pub fn emit(&self, metrics: &SelfMetrics) {
        metrics.count_discovery(self.workspaces, self.at);
        let outcome = if self.workspaces.is_some() {
            "success"
        } else {
            "failure"
        };
        tracing::debug!(workspaces = self.workspaces, outcome, "discovery");
    }
}

/// The list of workspaces could not be had; the last one stays in use. [`Discovered`] counts it.
pub struct DiscoveryFailed<'a> {
    /// With all its causes.
    pub error: &'a str,
    pub hint: Option<&'a str>,
    pub again_in: Duration,
}

impl DiscoveryFailed<'_> {
    pub fn emit(&self) {
        tracing::warn!(
            error = self.error,
            hint = self.hint,
            again_in_seconds = self.again_in.as_secs(),
            "cannot find workspaces; those known so far stay"
        );
    }
}

/// A workspace is asked from now on.
pub struct WorkspaceCame<'a> {
    pub workspace: &'a str,
    pub id: &'a dyn std::fmt::Display,
}

impl WorkspaceCame<'_> {
    pub fn emit(&self) {
        tracing::info!(workspace = self.workspace, id = %self.id, "workspace came");
    }
}

/// A workspace is not asked any more, and its series are gone.
pub struct WorkspaceWent<'a> {
    pub workspace: &'a str,
    pub id: &'a dyn std::fmt::Display,
}

impl WorkspaceWent<'_> {
    pub fn emit(&self) {
        tracing::info!(workspace = self.workspace, id = %self.id, "workspace went");
    }
}

/// A connection to our own server was ended by us before its client was done.
pub struct ConnectionCut {
    pub reason: CutReason,
}

/// Why a connection was cut; the label's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutReason {
    /// As many as allowed were open, and this one had stood still for longest.
    Full,
    /// It stood still, or an answer lasted, for too long.
    Stalled,
    /// No TLS handshake came about, or not in time.
    Handshake,
}

impl CutReason {
    pub const ALL: [Self; 3] = [Self::Full, Self::Stalled, Self::Handshake];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Stalled => "stalled",
            Self::Handshake => "handshake",
        }
    }
}

impl ConnectionCut {
    pub fn emit(&self, metrics: &SelfMetrics) {
        metrics.count_cut_connection(self.reason);
        tracing::debug!(reason = self.reason.as_str(), "connection cut");
    }
}

/// The web configuration file, or a certificate or key that it names, changed and is in use.
pub struct WebConfigReloaded<'a> {
    pub file: &'a Path,
}

impl WebConfigReloaded<'_> {
    pub fn emit(&self, metrics: &SelfMetrics) {
        metrics.count_web_config_reload(true);
        tracing::info!(file = %self.file.display(), "web configuration read again");
    }
}

/// It changed and is broken; the last good one stays in use.
pub struct WebConfigRefused<'a> {
    pub problems: &'a dyn std::fmt::Display,
}

impl WebConfigRefused<'_> {
    pub fn emit(&self, metrics: &SelfMetrics) {
        metrics.count_web_config_reload(false);
        tracing::error!(
            problems = %self.problems,
            "web configuration changed and is not good; the last good one stays in use"
        );
    }
}

/// The configuration was read again and is in use.
pub struct ConfigReloaded<'a> {
    pub file: &'a Path,
    /// What became of the polls.
    pub changes: &'a dyn std::fmt::Display,
    /// What changed in the file but takes effect only with a restart.
    pub note: Option<&'a str>,
}

impl ConfigReloaded<'_> {
    pub fn emit(&self, metrics: &SelfMetrics) {
        metrics.count_config_reload(true);
        tracing::info!(file = %self.file.display(), polls = %self.changes, "configuration reloaded");
        if let Some(note) = self.note {
            tracing::warn!("{note}");
        }
    }
}

/// It was to be read again and is not good; the one before stays in use.
pub struct ConfigRefused<'a> {
    /// As `check` prints them.
    pub problems: &'a dyn std::fmt::Display,
}

impl ConfigRefused<'_> {
    pub fn emit(&self, metrics: &SelfMetrics) {
        metrics.count_config_reload(false);
        tracing::error!(
            problems = %self.problems,
            "the configuration is not good; the last good one stays in use"
        );
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
pub struct StateUnreadable<'a> {
    pub query: &'a str,
    pub workspace: &'a str,
    pub error: &'a str,
}

impl StateUnreadable<'_> {
    pub fn emit(&self) {
        tracing::error!(
            query = self.query,
            workspace = self.workspace,
            error = self.error,
            "the counters' state cannot be read: they begin anew"
        );
    }
}

/// The counters' state was looked for.
pub enum StateOpened<'a> {
    /// None is configured.
    InMemory,
    Opened,
    SetAside {
        aside: &'a std::path::Path,
        error: &'a str,
    },
    /// Another process has it, perhaps the one that this one takes the place of.
    Held {
        error: &'a str,
    },
    /// Another process has left it, but something else is wrong with it now.
    NotYetUsable {
        error: &'a str,
    },
    Unusable {
        error: &'a str,
    },
}

impl StateOpened<'_> {
    pub fn emit(&self, metrics: &SelfMetrics) {
        metrics.set_state(
            !matches!(self, Self::InMemory),
            matches!(self, Self::Opened | Self::SetAside { .. }),
        );
        match self {
            Self::InMemory => tracing::info!(
                "no state.path is set: counters begin anew with each start of the exporter"
            ),
            Self::Opened => {}
            Self::SetAside { aside, error } => tracing::error!(
                aside = %aside.display(),
                error,
                "the counters' state cannot be read and was set aside: they begin anew"
            ),
            Self::Held { error } => tracing::warn!(
                error,
                hint = "counters begin when the other process ends; until then it is the one that counts",
                "the counters' state is waited for"
            ),
            Self::NotYetUsable { error } => tracing::error!(
                error,
                hint = "no counters until it can be used; it is tried every few seconds: see the state's directory, its file and its room",
                "the counters' state was waited for and cannot be used"
            ),
            Self::Unusable { error } => tracing::error!(
                error,
                hint = "give each exporter a state.path of its own that it can write to; until a restart, counters are in memory",
                "the counters' state cannot be used"
            ),
        }
    }
}

/// Values are too old to be shown.
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
