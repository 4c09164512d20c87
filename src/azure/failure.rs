//! Why a query brought no answer.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use uuid::Uuid;

use super::hints;
use super::sign_in::SignInError;
use super::text::without;
use crate::telemetry::FailureReason;

/// A query that brought no answer. `Display` says what failed (a line of bounded length, without
/// secrets), `source` the cause where there is one below it, [`hint`](Self::hint) what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct QueryFailure {
    pub reason: FailureReason,
    /// How long the service asks us to wait.
    pub retry_after: Option<Duration>,
    /// What the request was sent under (`x-ms-client-request-id`), if one was: Azure's support and
    /// logs know it by this.
    pub request_id: Option<Uuid>,
    /// Whether the service was kept busy for so long that the query should not stand in the way of
    /// others.
    pub slow: bool,
    /// Whether it was the token that the service did not take; another one may help.
    pub(super) token_refused: bool,
    /// Whether it may pass by itself within seconds.
    pub(super) may_pass: bool,
    message: String,
    hint: Option<Cow<'static, str>>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl QueryFailure {
    pub(super) fn new(reason: FailureReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            retry_after: None,
            request_id: None,
            slow: false,
            token_refused: false,
            may_pass: false,
            message: message.into(),
            hint: None,
            source: None,
        }
    }

    pub(super) fn with_hint(mut self, hint: Option<&'static str>) -> Self {
        self.hint = hint.map(Cow::Borrowed);
        self
    }

    fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Short, practical advice, if this cause is a known one.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// No token could be had.
    pub(super) fn signing_in(error: SignInError) -> Self {
        let hint = error.hint();
        Self::new(FailureReason::SignIn, "cannot sign in")
            .with_hint(hint)
            .with_source(error)
    }

    /// The service has told this identity to wait, so this query was not sent.
    pub(super) fn not_asked(wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        let message = format!(
            "not asked: Azure throttles this identity and asked to be left alone for {seconds} s more"
        );
        let mut failure = Self::new(FailureReason::Throttled, message);
        failure.retry_after = Some(wait);
        failure.with_hint(hints::for_api(429, []))
    }

    /// A request, or the reading of its answer, broke off.
    pub(super) fn network(host: &str, error: reqwest::Error) -> Self {
        let reason = network_reason(&error);
        let what = match reason {
            FailureReason::Tls => "cannot make a secure connection to",
            FailureReason::Timeout => "no answer in time from",
            FailureReason::Decode => "cannot decompress the answer of",
            FailureReason::Internal => "cannot make a request for",
            _ if error.is_connect() => "cannot connect to",
            _ => "lost the connection to",
        };
        let mut failure = Self::new(reason, format!("{what} {host}"))
            .with_hint(hints::for_network(reason))
            .with_source(error.without_url());
        failure.may_pass = reason == FailureReason::Connect;
        failure
    }

    /// The definition's timeout ran out.
    pub(super) fn out_of_time(timeout: Duration, step: Step) -> Self {
        let (doing, hint) = match step {
            Step::SignIn => ("signing in", hints::for_network(FailureReason::Connect)),
            Step::Place => ("waiting for its turn", Some(hints::BUSY)),
            Step::Answer => ("waiting for the answer", Some(hints::SLOW_QUERY)),
            Step::Body => ("reading the answer", Some(hints::TOO_LARGE)),
            Step::Decode => ("decoding the answer", Some(hints::TOO_LARGE)),
        };
        Self::new(
            FailureReason::Timeout,
            format!("no answer within {timeout:?}, while {doing}"),
        )
        .with_hint(hint)
    }

    /// The same, should the service have echoed our token.
    pub(super) fn scrubbed(mut self, token: &str) -> Self {
        self.message = without(&self.message, token);
        self
    }
}

/// What a query spends its time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    SignIn,
    Place,
    Answer,
    Body,
    Decode,
}

/// Which reason stands behind an error of the HTTP client.
pub(super) fn network_reason(error: &reqwest::Error) -> FailureReason {
    if causes(error).any(|cause| cause.is::<rustls::Error>()) {
        return FailureReason::Tls;
    }
    // A connection that does not come about in its own, shorter time is no slow answer.
    if error.is_connect() {
        return FailureReason::Connect;
    }
    if error.is_timeout() {
        return FailureReason::Timeout;
    }
    if error.is_builder() {
        return FailureReason::Internal;
    }
    if error.is_decode() && !causes(error).any(|cause| cause.is::<hyper::Error>()) {
        return FailureReason::Decode;
    }
    FailureReason::Connect
}

/// An error and its causes. An `io::Error` skips the error that it wraps when asked for its
/// source; here it does not.
pub(super) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let error: &'a (dyn Error + 'static) = error;
        let wrapped = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_inside_an_io_error_is_found() {
        let tls = rustls::Error::NoCertificatesPresented;
        let error = std::io::Error::other(std::io::Error::other(tls));
        assert!(causes(&error).any(|cause| cause.is::<rustls::Error>()));
        assert_eq!(causes(&error).count(), 3);
    }

    #[test]
    fn a_token_that_was_echoed_does_not_stay() {
        let failure = QueryFailure::new(FailureReason::Forbidden, "HTTP 403: bad token eyJ0")
            .scrubbed("eyJ0");
        assert_eq!(failure.to_string(), "HTTP 403: bad token <secret>");
    }
}
