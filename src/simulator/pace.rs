//! How long a simulated minute takes.
//!
//! All that the fleet does is counted in its minutes, and so is how late its rows arrive. At the
//! usual pace a minute takes sixty seconds; a test of hours passes in minutes when it takes one.

use std::time::Duration;

use crate::kql::DateTime;

const TICKS_PER_SECOND: i64 = 10_000_000;

/// The time from one row of a counter to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    ticks: i64,
}

/// The rule for a row interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row interval must be from 100ms to 1m")]
pub struct PaceError;

impl Pace {
    /// As VM insights has it: a row a minute.
    pub const REAL: Self = Self {
        ticks: 60 * TICKS_PER_SECOND,
    };

    /// A row each `interval`, from 100 ms to a minute.
    ///
    /// # Errors
    /// If it is shorter or longer.
    pub fn new(interval: Duration) -> Result<Self, PaceError> {
        let allowed = Duration::from_millis(100)..=Duration::from_secs(60);
        if !allowed.contains(&interval) {
            return Err(PaceError);
        }
        let ticks = i64::try_from(interval.as_nanos() / 100).map_err(|_| PaceError)?;
        Ok(Self { ticks })
    }

    pub fn interval(self) -> Duration {
        Duration::from_nanos(self.ticks.unsigned_abs() * 100)
    }

    /// The number of the simulated minute that `moment` is in, counted from the Unix epoch.
    pub fn minute_at(self, moment: DateTime) -> i64 {
        (moment.0 - DateTime::from_unix_seconds(0).0).div_euclid(self.ticks)
    }

    /// When a simulated minute begins.
    pub fn start_of(self, minute: i64) -> DateTime {
        DateTime(DateTime::from_unix_seconds(0).0 + minute * self.ticks)
    }

    /// As much of a simulated minute as these ticks are of a real one.
    pub fn scaled(self, ticks: i64) -> i64 {
        (i128::from(ticks) * i128::from(self.ticks) / i128::from(Self::REAL.ticks)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_pace_is_a_minute_a_minute() {
        let moment = DateTime::from_unix_seconds(119);
        assert_eq!(Pace::REAL.minute_at(moment), 1);
        assert_eq!(Pace::REAL.start_of(1), DateTime::from_unix_seconds(60));
        assert_eq!(Pace::REAL.scaled(7), 7);
        assert_eq!(Pace::new(Duration::from_secs(60)), Ok(Pace::REAL));
    }

    #[test]
    fn a_faster_pace_counts_more_minutes_and_shortens_what_lasts() {
        let pace = Pace::new(Duration::from_secs(2)).unwrap();
        assert_eq!(pace.minute_at(DateTime::from_unix_seconds(119)), 59);
        assert_eq!(pace.start_of(59), DateTime::from_unix_seconds(118));
        assert_eq!(pace.scaled(30 * TICKS_PER_SECOND), TICKS_PER_SECOND);
        assert_eq!(pace.interval(), Duration::from_secs(2));
    }

    #[test]
    fn a_pace_without_sense_is_refused() {
        for interval in [
            Duration::ZERO,
            Duration::from_millis(99),
            Duration::from_secs(61),
        ] {
            assert_eq!(Pace::new(interval), Err(PaceError));
        }
    }
}
