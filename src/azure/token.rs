//! The access token: held while it lives, refreshed before it dies, asked for once at a time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azure_core::credentials::AccessToken;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderValue;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::sign_in::SignInError;
use crate::config::Secret;
use crate::telemetry::events::SignedIn;
use crate::telemetry::{FailureReason, SelfMetrics, spans};

/// A bearer token, ready to send.
pub(super) struct Token {
    header: HeaderValue,
    text: Secret,
    expires: Timestamp,
    got: Instant,
}

impl Token {
    /// From what `azure_identity` returned; an error names what is wrong with it.
    pub fn new(token: &AccessToken) -> Result<Self, &'static str> {
        let text = token.token.secret();
        if text.is_empty() {
            return Err("the token is empty");
        }
        let expires = Timestamp::from_second(token.expires_on.unix_timestamp())
            .map_err(|_| "the token's expiry is no moment in time")?;
        // Beyond ASCII it could be sent, but nobody would take it.
        let header = text.is_ascii().then(|| format!("Bearer {text}"));
        let mut header = header
            .and_then(|header| HeaderValue::from_maybe_shared(header).ok())
            .ok_or("the token has characters that a header cannot carry")?;
        header.set_sensitive(true);
        Ok(Self {
            header,
            text: Secret::new(text),
            expires,
            got: Instant::now(),
        })
    }

    /// The value of `Authorization`, marked as sensitive.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The token itself; to take it out of texts that may hold it.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// Whether it was there before this moment.
    pub fn older_than(&self, moment: Instant) -> bool {
        self.got < moment
    }

    fn lives_on(&self, now: Timestamp, at_least: SignedDuration) -> bool {
        self.expires.duration_since(now) > at_least
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Whom a cache's tokens are for, and where its sign-ins are counted.
pub(super) struct Counting {
    pub service: &'static str,
    pub metrics: SelfMetrics,
}

impl Counting {
    pub fn logs(metrics: &SelfMetrics) -> Self {
        Self {
            service: "logs",
            metrics: metrics.clone(),
        }
    }

    pub fn resource_manager(metrics: &SelfMetrics) -> Self {
        Self {
            service: "resource_manager",
            metrics: metrics.clone(),
        }
    }
}

/// Whoever can get a new token.
pub(super) trait TokenSource: Send + Sync {
    fn sign_in(&self) -> BoxFuture<'_, Result<Token, SignInError>>;
}

type Outcome = Result<Arc<Token>, SignInError>;
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// A token with less life than this is replaced in the background.
const REFRESH_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// While the old token lives, a refresh that failed is not tried again at once.
const REFRESH_SPACING: SignedDuration = SignedDuration::from_secs(30);
/// However many requests a sign-in takes.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(45);

/// Hands out the token. Clones share it.
///
/// - A living token is handed out at once. In its last five minutes a refresh runs beside that, and
///   if it fails, the old token serves on.
/// - Without one, all who ask wait for the same sign-in and share its outcome.
#[derive(Clone)]
pub(super) struct TokenCache(Arc<Shelf>);

struct Shelf {
    source: Box<dyn TokenSource>,
    clock: Clock,
    counting: Counting,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Arc<Token>>,
    /// The sign-in that is under way.
    flight: Option<Shared<BoxFuture<'static, Outcome>>>,
    last_try: Option<Timestamp>,
}

impl TokenCache {
    pub fn new(source: Box<dyn TokenSource>, counting: Counting) -> Self {
        Self::with_clock(source, counting, Box::new(Timestamp::now))
    }

    fn with_clock(source: Box<dyn TokenSource>, counting: Counting, clock: Clock) -> Self {
        Self(Arc::new(Shelf {
            source,
            clock,
            counting,
            state: Mutex::default(),
        }))
    }

    /// A token that lives, by this machine's clock; or one that was issued just now.
    pub async fn token(&self) -> Outcome {
        let flight = {
            let mut state = self.0.lock();
            let now = (self.0.clock)();
            let living = state.held.clone();
            match living.filter(|token| token.lives_on(now, SignedDuration::ZERO)) {
                Some(token) => {
                    if !token.lives_on(now, REFRESH_BEFORE) && state.may_refresh(now) {
                        // It runs by itself; nobody waits for it.
                        drop(self.take_off(&mut state, now));
                    }
                    return Ok(token);
                }
                None => self.take_off(&mut state, now),
            }
        };
        flight.await
    }

    /// Lets go of a token that the service refused, unless a newer one is held by now.
    pub fn discard(&self, refused: &Arc<Token>) {
        let mut state = self.0.lock();
        state.held.take_if(|held| Arc::ptr_eq(held, refused));
    }

    /// Joins the sign-in that is under way, or starts one. It runs to its end by itself: whoever
    /// waits for it may give up.
    fn take_off(&self, state: &mut State, now: Timestamp) -> Shared<BoxFuture<'static, Outcome>> {
        if let Some(flight) = &state.flight {
            return flight.clone();
        }
        state.last_try = Some(now);
        let shelf = Arc::clone(&self.0);
        let span = spans::sign_in();
        let task = tokio::spawn(async move { shelf.sign_in().await }.instrument(span));
        let landed = task.map(|joined| {
            joined.unwrap_or_else(|_| Err(SignInError::before("sign-in", "it was broken off")))
        });
        let flight = landed.boxed().shared();
        state.flight = Some(flight.clone());
        flight
    }
}

impl Shelf {
    async fn sign_in(&self) -> Outcome {
        let outcome = tokio::time::timeout(SIGN_IN_TIMEOUT, self.source.sign_in())
            .await
            .unwrap_or_else(|_| {
                let cause = format!("no token within {SIGN_IN_TIMEOUT:?}");
                Err(SignInError::before("sign-in", cause))
            })
            .map(Arc::new);
        SignedIn {
            service: self.counting.service,
            expires: outcome.as_ref().ok().map(|token| token.expires),
        }
        .emit(&self.counting.metrics);
        let now = (self.clock)();
        let mut state = self.lock();
        state.flight = None;
        match &outcome {
            Ok(token) => {
                if !token.lives_on(now, SignedDuration::ZERO) {
                    tracing::warn!(
                        expires = %token.expires,
                        "a new access token has expired already: is this machine's clock right?"
                    );
                }
                state.held = Some(Arc::clone(token));
            }
            Err(error) => {
                spans::failed(&Span::current(), FailureReason::SignIn);
                if let Some(old) = &state.held {
                    tracing::warn!(
                        %error,
                        hint = error.hint(),
                        expires = %old.expires,
                        "cannot refresh the access token; the old one serves on while it lives"
                    );
                }
            }
        }
        outcome
    }

    /// The lock is never held across a wait, and nothing panics under it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may_refresh(&self, now: Timestamp) -> bool {
        // By distance, so that a clock which was set back does not forbid it for long.
        self.last_try
            .is_none_or(|last| now.duration_since(last).abs() >= REFRESH_SPACING)
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
