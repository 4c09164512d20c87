//! The exporter's own counters, in a registry of the `prometheus` crate.

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, Opts, Registry};

use super::FailureReason;

/// Counters of the process as a whole. Cheap to clone; clones share the counters.
#[derive(Clone, Debug)]
pub struct SelfMetrics {
    registry: Registry,
    began: Timestamp,
    api_requests: IntCounterVec,
    http_requests: IntCounterVec,
    http_connections_refused: IntCounter,
}

/// The `outcome` of a request that brought a table.
const SUCCESS: &str = "success";

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
            http_requests: IntCounterVec::new(
                Opts::new(
                    "vminsights_exporter_http_requests_total",
                    "Requests that the exporter's own HTTP server answered, by handler and status code.",
                ),
                &["handler", "code"],
            )?,
            http_connections_refused: IntCounter::new(
                "vminsights_exporter_http_connections_refused_total",
                "Connections closed at once because as many as allowed were open.",
            )?,
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
        metrics.register(&metrics.api_requests)?;
        metrics.register(&metrics.http_requests)?;
        metrics.register(&metrics.http_connections_refused)?;
        metrics.register(&build_info)?;
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(
            prometheus::process_collector::ProcessCollector::for_self(),
        ))?;
        Ok(metrics)
    }

    fn register(&self, collector: &(impl Collector + Clone + 'static)) -> prometheus::Result<()> {
        self.registry.register(Box::new(collector.clone()))
    }

    /// Since when the counters count.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// The families as they stand now, sorted by name.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    pub(super) fn count_api_request(&self, failure: Option<FailureReason>) {
        let outcome = failure.map_or(SUCCESS, FailureReason::as_str);
        self.api_requests.with_label_values(&[outcome]).inc();
    }

    /// Counts an answered request. Not an event with a log line: scrapes are too many for that.
    pub fn count_http_request(&self, handler: &str, code: u16) {
        self.http_requests
            .with_label_values(&[handler, itoa::Buffer::new().format(code)])
            .inc();
    }

    pub(super) fn count_refused_connection(&self) {
        self.http_connections_refused.inc();
    }
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
