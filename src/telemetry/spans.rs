//! The exporter's own spans: one trace a poll, `poll` at its root and the steps below it.
//!
//! A span is disabled, and costs no more than a look, unless traces are on ([`Traces`]). None holds a
//! secret or a query's text.
//!
//! [`Traces`]: super::Traces

use tracing::field::Empty;
use tracing::{Span, info_span};

use super::FailureReason;

/// One run of one query against one workspace; it has no parent.
pub fn poll(query: &str, workspace: &str) -> Span {
    info_span!(
        parent: None,
        "poll",
        query,
        workspace,
        error.type = Empty,
        otel.status_code = Empty,
    )
}

/// The getting of a new token. All who wait for it share it; it belongs to the poll that was first.
pub fn sign_in() -> Span {
    info_span!("sign_in", error.type = Empty, otel.status_code = Empty)
}

/// One request to the Logs Query API, its body included. `resends` counts the requests before it
/// for the same poll.
pub fn query(host: &str, url: &str, resends: u32) -> Span {
    let (address, port) = match host.rsplit_once(':') {
        Some((address, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (address, port),
        _ => (host, ""),
    };
    info_span!(
        "query",
        otel.kind = "client",
        http.request.method = "POST",
        http.request.resend_count = (resends > 0).then_some(i64::from(resends)),
        http.response.status_code = Empty,
        server.address = address,
        server.port = port.parse::<i64>().unwrap_or(443),
        url.full = url,
        error.type = Empty,
        otel.status_code = Empty,
    )
}

/// A [`query`] span's answer began.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", i64::from(status));
}

/// An answer's bytes become a table.
pub fn decode(bytes: u64) -> Span {
    info_span!(
        "decode",
        bytes,
        error.type = Empty,
        otel.status_code = Empty,
    )
}

/// A table becomes families.
pub fn project(rows: u64) -> Span {
    info_span!(
        "project",
        rows,
        error.type = Empty,
        otel.status_code = Empty,
    )
}

/// What a poll brought becomes part of the snapshot.
pub fn publish() -> Span {
    info_span!("publish")
}

/// The span's step failed.
pub fn failed(span: &Span, reason: FailureReason) {
    span.record("error.type", reason.as_str());
    span.record("otel.status_code", "ERROR");
}
