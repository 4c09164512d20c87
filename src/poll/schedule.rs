//! When a poll runs: a pure sequence of moments.

use std::time::Duration;

use tokio::time::Instant;

/// However long the interval, the first run comes within this of the start, unless that is a rush.
const FIRST_WITHIN: Duration = Duration::from_secs(3);

/// A poll's runs. They keep their phase for ever: a run that is late or left out moves none of the
/// later ones, so that polls which were spread stay spread.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: Instant,
    interval: Duration,
    /// This poll's place among all, from 0 up to 1: what spreads them over the interval.
    place: f64,
    /// Whether the first runs come at once rather than over the interval.
    soon: bool,
    run: u32,
}

impl Schedule {
    pub fn new(start: Instant, interval: Duration, place: f64) -> Self {
        Self {
            start,
            interval,
            place: place.clamp(0.0, 1.0),
            soon: true,
            run: 0,
        }
    }

    /// `rush`: how long it takes to ask once all that start with it. Second runs begin half an interval
    /// after the start; a rush that is not over by then would leave a queue that hardly ever shrinks, so
    /// there the first runs are spread as all others are.
    pub fn starts_in_a_rush(&mut self, rush: Duration) {
        self.soon = rush <= self.interval / 2;
    }

    /// When the next run is due.
    pub fn next(&self) -> Instant {
        match self.run.checked_sub(1) {
            None if self.soon => self.start + self.interval.min(FIRST_WITHIN).mul_f64(self.place),
            None => self.start + self.interval.mul_f64(self.place),
            // The second run comes half an interval to one and a half after the start, from where
            // on the polls are evenly spread.
            Some(whole) => {
                let phase = if self.soon { 0.5 } else { 1.0 } + self.place;
                self.start + self.interval * whole + self.interval.mul_f64(phase)
            }
        }
    }

    /// The run that was due has begun. Runs that are past at `now` are left out.
    pub fn advance(&mut self, now: Instant) {
        self.run += 1;
        self.postpone(now);
    }

    /// No run before `until`.
    pub fn postpone(&mut self, until: Instant) {
        let late = until.saturating_duration_since(self.next());
        if !late.is_zero() {
            let missed = (late.as_nanos()).div_ceil(self.interval.as_nanos().max(1));
            self.run = self
                .run
                .max(1)
                .saturating_add(u32::try_from(missed).unwrap_or(u32::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn offsets(start: Instant, mut schedule: Schedule, runs: usize) -> Vec<f64> {
        let mut offsets = Vec::new();
        for _ in 0..runs {
            let next = schedule.next();
            offsets.push((next - start).as_secs_f64());
            schedule.advance(next);
        }
        offsets
    }

    #[test]
    fn first_runs_are_soon_and_later_ones_spread_over_the_interval() {
        let start = Instant::now();
        let runs = |place| offsets(start, Schedule::new(start, MINUTE, place), 3);
        assert_eq!(runs(0.0), [0.0, 30.0, 90.0]);
        assert_eq!(runs(0.5), [1.5, 60.0, 120.0]);
        assert_eq!(runs(1.0), [3.0, 90.0, 150.0]);
    }

    #[test]
    fn where_the_start_would_be_a_long_rush_all_runs_are_spread() {
        let start = Instant::now();
        let runs = |place, rush| {
            let mut schedule = Schedule::new(start, MINUTE, place);
            schedule.starts_in_a_rush(rush);
            offsets(start, schedule, 3)
        };
        assert_eq!(runs(0.0, MINUTE), [0.0, 60.0, 120.0]);
        assert_eq!(runs(0.5, MINUTE), [30.0, 90.0, 150.0]);
        assert_eq!(runs(0.5, MINUTE / 2), [1.5, 60.0, 120.0]);
    }

    #[test]
    fn a_short_interval_is_not_waited_longer_for_than_itself() {
        let start = Instant::now();
        let schedule = Schedule::new(start, Duration::from_secs(1), 0.5);
        assert_eq!(offsets(start, schedule, 3), [0.5, 1.0, 2.0]);
    }

    #[test]
    fn runs_that_were_missed_are_left_out_and_the_phase_stays() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, MINUTE, 0.0);
        schedule.advance(start + Duration::from_secs(200));
        assert_eq!(schedule.next() - start, Duration::from_secs(210));
    }

    #[test]
    fn a_run_is_postponed_to_the_first_of_its_phase_that_is_late_enough() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, MINUTE, 0.0);
        schedule.advance(start);
        schedule.postpone(start + Duration::from_secs(10));
        assert_eq!(schedule.next() - start, Duration::from_secs(30));
        schedule.postpone(start + Duration::from_secs(31));
        assert_eq!(schedule.next() - start, Duration::from_secs(90));
        schedule.postpone(start + Duration::from_secs(90));
        assert_eq!(schedule.next() - start, Duration::from_secs(90));
    }
}
