//! What Azure allows one identity: so many requests in a while, so many at once.
//!
//! The limits are the service's own (see <https://learn.microsoft.com/azure/azure-monitor/service-limits>,
//! "Log queries and language"); the settings leave some of each for the people who use the same
//! identity. Who asks waits for a place:
//! - workspaces take turns, so that one with many queries does not keep the others waiting;
//! - queries that are known to be slow get half of the places, so that the quick ones never wait
//!   behind them;
//! - once the service says 429, nobody asks before the time that it names.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::config::{BudgetSettings, WorkspaceId};
use crate::telemetry::BudgetState;

/// The stretch of time over which the service counts requests.
const WINDOW: Duration = Duration::from_secs(30);

/// The budget of one identity.
pub(super) struct Budget {
    settings: BudgetSettings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Places that are taken.
    taken: usize,
    /// Of those, by slow queries.
    taken_by_slow: usize,
    /// Of those, by requests that have been sent.
    in_flight: usize,
    /// Who waits for a place, by workspace; the first workspace is the next to get one.
    waiting: IndexMap<WorkspaceId, VecDeque<Waiter>>,
    /// When the requests of the last [`WINDOW`] were sent, and those that wait for it to pass will be.
    sent: VecDeque<Instant>,
    /// Nobody asks before.
    closed_until: Option<Instant>,
}

struct Waiter {
    slow: bool,
    deadline: Instant,
    /// Dropped without a place, it sends whoever waits away.
    place: oneshot::Sender<Place>,
}

/// A place among those who ask; dropping it gives it back.
pub(super) struct Place {
    budget: Arc<Budget>,
    slow: bool,
    in_flight: bool,
}

/// Why there was no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The service wants to be left alone for so much longer, which is beyond the deadline.
    Closed(Duration),
    /// The deadline came first.
    Full,
}

impl Budget {
    pub fn new(settings: BudgetSettings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            state: Mutex::default(),
        })
    }

    /// Waits for a place, and then for the request's turn.
    ///
    /// # Errors
    /// If that cannot be before the deadline. What need not wait is never too late.
    pub async fn enter(
        self: &Arc<Self>,
        workspace: WorkspaceId,
        slow: bool,
        deadline: Instant,
    ) -> Result<Place, NoPlace> {
        let mut place = self.place(workspace, slow, deadline).await?;
        while let Some(wait) = self.turn(deadline)? {
            sleep_until(wait.until).await;
            // The answer that closed the budget may have come while we waited.
            if wait.is_turn && self.lock().closed(Instant::now()).is_none() {
                break;
            }
        }
        place.in_flight = true;
        self.lock().in_flight += 1;
        Ok(place)
    }

    /// Nobody asks for this long. A shorter wait never cuts a longer one.
    pub fn close(&self, wait: Duration) {
        let mut state = self.lock();
        let until = Instant::now() + wait;
        let until = state.closed_until.map_or(until, |old| old.max(until));
        state.closed_until = Some(until);
        // Who cannot wait for so long is told at once.
        for queue in state.waiting.values_mut() {
            queue.retain(|waiter| waiter.deadline >= until);
        }
    }

    /// How long so many requests take at least.
    pub fn time_for(&self, requests: usize) -> Duration {
        let windows = requests.saturating_sub(1) / self.settings.requests_per_30s;
        WINDOW.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX))
    }

    /// How it stands now.
    pub fn state(&self) -> BudgetState {
        let now = Instant::now();
        let mut state = self.lock();
        state.forget(now);
        let sent = state.sent.iter().filter(|at| **at <= now).count();
        let held = state.taken - state.in_flight;
        let queued = state.waiting.values().flatten();
        let queued = queued.filter(|waiter| !waiter.place.is_closed()).count();
        BudgetState {
            in_flight: state.in_flight,
            waiting: queued + held,
            requests_left: self.settings.requests_per_30s.saturating_sub(sent),
            requests_limit: self.settings.requests_per_30s,
            closed_for: state.closed(now).unwrap_or_default(),
        }
    }

    async fn place(
        self: &Arc<Self>,
        workspace: WorkspaceId,
        slow: bool,
        deadline: Instant,
    ) -> Result<Place, NoPlace> {
        let (sender, receiver) = oneshot::channel();
        {
            let now = Instant::now();
            let mut state = self.lock();
            if let Some(wait) = state.closed(now).filter(|wait| now + *wait > deadline) {
                return Err(NoPlace::Closed(wait));
            }
            state
                .waiting
                .entry(workspace)
                .or_default()
                .push_back(Waiter {
                    slow,
                    deadline,
                    place: sender,
                });
        }
        self.hand_out();
        match timeout_at(deadline, receiver).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(self.lock().no_place(Instant::now())),
        }
    }

    /// Gives free places to those whose turn it is.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let Some(waiter) = self.lock().next(&self.settings) else {
                return;
            };
            let place = Place {
                budget: self.clone(),
                slow: waiter.slow,
                in_flight: false,
            };
            // If nobody waits any more, the place comes back to us and is given back.
            let _ = waiter.place.send(place);
        }
    }

    /// Until when a request must wait still; `None`: it may be sent now, and has been counted.
    fn turn(&self, deadline: Instant) -> Result<Option<Wait>, NoPlace> {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(wait) = state.closed(now) {
            let until = now + wait;
            return match until <= deadline {
                true => Ok(Some(Wait {
                    until,
                    is_turn: false,
                })),
                false => Err(NoPlace::Closed(wait)),
            };
        }
        state.forget(now);
        let most = self.settings.requests_per_30s;
        let until = match state.sent.len().checked_sub(most) {
            None => now,
            Some(at) => state.sent[at] + WINDOW,
        };
        if until > now && until > deadline {
            return Err(NoPlace::Full);
        }
        state.sent.push_back(until);
        Ok((until > now).then_some(Wait {
            until,
            is_turn: true,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a request waits for: its turn, or the time that the service has named.
struct Wait {
    until: Instant,
    is_turn: bool,
}

impl State {
    /// How much longer nobody may ask.
    fn closed(&self, now: Instant) -> Option<Duration> {
        let wait = self.closed_until?.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    fn no_place(&self, now: Instant) -> NoPlace {
        self.closed(now).map_or(NoPlace::Full, NoPlace::Closed)
    }

    /// Forgets the requests that the service no longer counts.
    fn forget(&mut self, now: Instant) {
        while self.sent.front().is_some_and(|at| *at + WINDOW <= now) {
            self.sent.pop_front();
        }
    }

    /// Whoever gets the next place, if one is free; it is taken then.
    fn next(&mut self, settings: &BudgetSettings) -> Option<Waiter> {
        if self.taken >= settings.concurrent_requests {
            return None;
        }
        let slow_too = self.taken_by_slow < (settings.concurrent_requests / 2).max(1);
        self.waiting.retain(|_, queue| {
            queue.retain(|waiter| !waiter.place.is_closed());
            !queue.is_empty()
        });
        let may = |waiter: &Waiter| slow_too || !waiter.slow;
        let at = self
            .waiting
            .values()
            .position(|queue| queue.iter().any(may))?;
        // The workspace goes to the end of the line, with what else it has.
        let (workspace, mut queue) = self.waiting.shift_remove_index(at)?;
        let waiter = queue.iter().position(may).and_then(|at| queue.remove(at))?;
        if !queue.is_empty() {
            self.waiting.insert(workspace, queue);
        }
        self.taken += 1;
        self.taken_by_slow += usize::from(waiter.slow);
        Some(waiter)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.taken -= 1;
        state.taken_by_slow -= usize::from(self.slow);
        state.in_flight -= usize::from(self.in_flight);
        drop(state);
        self.budget.hand_out();
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
