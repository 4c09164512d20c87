//! A token bucket: one request each interval, a burst at once.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::config::Rate;

pub struct RateLimit {
    rate: Rate,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimit {
    /// Full.
    pub fn new(rate: Rate) -> Self {
        let bucket = Bucket {
            tokens: rate.burst.into(),
            at: Instant::now(),
        };
        Self {
            rate,
            bucket: Mutex::new(bucket),
        }
    }

    pub fn allows(&self) -> bool {
        self.allows_at(Instant::now())
    }

    fn allows_at(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(bucket.at);
        bucket.at = bucket.at.max(now);
        let came = passed.as_secs_f64() / self.rate.interval.as_secs_f64();
        bucket.tokens = (bucket.tokens + came).min(self.rate.burst.into());
        let allows = bucket.tokens >= 1.0;
        if allows {
            bucket.tokens -= 1.0;
        }
        allows
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_one_each_interval() {
        let interval = Duration::from_secs(2);
        let limit = RateLimit::new(Rate { interval, burst: 2 });
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let allowed = [0, 0, 0, 1, 2, 3, 100, 100, 100].map(|at| limit.allows_at(after(at)));
        let expected = [true, true, false, false, true, false, true, true, false];
        assert_eq!(allowed, expected);
    }
}
