//! What a configuration asks of Azure, and whether its budget lets that through.

use std::time::Duration;

use crate::config::BudgetSettings;

/// How long Azure takes for a query, unless told otherwise. A pack's query takes about this on a
/// workspace of some hundred VMs; `vminsights_exporter_poll_duration_seconds` says what yours take.
pub const EXPECTED_SECONDS: f64 = 1.0;

/// What polls need of Azure, on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    pub requests_per_30s: f64,
    /// Queries that run at the same time.
    pub at_once: f64,
}

/// The budget is too small.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "{demand}, but the budget is {} and {}: intervals {factor:.1} times as long would fit, or {parts} exporters \
     with an identity each; otherwise see azure.requests_per_30s and azure.concurrent_requests",
    budget.requests_per_30s,
    budget.concurrent_requests
)]
pub struct DoesNotFit {
    demand: Demand,
    budget: BudgetSettings,
    factor: f64,
    parts: u64,
}

impl Demand {
    /// Of so many workspaces, each asked at these intervals for answers that take `seconds` each.
    pub fn of(
        workspaces: usize,
        intervals: impl IntoIterator<Item = Duration>,
        seconds: f64,
    ) -> Self {
        let rates = intervals.into_iter().map(|every| 1.0 / every.as_secs_f64());
        let rate = workspaces as f64 * rates.sum::<f64>();
        Self {
            requests_per_30s: 30.0 * rate,
            at_once: rate * seconds,
        }
    }

    /// # Errors
    /// If the budget does not let it through.
    pub fn fits(self, budget: BudgetSettings) -> Result<(), DoesNotFit> {
        let requests = self.requests_per_30s / budget.requests_per_30s as f64;
        let at_once = self.at_once / budget.concurrent_requests as f64;
        let factor = requests.max(at_once);
        if factor <= 1.0 {
            return Ok(());
        }
        Err(DoesNotFit {
            demand: self,
            budget,
            // Rounded up, so that what is said does fit.
            factor: (factor * 10.0).ceil() / 10.0,
            parts: factor.ceil() as u64,
        })
    }
}

impl std::fmt::Display for Demand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (requests, at_once) = (self.requests_per_30s, self.at_once);
        write!(
            f,
            "needs {requests:.1} requests per 30 s and {at_once:.1} at once"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eight_a_minute(workspaces: usize, seconds: f64) -> Demand {
        Demand::of(workspaces, [Duration::from_secs(60); 8], seconds)
    }

    #[test]
    fn a_demand_is_rate_times_seconds() {
        let demand = eight_a_minute(15, 2.0);
        assert_eq!(
            demand.to_string(),
            "needs 60.0 requests per 30 s and 4.0 at once"
        );
        assert_eq!(demand.fits(BudgetSettings::default()), Ok(()));
    }

    #[test]
    fn what_does_not_fit_says_what_would() {
        let many = eight_a_minute(200, 0.1).fits(BudgetSettings::default());
        assert_eq!(
            many.unwrap_err().to_string(),
            "needs 800.0 requests per 30 s and 2.7 at once, but the budget is 180 and 4: intervals 4.5 times as \
             long would fit, or 5 exporters with an identity each; otherwise see azure.requests_per_30s and \
             azure.concurrent_requests"
        );
        let slow = eight_a_minute(15, 3.0).fits(BudgetSettings::default());
        let text = slow.unwrap_err().to_string();
        assert!(text.contains("intervals 1.5 times as long"), "{text}");
    }
}
