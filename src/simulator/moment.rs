//! Reading a moment as people and files write it.

use jiff::Timestamp;
use jiff::civil::{self, date};

use crate::kql::DateTime;

/// The moment that an ISO 8601 text names: with an offset, or UTC without one; a date alone is its
/// first moment.
pub fn parse(text: &str) -> Option<DateTime> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(DateTime::from_timestamp(moment));
    }
    // The time library's moments end some hours before Kusto's, its dates do not.
    let civil: civil::DateTime = text.strip_suffix('Z').unwrap_or(text).parse().ok()?;
    let since = civil.duration_since(date(1, 1, 1).at(0, 0, 0, 0));
    let ticks = i64::try_from(since.as_nanos() / 100).ok()?;
    (DateTime::MIN.0..=DateTime::MAX.0)
        .contains(&ticks)
        .then_some(DateTime(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_offset_it_is_utc() {
        let expected = Some(DateTime::from_unix_seconds(1_769_860_800));
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00.0000000",
            "2026-01-31T14:00:00+02:00",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("2026-01-31"), parse("2026-01-31T00:00:00Z"));
        assert_eq!(parse("9999-12-31T23:59:59.9999999Z"), Some(DateTime::MAX));
        assert_eq!(parse("0001-01-01T00:00:00Z"), Some(DateTime::MIN));
        for text in [
            "",
            "now",
            "31.01.2026",
            "2026-01-31T12:00:00Zulu",
            "0000-12-31",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
