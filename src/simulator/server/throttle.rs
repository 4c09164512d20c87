//! Azure's limits on one identity: requests in a stretch of time, and queries at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// The numbers; [`Limits::default`] are Azure's.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub requests: usize,
    pub window: Duration,
    pub concurrent: usize,
    pub queue: usize,
    pub longest_queueing: Duration,
}

impl Limits {
    /// Never reached: for tests and demos that ask faster than Azure lets them.
    pub const OFF: Self = Self {
        requests: usize::MAX,
        window: Duration::ZERO,
        concurrent: 1 << 16,
        queue: 0,
        longest_queueing: Duration::ZERO,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 200,
            window: Duration::from_secs(30),
            concurrent: 5,
            queue: 200,
            longest_queueing: Duration::from_secs(180),
        }
    }
}

/// Seconds that a client is told to wait when the queue is full.
const RETRY_QUEUE: u64 = 10;

/// Counts one identity's requests.
pub struct Throttle {
    limits: Limits,
    recent: Mutex<VecDeque<Instant>>,
    queries: Arc<Semaphore>,
    queued: AtomicUsize,
}

impl Throttle {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            recent: Mutex::default(),
            queries: Arc::new(Semaphore::new(limits.concurrent)),
            queued: AtomicUsize::new(0),
        }
    }

    /// Counts a request at `now`.
    ///
    /// # Errors
    /// If the window is full: the request is refused, and not counted.
    pub fn admit(&self, now: Instant) -> Result<(), ApiError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while recent
            .front()
            .is_some_and(|&oldest| now.saturating_duration_since(oldest) >= self.limits.window)
        {
            recent.pop_front();
        }
        if let Some(&oldest) = recent.front()
            && recent.len() >= self.limits.requests
        {
            let passed = now.saturating_duration_since(oldest);
            let left = self.limits.window.saturating_sub(passed);
            return Err(ApiError::Throttled(left.as_secs() + 1));
        }
        recent.push_back(now);
        Ok(())
    }

    /// Waits for one of the places at which queries run.
    ///
    /// # Errors
    /// If the queue is full, or does not move for too long.
    pub async fn start_query(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        if let Ok(permit) = self.queries.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _place = Place::take(&self.queued, self.limits.queue)?;
        let permit = self.queries.clone().acquire_owned();
        match tokio::time::timeout(self.limits.longest_queueing, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(ApiError::Throttled(RETRY_QUEUE)),
        }
    }
}

/// A place in the queue; given back when the request goes on or goes away.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(queued: &'a AtomicUsize, limit: usize) -> Result<Self, ApiError> {
        let place = Self(queued);
        if queued.fetch_add(1, Ordering::Relaxed) >= limit {
            return Err(ApiError::Throttled(RETRY_QUEUE));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides() {
        let throttle = Throttle::new(Limits {
            requests: 2,
            ..Limits::default()
        });
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.admit(at(0)), Ok(()));
        assert_eq!(throttle.admit(at(10)), Ok(()));
        assert_eq!(throttle.admit(at(12)), Err(ApiError::Throttled(19)));
        assert_eq!(throttle.admit(at(30)), Ok(()));
        assert_eq!(throttle.admit(at(31)), Err(ApiError::Throttled(10)));
    }

    #[tokio::test]
    async fn a_full_queue_is_refused_and_a_freed_place_is_taken() {
        let throttle = Throttle::new(Limits {
            concurrent: 1,
            queue: 1,
            ..Limits::default()
        });
        let running = throttle.start_query().await.unwrap();
        let mut waiting = Box::pin(throttle.start_query());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(
            throttle.start_query().await.unwrap_err(),
            ApiError::Throttled(RETRY_QUEUE)
        );
        drop(running);
        assert!(waiting.await.is_ok());
        assert_eq!(throttle.queued.load(Ordering::Relaxed), 0);
    }
}
