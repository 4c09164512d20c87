//! Why a poll failed: a small enum, which is also the `reason` label's set of values.

use std::fmt;

/// Why a poll brought no publishable answer. Error texts are for the log; this is for the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureReason {
    /// No connection: DNS, refused, reset, proxy.
    Connect,
    /// The TLS handshake failed: unknown CA, wrong name, expired.
    Tls,
    /// No answer within the definition's `timeout`, or the service's own (504).
    Timeout,
    /// No access token: wrong secret, unknown tenant, no managed identity.
    SignIn,
    /// The service knows who asks and refuses (401 with a fresh token, 403).
    Forbidden,
    /// No such workspace or path (404).
    NotFound,
    /// The workspace has no such table (400): nothing fills it there, or its name is wrong.
    NotCollected,
    /// The service refused the query's text (400).
    BadQuery,
    /// Too many requests (429).
    Throttled,
    /// 5xx, or a status that the API does not document.
    ServerError,
    /// The answer is not all there is (`PartialError`).
    Partial,
    /// A success without a body (204, or 200 with nothing).
    EmptyBody,
    /// The body is not the JSON that the API documents.
    Decode,
    /// The table lacks a column that the definition needs, or has it with an unusable type.
    Shape,
    /// The previous poll was still running.
    Overlap,
    /// A mistake of ours, or of the machine we run on.
    Internal,
}

impl FailureReason {
    /// All reasons, in the order of the documentation.
    pub const ALL: [Self; 16] = [
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::SignIn,
        Self::Forbidden,
        Self::NotFound,
        Self::NotCollected,
        Self::BadQuery,
        Self::Throttled,
        Self::ServerError,
        Self::Partial,
        Self::EmptyBody,
        Self::Decode,
        Self::Shape,
        Self::Overlap,
        Self::Internal,
    ];

    /// Whether one request to the API can end so; the others happen around it.
    pub fn comes_from_a_request(self) -> bool {
        !matches!(self, Self::Shape | Self::Overlap)
    }

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::SignIn => "sign_in",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::NotCollected => "not_collected",
            Self::BadQuery => "bad_query",
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::Partial => "partial",
            Self::EmptyBody => "empty_body",
            Self::Decode => "decode",
            Self::Shape => "shape",
            Self::Overlap => "overlap",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
