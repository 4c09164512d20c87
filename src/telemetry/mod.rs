//! What the exporter says about itself.
//!
//! One struct an event ([`events`]): its `emit` writes the log line and moves the counter, so that
//! the two never disagree. [`SelfMetrics`] holds the counters that do not belong to one poll
//! (requests, HTTP, process, build); those of a poll are part of the snapshot. [`LogFormat`] makes
//! lines of events, [`traces`] sends [`spans`] to a collector.

mod budget;
mod collector;
pub mod events;
mod log_format;
mod metrics;
pub mod push;
mod reason;
pub mod spans;
pub mod traces;
mod workspaces;

pub use budget::BudgetState;
pub use log_format::LogFormat;
pub use metrics::SelfMetrics;
pub use push::PushMetrics;
pub use reason::FailureReason;
pub use traces::Traces;

/// An error and its causes in one line, `outer: cause: deeper cause`, without repeating a cause
/// that the outer text already ends with (libraries differ in whether they print their source).
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("could not connect")]
    struct Outer(#[source] Inner);
    #[derive(Debug, thiserror::Error)]
    #[error("connection refused")]
    struct Inner;
    #[derive(Debug, thiserror::Error)]
    #[error("could not connect: connection refused")]
    struct Verbose(#[source] Inner);

    #[test]
    fn a_chain_names_each_cause_once() {
        let expected = "could not connect: connection refused";
        assert_eq!(error_chain(&Outer(Inner)), expected);
        assert_eq!(error_chain(&Verbose(Inner)), expected);
    }
}
