//! The exporter's own counters, in a registry of the `prometheus` crate.

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::FailureReason;
use super::budget::BudgetMetrics;
use super::events::CutReason;
use super::workspaces::WorkspaceInfo;

/// Counters of the process as a whole. Cheap to clone; clones share the counters.
#[derive(Clone, Debug)]
pub struct SelfMetrics {
    registry: Registry,
    began: Timestamp,
    api_requests: IntCounterVec,
    pub(super) budget: BudgetMetrics,
    sign_ins: IntCounterVec,
    token_expiry: IntGaugeVec,
    discoveries: IntCounterVec,
    discovered: IntGaugeVec,
    discovery_success: IntGaugeVec,
    http_requests: IntCounterVec,
    http_connections_cut: IntCounterVec,
    web_config_reloads: IntCounterVec,
    web_config_good: IntGauge,
    config_reloads: IntCounterVec,
    config_good: IntGauge,
    config_at: Gauge,
    shard: GaugeVec,
    state_configured: IntGauge,
    state_persistent: IntGauge,
    state_bytes: IntGauge,
    spans_lost: IntCounter,
    scrapes: IntCounterVec,
    workspaces: WorkspaceInfo,
}

/// The `outcome` of a request that brought a table.
const SUCCESS: &str = "success";
const FAILURE: &str = "failure";

impl SelfMetrics {
    /// Every series that has few enough label values starts at zero, so that the first failure is
    /// an increase.
    ///
    /// # Errors
    /// If the registry refuses a collector: two of one name, which is a mistake in this file.
    pub fn new() -> prometheus::Result<Self> {
        let metrics = Self {
            registry: Registry::new(),
            began: Timestamp::now(),
            api_requests: IntCounterVec::new(
                Opts::new(
                    "vminsights_exporter_api_requests_total",
                    "Requests to the Logs Query API by outcome: success or the reason of failure.",
                ),
                &["outcome"],
            )?,
            budget: BudgetMetrics::new()?,
            sign_ins: IntCounterVec::new(
                Opts::new(
                    "vminsights_exporter_credential_sign_ins_total",
                    "Sign-ins at Microsoft Entra ID or a managed identity, by what the token is for (logs, resource_manager) and outcome: success or failure.",
                ),
                &["service", "outcome"],
            )?,
            token_expiry: IntGaugeVec::new(
                Opts::new(
                    "vminsights_exporter_credential_token_expiry_timestamp_seconds",
                    "When the access token that is held ends, by what it is for; absent until there is one.",
                ),
                &["service"],
            )?,
            discoveries: IntCounterVec::new(
                Opts::new(
                    "vminsights_exporter_discoveries_total",
                    "Times that Azure was asked which workspaces there are, by outcome: success or failure; absent without discovery.",
                ),
                &["outcome"],
            )?,
            discovered: IntGaugeVec::new(
                Opts::new(
                    "vminsights_exporter_discovery_workspaces",
                    "Workspaces that the last successful discovery found; absent before one.",
                ),
                &[],
            )?,
            discovery_success: IntGaugeVec::new(
                Opts::new(
                    "vminsights_exporter_discovery_last_success_timestamp_seconds",
                    "When workspaces were last discovered; absent before that.",
                ),
                &[],
            )?,
            http_requests: IntCounterVec::new(
                Opts::new(
                    "vminsights_exporter_http_requests_total",
                    "Requests that the exporter's own HTTP server answered, by handler and status code.",
                ),
                &["handler", "code"],
            )?,
            http_connections_cut: IntCounterVec::new(
                Opts::new(
                    "vminsights_exporter_http_connections_cut_total",
                    "Connections that the exporter's own HTTP server ended early, by reason: full (the longest without progress yields when as many as allowed are open), stalled, handshake.",
                ),
                &["reason"],
            )?,
            web_config_reloads: IntCounterVec::new(
                Opts::new(
                    "vminsights_exporter_web_config_reloads_total",
                    "Changes of the web configuration file or of a certificate or key that it names, by outcome: success or failure.",
                ),
                &["outcome"],
            )?,
            web_config_good: IntGauge::new(
                "vminsights_exporter_web_config_last_reload_successful",
                "1 while the newest web configuration is in use, 0 while an older one is because the newest is broken.",
            )?,
            config_reloads: IntCounterVec::new(
                Opts::new(
                    "vminsights_exporter_config_reloads_total",
                    "Reloads of the configuration that were asked for, by outcome: success or failure.",
                ),
                &["outcome"],
            )?,
            config_good: IntGauge::new(
                "vminsights_exporter_config_last_reload_successful",
                "1 if the configuration was good when it was last read, 0 if an older one is in use because it was not.",
            )?,
            config_at: Gauge::new(
                "vminsights_exporter_config_last_reload_success_timestamp_seconds",
                "When the configuration in use was read.",
            )?,
            shard: GaugeVec::new(
                Opts::new(
                    "vminsights_exporter_shard_info",
                    "Always 1; which shard of the workspaces this exporter asks, from 0, and how many shards there are.",
                ),
                &["shard", "shards"],
            )?,
            state_configured: IntGauge::new(
                "vminsights_exporter_state_configured",
                "1 if state.path is set.",
            )?,
            state_persistent: IntGauge::new(
                "vminsights_exporter_state_persistent",
                "1 if the counters' state outlives the exporter, 0 if not: state.path is not set, cannot be used, or another exporter has it.",
            )?,
            state_bytes: IntGauge::new(
                "vminsights_exporter_state_bytes",
                "Size of the file of the counters' state; 0 without one.",
            )?,
            spans_lost: IntCounter::new(
                "vminsights_exporter_spans_lost_total",
                "Spans of the exporter's own traces that a collector did not take.",
            )?,
            scrapes: IntCounterVec::new(
                Opts::new(
                    "vminsights_exporter_scrapes_total",
                    "Pages sent by format (text, openmetrics, protobuf) and coding (identity, gzip).",
                ),
                &["format", "coding"],
            )?,
            workspaces: WorkspaceInfo::new()?,
        };
        let build_info = GaugeVec::new(
            Opts::new(
                "vminsights_exporter_build_info",
                "Always 1; the labels say which build this is.",
            ),
            &["version", "revision"],
        )?;
        build_info
            .with_label_values(&[env!("CARGO_PKG_VERSION"), env!("VMINSIGHTS_REVISION")])
            .set(1.0);
        for outcome in std::iter::once(SUCCESS).chain(
            FailureReason::ALL
                .into_iter()
                .filter(|reason| reason.comes_from_a_request())
                .map(FailureReason::as_str),
        ) {
            metrics.api_requests.with_label_values(&[outcome]);
        }
        for outcome in [SUCCESS, FAILURE] {
            metrics.sign_ins.with_label_values(&["logs", outcome]);
        }
        for reason in CutReason::ALL {
            let labels = [reason.as_str()];
            metrics.http_connections_cut.with_label_values(&labels);
        }
        for outcome in [SUCCESS, FAILURE] {
            metrics.web_config_reloads.with_label_values(&[outcome]);
            metrics.config_reloads.with_label_values(&[outcome]);
        }
        metrics.web_config_good.set(1);
        metrics.config_good.set(1);
        metrics.config_at.set(seconds(metrics.began));
        metrics.set_shard(0, 1);
        metrics.register(&metrics.state_configured)?;
        metrics.register(&metrics.state_persistent)?;
        metrics.register(&metrics.state_bytes)?;
        metrics.register(&metrics.api_requests)?;
        metrics.budget.register(&metrics)?;
        metrics.register(&metrics.sign_ins)?;
        metrics.register(&metrics.token_expiry)?;
        metrics.register(&metrics.discoveries)?;
        metrics.register(&metrics.discovered)?;
        metrics.register(&metrics.discovery_success)?;
        metrics.register(&metrics.http_requests)?;
        metrics.register(&metrics.http_connections_cut)?;
        metrics.register(&metrics.web_config_reloads)?;
        metrics.register(&metrics.web_config_good)?;
        metrics.register(&metrics.config_reloads)?;
        metrics.register(&metrics.config_good)?;
        metrics.register(&metrics.config_at)?;
        metrics.register(&metrics.shard)?;
        metrics.register(&metrics.spans_lost)?;
        metrics.register(&metrics.scrapes)?;
        metrics.register(&metrics.workspaces)?;
        metrics.register(&build_info)?;
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(metrics)
    }

    pub(super) fn register(
        &self,
        collector: &(impl Collector + Clone + 'static),
    ) -> prometheus::Result<()> {
        self.registry.register(Box::new(collector.clone()))
    }

    /// Since when the counters count.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// The families as they stand now, sorted by name.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.budget.refresh();
        self.registry.gather()
    }

    pub(super) fn count_api_request(&self, failure: Option<FailureReason>) {
        let outcome = failure.map_or(SUCCESS, FailureReason::as_str);
        self.api_requests.with_label_values(&[outcome]).inc();
    }

    /// Counts a sign-in for `service`; the moment is the new token's end, `None` if there is none.
    pub(super) fn count_sign_in(&self, service: &str, expires: Option<Timestamp>) {
        let outcome = if expires.is_some() { SUCCESS } else { FAILURE };
        self.sign_ins.with_label_values(&[service, outcome]).inc();
        if let Some(expires) = expires {
            let gauge = self.token_expiry.with_label_values(&[service]);
            gauge.set(expires.as_second());
        }
    }

    /// Counts a discovery; `None`: it failed.
    pub(super) fn count_discovery(&self, workspaces: Option<usize>, at: Timestamp) {
        for outcome in [SUCCESS, FAILURE] {
            self.discoveries.with_label_values(&[outcome]);
        }
        let Some(workspaces) = workspaces else {
            return self.discoveries.with_label_values(&[FAILURE]).inc();
        };
        self.discoveries.with_label_values(&[SUCCESS]).inc();
        let none: [&str; 0] = [];
        let count = i64::try_from(workspaces).unwrap_or(i64::MAX);
        self.discovered.with_label_values(&none).set(count);
        let success = self.discovery_success.with_label_values(&none);
        success.set(at.as_second());
    }

    /// Counts an answered request. Not an event with a log line: scrapes are too many for that.
    pub fn count_http_request(&self, handler: &str, code: u16) {
        self.http_requests
            .with_label_values(&[handler, itoa::Buffer::new().format(code)])
            .inc();
    }

    /// Counts a page that was sent.
    pub fn count_scrape(&self, format: &str, coding: &str) {
        self.scrapes.with_label_values(&[format, coding]).inc();
    }

    pub(super) fn count_cut_connection(&self, reason: CutReason) {
        let labels = [reason.as_str()];
        self.http_connections_cut.with_label_values(&labels).inc();
    }

    pub(super) fn count_web_config_reload(&self, good: bool) {
        let outcome = if good { SUCCESS } else { FAILURE };
        self.web_config_reloads.with_label_values(&[outcome]).inc();
        self.web_config_good.set(good.into());
    }

    pub(super) fn count_config_reload(&self, good: bool) {
        let outcome = if good { SUCCESS } else { FAILURE };
        self.config_reloads.with_label_values(&[outcome]).inc();
        self.config_good.set(good.into());
        if good {
            self.config_at.set(seconds(Timestamp::now()));
        }
    }

    pub(super) fn set_state(&self, configured: bool, persistent: bool) {
        self.state_configured.set(i64::from(configured));
        self.state_persistent.set(i64::from(persistent));
    }

    /// Says how large the file of the counters' state is.
    pub fn set_state_bytes(&self, bytes: u64) {
        self.state_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Says which shard of the workspaces this exporter asks.
    pub fn set_shard(&self, index: u64, count: u64) {
        self.shard.reset();
        let labels = [index.to_string(), count.to_string()];
        self.shard.with_label_values(&labels).set(1.0);
    }

    /// Says what is known of each workspace that is asked: these labels, and a value for each of them
    /// in each row.
    ///
    /// # Errors
    /// If a label has a bad name or a row another length; then nothing is changed.
    pub fn set_workspaces(&self, labels: &[&str], rows: &[Vec<String>]) -> prometheus::Result<()> {
        self.workspaces.set(labels, rows)
    }

    pub(super) fn count_lost_spans(&self, spans: u64) {
        self.spans_lost.inc_by(spans);
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_start_at_zero_and_are_counted() {
        let metrics = SelfMetrics::new().unwrap();
        metrics.count_api_request(Some(FailureReason::Throttled));
        let families = metrics.gather();
        let family = families
            .iter()
            .find(|f| f.name() == "vminsights_exporter_api_requests_total")
            .unwrap();
        let value = |outcome: &str| {
            family
                .get_metric()
                .iter()
                .find(|m| m.get_label()[0].value() == outcome)
                .map(|m| m.get_counter().get_value())
        };
        assert_eq!(value("success"), Some(0.0));
        assert_eq!(value("throttled"), Some(1.0));
        assert_eq!(value("overlap"), None, "an overlap sends no request");
    }
}
