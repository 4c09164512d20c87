//! What an HTTP answer means: a table, or which failure. No clock, no network.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;

use super::api_error::ApiError;
use super::cost::Cost;
use super::failure::QueryFailure;
use super::text::one_line;
use super::wire::{self, Decoded};
use super::{hints, retry_after};
use crate::table::ResultTable;
use crate::telemetry::FailureReason;

/// The table in the body of a success: what the client makes of it, for who has the bytes already.
///
/// # Errors
/// If the body is no answer, or only a part of one.
pub fn read_table(body: &[u8]) -> Result<ResultTable, QueryFailure> {
    let reply = Reply {
        status: 200,
        retry_after: None,
        age: None,
        oldest: Duration::ZERO,
        body,
    };
    reply.table().map(|(decoded, _)| decoded.table)
}

/// An answer as it came, its body decompressed.
pub(super) struct Reply<'a> {
    pub status: u16,
    pub retry_after: Option<&'a str>,
    /// How long ago a cache between here and the service was filled with it, in seconds.
    pub age: Option<u64>,
    /// How old it may be.
    pub oldest: Duration,
    pub body: &'a [u8],
}

impl Reply<'_> {
    /// The table and what it cost, or why there is none. `now` is what a `Retry-After` date is measured
    /// from.
    pub fn judge(&self, now: Timestamp) -> Result<(Decoded, Cost), QueryFailure> {
        match self.status {
            200 | 204 if self.is_old() => Err(self.old()),
            200 if self.body.trim_ascii().is_empty() => Err(self.empty()),
            200 => self.table(),
            204 => Err(self.empty()),
            _ => Err(self.refusal(now)),
        }
    }

    fn is_old(&self) -> bool {
        let age = self.age.map(Duration::from_secs);
        age.is_some_and(|age| age > self.oldest)
    }

    /// What has arrived in the workspace since is not in it: the answer is not all there is.
    fn old(&self) -> QueryFailure {
        let age = self.age.unwrap_or_default();
        let message = format!("the answer comes from a cache and is {age} s old");
        let mut failure =
            QueryFailure::new(FailureReason::Partial, message).with_hint(Some(hints::CACHED));
        failure.may_pass = true;
        failure
    }

    fn empty(&self) -> QueryFailure {
        QueryFailure::new(
            FailureReason::EmptyBody,
            format!("HTTP {} without a body", self.status),
        )
        .with_hint(Some(hints::EMPTY_BODY))
    }

    fn table(&self) -> Result<(Decoded, Cost), QueryFailure> {
        let body = wire::read(self.body).map_err(|error| {
            let message = format!(
                "the answer cannot be read: {}",
                one_line(&error.to_string())
            );
            let json = self.body.trim_ascii_start().starts_with(b"{");
            QueryFailure::new(FailureReason::Decode, message)
                .with_hint((!json).then_some(hints::NOT_JSON))
        })?;
        if let Some(error) = body.error {
            return Err(partial(error));
        }
        let table = body.table.ok_or_else(|| {
            QueryFailure::new(FailureReason::Decode, "the answer holds no table")
                .with_hint(Some(hints::NOT_JSON))
        })?;
        Ok((table, body.cost))
    }

    fn refusal(&self, now: Timestamp) -> QueryFailure {
        let reason = match self.status {
            400 => FailureReason::BadQuery,
            401 | 403 => FailureReason::Forbidden,
            404 => FailureReason::NotFound,
            429 => FailureReason::Throttled,
            504 => FailureReason::Timeout,
            _ => FailureReason::ServerError,
        };
        let error = ApiError::in_body(self.body);
        // A token that is not good any more comes as 401 or 403.
        let token_refused = self.status == 401
            || self.status == 403 && error.as_ref().is_some_and(ApiError::is_bad_token);
        let no_table = self.status == 400 && error.as_ref().is_some_and(ApiError::is_no_table);
        let reason = match no_table {
            true => FailureReason::NotCollected,
            false => reason,
        };
        let (text, hint) = match error {
            Some(error) if no_table => (error.to_string(), Some(hints::NO_TABLE)),
            Some(error) => (
                error.to_string(),
                hints::for_api(self.status, error.codes()),
            ),
            None => (
                one_line(&String::from_utf8_lossy(self.body)),
                hints::for_api(self.status, []),
            ),
        };
        let message = if text.is_empty() {
            format!("HTTP {}", self.status)
        } else {
            format!("HTTP {}: {text}", self.status)
        };
        let mut failure = QueryFailure::new(reason, message).with_hint(hint);
        failure.token_refused = token_refused;
        // 504 is the query's own slowness, 501 and 505 are for ever.
        failure.may_pass = matches!(self.status, 408 | 429 | 500 | 502 | 503);
        failure.retry_after = self
            .retry_after
            .and_then(|header| retry_after::parse(header, now));
        failure
    }
}

/// An `error` beside the tables: what they hold is not all there is.
fn partial(error: &RawValue) -> QueryFailure {
    let error: Value = serde_json::from_str(error.get()).unwrap_or_default();
    let error = ApiError::of(&error);
    QueryFailure::new(
        FailureReason::Partial,
        format!("the answer is incomplete: {error}"),
    )
    .with_hint(Some(match error.is_too_large() {
        true => hints::TOO_MANY_ROWS,
        false => hints::PARTIAL,
    }))
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
