//! The workspace's clock.

use jiff::Timestamp;

use crate::kql::DateTime;

/// What queries call now. Certificates and tokens keep real time in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    Real,
    /// Stands still: no rows arrive, and each query sees the same.
    Fixed(Timestamp),
}

impl Clock {
    pub fn now(self) -> DateTime {
        DateTime::from_timestamp(match self {
            Self::Real => Timestamp::now(),
            Self::Fixed(moment) => moment,
        })
    }
}
