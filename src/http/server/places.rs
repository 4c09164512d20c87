//! The places that connections take, and who yields his when all are taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::Limits;
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

/// One connection's place; free again when dropped. Its [`Answer`]s may live on.
pub struct Place {
    places: Arc<Places>,
    id: u64,
    state: Arc<State>,
}

struct State {
    /// When it was accepted, or the last answer began or ended.
    idle: Mark,
    was_asked: AtomicBool,
    /// Those that are gone are forgotten when the next begins.
    answers: Mutex<Vec<Weak<Answer>>>,
    cut: Notify,
}

/// A connection's side of its [`Place`]: where its answers begin.
#[derive(Clone)]
pub struct Progress {
    places: Arc<Places>,
    state: Arc<State>,
}

/// One answer under way, from its request's head until its last byte is sent.
pub struct Answer {
    places: Arc<Places>,
    state: Arc<State>,
    began: Duration,
    moved: Mark,
}

/// A time since the server started.
struct Mark(AtomicU64);

impl Mark {
    fn new(time: Duration) -> Self {
        let mark = Self(AtomicU64::default());
        mark.set(time);
        mark
    }

    /// In microseconds, that is enough for half a million years.
    fn set(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.store(time, Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
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
            idle: Mark::new(self.now()),
            was_asked: AtomicBool::new(false),
            answers: Mutex::default(),
            cut: Notify::new(),
        });
        taken.places.insert(id, state.clone());
        Place {
            places: self.clone(),
            id,
            state,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Taken {
    fn slowest(&self) -> Option<u64> {
        let progress = |(id, state): &(&u64, &Arc<State>)| (state.progress(), **id);
        self.places.iter().min_by_key(progress).map(|(id, _)| *id)
    }
}

impl State {
    /// That of the slowest answer, so that no request renews the time of another.
    fn progress(&self) -> Duration {
        let answers = self.answers();
        let slowest = answers.iter().map(|answer| answer.moved.get()).min();
        slowest.unwrap_or_else(|| self.idle.get())
    }

    /// When the first of the limits is reached, if nothing moves.
    fn due(&self, limits: &Limits) -> Duration {
        let answers = self.answers();
        let ends = answers.iter().map(|answer| answer.began + limits.answer);
        let stalls = self.progress() + limits.stall;
        ends.min().map_or(stalls, |ends| ends.min(stalls))
    }

    fn answers(&self) -> Vec<Arc<Answer>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().filter_map(Weak::upgrade).collect()
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
        self.state.was_asked.load(Ordering::Relaxed)
    }

    /// Ends when the place is given to another.
    pub async fn is_cut(&self) {
        self.state.cut.notified().await;
    }

    /// Ends once the connection or one of its answers has stood still, or an answer has lasted, for
    /// too long. It needs nobody to look at the answer: hyper does not, while the client takes
    /// nothing.
    pub async fn is_stalled(&self, limits: &Limits) {
        // An answer that begins meanwhile is not due sooner.
        let shortest = limits.stall.min(limits.answer);
        loop {
            let now = self.places.now();
            let due = self.state.due(limits);
            if due <= now {
                return;
            }
            let next = due.min(now + shortest);
            tokio::time::sleep_until(self.places.started + next).await;
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
    pub fn answer(&self) -> Arc<Answer> {
        let now = self.places.now();
        self.state.idle.set(now);
        self.state.was_asked.store(true, Ordering::Relaxed);
        let answer = Arc::new(Answer {
            places: self.places.clone(),
            state: self.state.clone(),
            began: now,
            moved: Mark::new(now),
        });
        let answers = self.state.answers.lock();
        let mut answers = answers.unwrap_or_else(PoisonError::into_inner);
        answers.retain(|answer| answer.strong_count() > 0);
        answers.push(Arc::downgrade(&answer));
        answer
    }
}

impl Answer {
    /// The client took a piece.
    pub fn moved(&self) {
        self.moved.set(self.places.now());
    }
}

impl Drop for Answer {
    /// The connection stands still from now on.
    fn drop(&mut self) {
        self.state.idle.set(self.places.now());
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
        drop(first.progress().answer());
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

    async fn wait(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Seconds until a connection that does so is cut.
    async fn lasts(during: impl AsyncFnOnce(Progress)) -> u64 {
        let (places, metrics) = (Places::new(2), SelfMetrics::new().unwrap());
        let place = places.take(&metrics);
        let limits = Limits {
            stall: Duration::from_secs(10),
            answer: Duration::from_secs(25),
            ..Limits::default()
        };
        let began = Instant::now();
        tokio::select! {
            () = place.is_stalled(&limits) => {}
            () = async {
                during(place.progress()).await;
                std::future::pending().await
            } => {}
        }
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn progress_puts_the_end_off() {
        assert_eq!(lasts(async |_| {}).await, 10);
        let asked = lasts(async |progress: Progress| {
            wait(8).await;
            let answer = progress.answer();
            wait(8).await;
            answer.moved();
            wait(8).await;
        });
        assert_eq!(asked.await, 8 + 8 + 8 + 10);
    }

    #[tokio::test(start_paused = true)]
    async fn no_request_renews_the_time_of_another() {
        let stuck = lasts(async |progress: Progress| {
            wait(5).await;
            let _stuck = progress.answer();
            loop {
                progress.answer().moved();
                wait(1).await;
            }
        });
        assert_eq!(stuck.await, 5 + 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_trickles_ends_in_time() {
        let trickles = lasts(async |progress: Progress| {
            wait(5).await;
            let answer = progress.answer();
            loop {
                wait(1).await;
                answer.moved();
            }
        });
        assert_eq!(trickles.await, 5 + 25);
    }

    #[tokio::test(start_paused = true)]
    async fn one_with_a_stuck_answer_yields_whatever_else_it_asks() {
        let (places, metrics) = (Places::new(2), SelfMetrics::new().unwrap());
        let first = places.take(&metrics);
        let _stuck = first.progress().answer();
        wait(1).await;
        let second = places.take(&metrics);
        wait(1).await;
        first.progress().answer().moved();
        let _third = places.take(&metrics);
        first.is_cut().await;
        drop(second);
    }
}
