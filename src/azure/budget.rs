//! What Azure allows one identity: so many requests in a while, so many at once.
//!
//! The limits are the service's own (see <https://learn.microsoft.com/azure/azure-monitor/service-limits>,
//! "Log queries and language"); some of each is left for the people who use the same identity.
//! Everybody waits in one queue, first come, first served, but for two things:
//! - queries that are known to be slow get half of the places, so that the quick ones never wait
//!   behind them;
//! - once the service says 429, nobody asks before the time that it names.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// Azure runs five queries at a time for one identity and queues the others.
const AT_ONCE: usize = 4;
/// Of those, what the slow ones may hold.
const SLOW_AT_ONCE: usize = 2;
/// Azure takes 200 requests in 30 seconds. A burst and then an even flow: never more than 180.
const BURST: u32 = 30;
const PACE: Duration = Duration::from_millis(200);

/// The budget of one identity.
pub(super) struct Budget {
    places: Semaphore,
    slow_places: Semaphore,
    /// When the next request would be due if all came at an even pace.
    due: Mutex<Option<Instant>>,
    /// Nobody asks before.
    closed_until: Mutex<Option<Instant>>,
}

/// A place among those who ask; dropping it gives it back.
pub(super) struct Place<'a> {
    _slow: Option<SemaphorePermit<'a>>,
    _place: SemaphorePermit<'a>,
}

/// The service has asked us to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    /// How much longer.
    pub wait: Duration,
}

impl Budget {
    pub fn new() -> Self {
        Self {
            places: Semaphore::new(AT_ONCE),
            slow_places: Semaphore::new(SLOW_AT_ONCE),
            due: Mutex::new(None),
            closed_until: Mutex::new(None),
        }
    }

    /// Waits for a place and for the request's turn.
    ///
    /// # Errors
    /// If the service has asked us to wait: whoever would ask now should come back then.
    pub async fn enter(&self, slow: bool) -> Result<Place<'_>, Closed> {
        self.open()?;
        let slow = match slow {
            true => acquire(&self.slow_places).await,
            false => None,
        };
        let Some(place) = acquire(&self.places).await else {
            // Nobody closes the semaphores.
            return std::future::pending().await;
        };
        sleep_until(self.turn(Instant::now())).await;
        // The answer that closed the budget may have come while we waited.
        self.open()?;
        Ok(Place {
            _slow: slow,
            _place: place,
        })
    }

    /// Nobody asks for this long. A shorter wait never cuts a longer one.
    pub fn close(&self, wait: Duration) {
        let mut until = self
            .closed_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let new = Instant::now() + wait;
        *until = Some(until.map_or(new, |old| old.max(new)));
    }

    fn open(&self) -> Result<(), Closed> {
        let until = *self
            .closed_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let wait = until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        });
        if wait.is_zero() {
            Ok(())
        } else {
            Err(Closed { wait })
        }
    }

    /// Takes the next moment at which a request may be sent. One that is taken and not used is lost,
    /// which errs to the safe side.
    fn turn(&self, now: Instant) -> Instant {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = due.map_or(now, |due| due.max(now));
        *due = Some(mine + PACE);
        mine.checked_sub(PACE * (BURST - 1))
            .map_or(now, |turn| turn.max(now))
    }
}

async fn acquire(semaphore: &Semaphore) -> Option<SemaphorePermit<'_>> {
    semaphore.acquire().await.ok()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn never_more_than_180_requests_in_any_30_seconds() {
        let budget = Budget::new();
        let mut sent = Vec::new();
        for _ in 0..1_000 {
            drop(budget.enter(false).await.unwrap());
            sent.push(Instant::now());
        }
        let window = Duration::from_secs(30);
        let most = sent
            .iter()
            .map(|from| {
                sent.iter()
                    .filter(|at| **at >= *from && **at < *from + window)
                    .count()
            })
            .max();
        assert_eq!(most, Some(180 - 1));
        let first = sent.iter().filter(|at| **at == sent[0]).count();
        assert_eq!(first, 30, "a burst goes out at once");
    }

    #[tokio::test(start_paused = true)]
    async fn quick_queries_never_wait_behind_slow_ones() {
        let budget = Budget::new();
        let _slow = [
            budget.enter(true).await.unwrap(),
            budget.enter(true).await.unwrap(),
        ];
        assert!(
            budget.enter(true).now_or_never().is_none(),
            "the slow ones' half is taken"
        );
        let quick = [
            budget.enter(false).now_or_never().unwrap().unwrap(),
            budget.enter(false).now_or_never().unwrap().unwrap(),
        ];
        assert!(budget.enter(false).now_or_never().is_none(), "four at once");
        drop(quick);
        assert!(budget.enter(false).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn after_429_nobody_asks_until_the_time_that_it_names() {
        let budget = Budget::new();
        let second = Duration::from_secs(1);
        budget.close(second * 20);
        budget.close(second * 5);
        let closed = budget.enter(false).await.err();
        assert_eq!(closed, Some(Closed { wait: second * 20 }));
        tokio::time::advance(second * 20).await;
        assert!(budget.enter(false).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_place_when_429_comes_does_not_ask_either() {
        let budget = Budget::new();
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(budget.enter(false).await.unwrap());
        }
        let mut waiting = Box::pin(budget.enter(false));
        assert!(waiting.as_mut().now_or_never().is_none());
        budget.close(Duration::from_secs(7));
        held.clear();
        let closed = waiting.await.err();
        assert_eq!(
            closed,
            Some(Closed {
                wait: Duration::from_secs(7)
            })
        );
    }
}
