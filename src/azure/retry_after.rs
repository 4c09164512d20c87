//! The `Retry-After` header: seconds, or an HTTP date.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// However long a service asks us to wait, a poll is tried again within the hour.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How long to wait from `now`; at most an hour, and nothing for a date that has passed. `None` if
/// the header says neither seconds nor a date.
pub(super) fn parse(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // A number too long to read is too long to wait, too.
        let seconds = header.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = DateTimeParser::new().parse_timestamp(header).ok()?;
    let wait = Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO);
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let now = "2026-11-24T08:00:00Z".parse().unwrap();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (header, wait) in [
            ("0", seconds(0)),
            (" 17 ", seconds(17)),
            ("86400", seconds(3_600)),
            ("99999999999999999999999", seconds(3_600)),
            ("Tue, 24 Nov 2026 08:00:30 GMT", seconds(30)),
            ("Tue, 24 Nov 2026 07:59:30 GMT", seconds(0)),
            ("Wed, 25 Nov 2026 08:00:00 GMT", seconds(3_600)),
            ("(seconds)", None),
            ("-5", None),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(parse(header, now), wait, "{header:?}");
        }
    }
}
