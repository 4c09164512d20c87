//! How much of what Azure allows is in use, as metrics, and how far this machine's clock is off.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Counter, Gauge, GaugeVec, IntCounter, IntGauge, Opts};

use super::SelfMetrics;

/// How a budget stands at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetState {
    /// Requests that were sent and are not answered yet.
    pub in_flight: usize,
    /// Queries that wait for their turn.
    pub waiting: usize,
    /// Requests that may still be sent within the current 30 seconds.
    pub requests_left: usize,
    pub requests_limit: usize,
    /// How much longer the service wants to be left alone.
    pub closed_for: Duration,
}

/// Asks a budget how it stands; `None` once there is none any more.
type Look = Box<dyn Fn() -> Option<BudgetState> + Send + Sync>;

/// Counters of the budget; its gauges are read when somebody gathers.
#[derive(Clone)]
pub(super) struct BudgetMetrics {
    look: Arc<Mutex<Option<Look>>>,
    in_flight: IntGauge,
    waiting: IntGauge,
    requests_left: IntGauge,
    requests_limit: IntGauge,
    closed: Gauge,
    waits: IntCounter,
    waited: Counter,
    clock_skew: GaugeVec,
}

impl BudgetMetrics {
    pub fn new() -> prometheus::Result<Self> {
        Ok(Self {
            look: Arc::default(),
            in_flight: IntGauge::new(
                "vminsights_exporter_budget_in_flight",
                "Requests to the Logs Query API that are under way.",
            )?,
            waiting: IntGauge::new(
                "vminsights_exporter_budget_waiting",
                "Queries that wait for their turn to be asked.",
            )?,
            requests_left: IntGauge::new(
                "vminsights_exporter_budget_requests_left",
                "Requests to the Logs Query API that may still be sent within the current 30 seconds.",
            )?,
            requests_limit: IntGauge::new(
                "vminsights_exporter_budget_requests_limit",
                "Requests to the Logs Query API that may be sent in any 30 seconds: azure.requests_per_30s.",
            )?,
            closed: Gauge::new(
                "vminsights_exporter_budget_closed_seconds",
                "How much longer nothing is asked, because Azure throttled this identity; 0 as a rule.",
            )?,
            waits: IntCounter::new(
                "vminsights_exporter_budget_waits_total",
                "Requests that went through the queue, those that waited for nothing included.",
            )?,
            waited: Counter::new(
                "vminsights_exporter_budget_wait_seconds_total",
                "Time that requests have spent in the queue, all together.",
            )?,
            clock_skew: GaugeVec::new(
                Opts::new(
                    "vminsights_exporter_clock_skew_seconds",
                    "How far this machine's clock is ahead of Azure's, negative if behind; good to a second or two, and absent before the first answer.",
                ),
                &[],
            )?,
        })
    }

    pub fn register(&self, metrics: &SelfMetrics) -> prometheus::Result<()> {
        metrics.register(&self.in_flight)?;
        metrics.register(&self.waiting)?;
        metrics.register(&self.requests_left)?;
        metrics.register(&self.requests_limit)?;
        metrics.register(&self.closed)?;
        metrics.register(&self.waits)?;
        metrics.register(&self.waited)?;
        metrics.register(&self.clock_skew)
    }

    /// Reads the gauges off the budget that is in use.
    pub fn refresh(&self) {
        let look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        let state = look.as_ref().and_then(|look| look()).unwrap_or_default();
        drop(look);
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.in_flight.set(gauge(state.in_flight));
        self.waiting.set(gauge(state.waiting));
        self.requests_left.set(gauge(state.requests_left));
        self.requests_limit.set(gauge(state.requests_limit));
        self.closed.set(state.closed_for.as_secs_f64());
    }
}

impl SelfMetrics {
    /// From now on the budget's gauges show what `look` says. Of several budgets the newest counts.
    pub fn watch_budget(&self, look: impl Fn() -> Option<BudgetState> + Send + Sync + 'static) {
        let place = &self.budget.look;
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Box::new(look));
    }

    /// Counts a request that has had its turn, or has waited for it in vain.
    pub fn count_budget_wait(&self, waited: Duration) {
        self.budget.waits.inc();
        self.budget.waited.inc_by(waited.as_secs_f64());
    }

    /// This machine's clock is so many seconds ahead of Azure's.
    pub fn set_clock_skew(&self, seconds: f64) {
        let none: [&str; 0] = [];
        self.budget.clock_skew.with_label_values(&none).set(seconds);
    }
}

impl fmt::Debug for BudgetMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BudgetMetrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(metrics: &SelfMetrics, name: &str) -> Option<f64> {
        let families = metrics.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        let metric = family.get_metric().first()?;
        // One of the two, the other is 0.
        Some(metric.get_counter().get_value() + metric.get_gauge().get_value())
    }

    #[test]
    fn gauges_show_the_newest_budget_and_nothing_once_it_is_gone() {
        let metrics = SelfMetrics::new().unwrap();
        let left = || value(&metrics, "vminsights_exporter_budget_requests_left");
        let with = |requests_left| BudgetState {
            requests_left,
            ..BudgetState::default()
        };
        assert_eq!(left(), Some(0.0));
        metrics.watch_budget(move || Some(with(7)));
        metrics.watch_budget(move || Some(with(9)));
        assert_eq!(left(), Some(9.0));
        metrics.watch_budget(|| None);
        assert_eq!(left(), Some(0.0));
    }

    #[test]
    fn waits_are_summed_and_the_skew_is_absent_until_it_is_known() {
        let metrics = SelfMetrics::new().unwrap();
        metrics.count_budget_wait(Duration::ZERO);
        metrics.count_budget_wait(Duration::from_millis(1_500));
        let seen = |name| value(&metrics, name);
        assert_eq!(seen("vminsights_exporter_budget_waits_total"), Some(2.0));
        let waited = seen("vminsights_exporter_budget_wait_seconds_total");
        assert_eq!(waited, Some(1.5));
        assert_eq!(seen("vminsights_exporter_clock_skew_seconds"), None);
        metrics.set_clock_skew(-2.5);
        assert_eq!(seen("vminsights_exporter_clock_skew_seconds"), Some(-2.5));
    }
}
