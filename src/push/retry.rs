//! How long to wait before a request is sent again.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// However long a receiver asks us to wait, it is tried again within this.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// Waits that double, each between half and all of it, so that many exporters do not come back at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    pub first: Duration,
    pub longest: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        }
    }
}

impl BackOff {
    /// The wait after the attempt of this number, from 0. What the receiver `asked` for counts more;
    /// `dice`, from 0 up to 1, is added to that as a share of the first wait.
    pub fn wait(self, attempt: u32, asked: Option<Duration>, dice: f64) -> Duration {
        let dice = dice.clamp(0.0, 1.0);
        if let Some(asked) = asked {
            return asked.min(LONGEST_ASKED) + self.first.mul_f64(dice / 2.0);
        }
        let doubled = self
            .first
            .saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX));
        doubled.min(self.longest).mul_f64(0.5 + dice / 2.0)
    }
}

/// The `Retry-After` header: seconds, or an HTTP date. `None` if it is neither.
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too long to read is too long to wait, too.
        let seconds = header.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_ASKED));
    }
    let date = DateTimeParser::new().parse_timestamp(header).ok()?;
    let wait = Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO);
    Some(wait.min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread() {
        let back_off = BackOff::default();
        let waits = |dice| [0, 1, 2, 5, 40].map(|attempt| back_off.wait(attempt, None, dice));
        assert_eq!(
            waits(1.0),
            [1, 2, 4, 30, 30].map(|seconds| seconds * SECOND)
        );
        assert_eq!(
            waits(0.0),
            [1, 2, 4, 30, 30].map(|seconds| seconds * SECOND / 2)
        );
    }

    #[test]
    fn what_the_receiver_asks_for_is_the_least_that_is_waited() {
        let back_off = BackOff::default();
        assert_eq!(back_off.wait(0, Some(7 * SECOND), 0.0), 7 * SECOND);
        assert_eq!(back_off.wait(9, Some(7 * SECOND), 1.0), 15 * SECOND / 2);
        assert_eq!(back_off.wait(0, Some(Duration::MAX), 0.0), 600 * SECOND);
    }

    #[test]
    fn seconds_and_dates() {
        let now = "2026-11-24T08:00:00Z".parse().unwrap();
        for (header, seconds) in [
            ("0", Some(0)),
            (" 17 ", Some(17)),
            ("86400", Some(600)),
            ("99999999999999999999999", Some(600)),
            ("Tue, 24 Nov 2026 08:00:30 GMT", Some(30)),
            ("Tue, 24 Nov 2026 07:59:30 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            let wait = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(header, now), wait, "{header:?}");
        }
    }
}
