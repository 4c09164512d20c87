//! The places that connections take, and who yields his when all are taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::telemetry::SelfMetrics;
use crate::telemetry::events::{ConnectionCut, CutReason};

/// A bounded number of places.
pub struct Places {
    most: usize,
    started: Instant,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    places: HashMap<u64, Arc<State>>,
}

/// One connection's place; free again when dropped. Clones of its [`Progress`] may live on.
pub struct Place {
    places: Arc<Places>,
    id: u64,
    state: Arc<State>,
}

struct State {
    /// Of the last progress, in microseconds since the server started.
    progress: AtomicU64,
    asked: AtomicBool,
    cut: Notify,
}

/// Says that a connection makes progress.
#[derive(Clone)]
pub struct Progress {
    places: Arc<Places>,
    state: Arc<State>,
}

impl Places {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            started: Instant::now(),
            taken: Mutex::default(),
        })
    }

    /// A place in any case: where none is free, the connection that has gone longest without
    /// progress is cut.
    pub fn take(self: &Arc<Self>, metrics: &SelfMetrics) -> Place {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.places.len() >= self.most
            && let Some(id) = taken.slowest()
            && let Some(slowest) = taken.places.remove(&id)
        {
            slowest.cut.notify_one();
            let reason = CutReason::Full;
            ConnectionCut { reason }.emit(metrics);
        }
        let id = taken.next;
        taken.next += 1;
        let state = Arc::new(State {
            progress: AtomicU64::new(self.now()),
            asked: AtomicBool::new(false),
            cut: Notify::new(),
        });
        taken.places.insert(id, state.clone());
        Place {
            places: self.clone(),
            id,
            state,
        }
    }

    /// Microseconds since the start: enough for half a million years.
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Taken {
    fn slowest(&self) -> Option<u64> {
        let progress =
            |(id, state): &(&u64, &Arc<State>)| (state.progress.load(Ordering::Relaxed), **id);
        self.places.iter().min_by_key(progress).map(|(id, _)| *id)
    }
}

impl Place {
    pub fn progress(&self) -> Progress {
        Progress {
            places: self.places.clone(),
            state: self.state.clone(),
        }
    }

    /// Whether a whole request has ever come.
    pub fn was_asked(&self) -> bool {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// Ends when the place is given to another.
    pub async fn is_cut(&self) {
        self.state.cut.notified().await;
    }

    /// Ends once there has been no progress for `limit`.
    pub async fn is_stalled(&self, limit: Duration) {
        loop {
            let progress = self.state.progress.load(Ordering::Relaxed);
            let last = self.places.started + Duration::from_micros(progress);
            if last.elapsed() >= limit {
                return;
            }
            tokio::time::sleep_until(last + limit).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = self.places.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        taken.places.remove(&self.id);
    }
}

impl Progress {
    /// A whole request head has come.
    pub fn asked(&self) {
        self.state.asked.store(true, Ordering::Relaxed);
        self.made();
    }

    pub fn made(&self) {
        let now = self.places.now();
        self.state.progress.store(now, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_without_progress_yields() {
        let (places, metrics) = (Places::new(2), SelfMetrics::new().unwrap());
        let first = places.take(&metrics);
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = places.take(&metrics);
        tokio::time::advance(Duration::from_secs(1)).await;
        first.progress().made();
        let third = places.take(&metrics);
        second.is_cut().await;
        for place in [&first, &third] {
            let cut = tokio::time::timeout(Duration::from_secs(1), place.is_cut());
            assert!(cut.await.is_err());
        }
        drop(second);
        drop(first);
        let _fourth = places.take(&metrics);
        let cut = tokio::time::timeout(Duration::from_secs(1), third.is_cut());
        assert!(cut.await.is_err(), "a place was free");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_puts_the_end_off() {
        let (places, metrics) = (Places::new(2), SelfMetrics::new().unwrap());
        let place = places.take(&metrics);
        let limit = Duration::from_secs(10);
        let began = Instant::now();
        let mut stalled = std::pin::pin!(place.is_stalled(limit));
        let eight = Duration::from_secs(8);
        assert!(tokio::time::timeout(eight, &mut stalled).await.is_err());
        place.progress().made();
        stalled.await;
        assert_eq!(began.elapsed().as_secs(), 18);
    }
}
