//! Times and sizes as a person reads them.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;

/// A length of time in its two largest units, such as `3 h 20 min`.
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        match seconds {
            0..60 => write!(f, "{seconds} s"),
            60..600 if !seconds.is_multiple_of(60) => write!(f, "{minutes} min {} s", seconds % 60),
            60..3600 => write!(f, "{minutes} min"),
            3600..86_400 if minutes % 60 > 0 => write!(f, "{hours} h {} min", minutes % 60),
            3600..86_400 => write!(f, "{hours} h"),
            _ if hours % 24 > 0 => write!(f, "{days} d {} h", hours % 24),
            _ => write!(f, "{days} d"),
        }
    }
}

/// How far a moment is from now: `12 s ago` or `in 48 s`.
pub struct Away(pub Timestamp, pub Timestamp);

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(at, now) = *self;
        if at.as_second() > now.as_second() {
            write!(f, "in {}", Span(between(now, at)))
        } else {
            write!(f, "{} ago", Span(between(at, now)))
        }
    }
}

/// From one moment to a later one; nothing if it is not later.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    // Whole seconds of each, so that 12:00:00.9 and 12:00:01.0 are as far apart as they look.
    let seconds = to.as_second().saturating_sub(from.as_second());
    Duration::from_secs(seconds.try_into().unwrap_or_default())
}

/// A moment in UTC as an HTML `time`, with its date unless that is today's.
pub struct Utc(pub Timestamp, pub Timestamp);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(at, now) = *self;
        let day = |moment| Offset::UTC.to_datetime(moment).date();
        let shown = if day(at) == day(now) { "%T" } else { "%F %T" };
        write!(
            f,
            "<time datetime=\"{}\">{}</time>",
            at.strftime("%FT%TZ"),
            at.strftime(shown)
        )
    }
}

/// A count with its thousands apart: `200,000`.
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A count and its noun: `1 query`, `2 queries`.
pub struct Counted<'a>(pub u64, pub &'a str, pub &'a str);

impl fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0 == 1 { self.1 } else { self.2 };
        write!(f, "{} {noun}", Count(self.0))
    }
}

/// A number of bytes in a binary unit: `12.3 GiB`.
pub struct Bytes(pub f64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut size = self.0;
        let mut unit = "B";
        for larger in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
            if size < 1024.0 {
                break;
            }
            size /= 1024.0;
            unit = larger;
        }
        if unit == "B" {
            write!(f, "{size:.0} B")
        } else {
            write!(f, "{size:.1} {unit}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn lengths_have_at_most_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (80, "1 min 20 s"),
            (659, "10 min"),
            (3600, "1 h"),
            (12_000, "3 h 20 min"),
            (86_400, "1 d"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(Span(Duration::from_secs(seconds)).to_string(), text);
        }
        assert_eq!(Away(second(100), second(112)).to_string(), "12 s ago");
        assert_eq!(Away(second(100), second(100)).to_string(), "0 s ago");
        assert_eq!(Away(second(160), second(112)).to_string(), "in 48 s");
    }

    #[test]
    fn another_day_is_named() {
        assert_eq!(
            Utc(second(0), second(10)).to_string(),
            "<time datetime=\"1970-01-01T00:00:00Z\">00:00:00</time>"
        );
        assert_eq!(
            Utc(second(0), second(86_400)).to_string(),
            "<time datetime=\"1970-01-01T00:00:00Z\">1970-01-01 00:00:00</time>"
        );
    }

    #[test]
    fn counts_and_sizes() {
        assert_eq!(Count(7).to_string(), "7");
        assert_eq!(Count(200_000).to_string(), "200,000");
        assert_eq!(Count(1_234_567).to_string(), "1,234,567");
        assert_eq!(Counted(1, "query", "queries").to_string(), "1 query");
        assert_eq!(Bytes(512.0).to_string(), "512 B");
        assert_eq!(Bytes(13_207_024_435.0).to_string(), "12.3 GiB");
    }
}
