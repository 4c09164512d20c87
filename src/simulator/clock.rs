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

    /// The minute, since the Unix epoch, that it is.
    pub fn minute(self) -> i64 {
        let now = match self {
            Self::Real => Timestamp::now(),
            Self::Fixed(moment) => moment,
        };
        now.as_second().div_euclid(60)
    }
}
