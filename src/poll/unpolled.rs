//! Why a run brought nothing.

use tokio::task::JoinError;

use crate::azure::QueryFailure;
use crate::ledger::StoreError;
use crate::series::ShapeError;
use crate::telemetry::FailureReason;

/// Why there is no whole answer, or why it could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum Unpolled {
    #[error(transparent)]
    Query(#[from] QueryFailure),
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error("a thread of ours ended early")]
    Internal(#[from] JoinError),
    #[error("the poll itself broke off")]
    Panic,
    #[error("the counters' state could not be written")]
    State(#[source] StoreError),
    #[error("the counters' state cannot be read yet")]
    Unread(#[source] StoreError),
    #[error("the counters' state could not be read until now; the next poll counts on from it")]
    TakenOver,
    #[error("the answer bears no time of Azure's that could be counted by")]
    NoDate,
    #[error("Azure's clock jumps: its times do not fit what it said before")]
    ClockRunsWild,
}

impl Unpolled {
    pub fn reason(&self) -> FailureReason {
        match self {
            Self::Query(failure) => failure.reason,
            Self::Shape(_) | Self::ClockRunsWild => FailureReason::Shape,
            Self::NoDate => FailureReason::Decode,
            Self::State(_)
            | Self::Unread(_)
            | Self::TakenOver
            | Self::Internal(_)
            | Self::Panic => FailureReason::Internal,
        }
    }

    /// What whoever reads it can do.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Query(failure) => failure.hint(),
            Self::Shape(_) => {
                Some("the query's columns and the definition's labels and values must agree")
            }
            Self::State(_) => {
                Some("see that state.path can be written to and has room; it is tried again")
            }
            Self::Unread(_) => Some(
                "it is tried again; while another exporter has the state, only that one counts: two that are to stay need a state.path each",
            ),
            Self::ClockRunsWild => {
                Some("what arrived in the meantime is not counted; the next poll tries again")
            }
            Self::NoDate | Self::TakenOver => None,
            Self::Internal(_) | Self::Panic => Some(
                "this is a mistake of the exporter: please report it with the log lines before",
            ),
        }
    }
}
