//! Why no token could be had.

use std::error::Error;

use super::failure::{causes, network_reason};
use super::hints;
use super::text::{one_line, without};
use super::token_endpoint::Refusal;
use crate::telemetry::{FailureReason, error_chain};

/// A sign-in that failed: as what, where, and why. Its text holds no secret.
///
/// It is a text rather than a chain of sources because all who wait for one sign-in share it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{credential}{}: {cause}", at(.host))]
pub(super) struct SignInError {
    credential: &'static str,
    /// Where the token was asked for, if it was asked for at all.
    host: Option<String>,
    cause: String,
    hint: Option<&'static str>,
    unreachable: bool,
}

fn at(host: &Option<String>) -> String {
    host.as_ref()
        .map_or_else(String::new, |host| format!(" at {host}"))
}

impl SignInError {
    /// It failed before anybody was asked.
    pub fn before(credential: &'static str, cause: impl Into<String>) -> Self {
        Self {
            credential,
            host: None,
            cause: cause.into(),
            hint: None,
            unreachable: false,
        }
    }

    pub fn with_hint(mut self, hint: Option<&'static str>) -> Self {
        self.hint = hint;
        self
    }

    pub fn hint(&self) -> Option<&'static str> {
        self.hint
    }

    /// From what `azure_identity` returned; `secret` is what was sent along and must not come back.
    pub fn from_azure(
        credential: &'static str,
        host: Option<&str>,
        error: &azure_core::Error,
        secret: &str,
    ) -> Self {
        let (cause, hint) = cause_of(error);
        Self {
            credential,
            host: host.map(str::to_owned),
            cause: one_line(&without(&cause, secret)),
            hint,
            unreachable: causes(error).any(|cause| cause.is::<reqwest::Error>()),
        }
    }

    /// Whether nobody answered at all.
    pub fn is_unreachable(&self) -> bool {
        self.unreachable
    }
}

/// The error that says most, out of a chain that wraps it several times over.
fn cause_of(error: &(dyn Error + 'static)) -> (String, Option<&'static str>) {
    let mut deepest = error;
    for cause in causes(error) {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return (refusal.to_string(), refusal.hint());
        }
        if let Some(network) = cause.downcast_ref::<reqwest::Error>() {
            // A slow query is not what a slow sign-in suffers from.
            let hint = match network_reason(network) {
                FailureReason::Timeout => hints::for_network(FailureReason::Connect),
                reason => hints::for_network(reason),
            };
            return (error_chain(network), hint);
        }
        if let Some(json) = cause.downcast_ref::<serde_json::Error>() {
            // Its own text may quote the answer, and the answer may hold a token.
            let place = format!("line {} column {}", json.line(), json.column());
            return (format!("the answer is no token ({place})"), None);
        }
        deepest = cause;
    }
    (deepest.to_string(), None)
}
