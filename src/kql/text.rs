//! Kusto's scalars as text: how literals and strings are read, and how the Logs Query API prints.

use std::sync::Arc;

use rust_decimal::Decimal;
use uuid::Uuid;

use super::calendar::{self, DAY, HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND, TICK};
use super::value::{DateTime, TimeSpan, Value};

/// `2015-12-31T23:59:59.9Z`: the fraction has up to seven digits, none if it is zero.
pub fn format_datetime(moment: DateTime) -> String {
    let mut text = format_datetime_full(moment);
    text.pop();
    let kept = text.trim_end_matches('0').trim_end_matches('.').len();
    // The seconds keep their zeros: only the fraction, past the point, is trimmed.
    text.truncate(kept.max("2015-12-31T23:59:59".len()));
    text.push('Z');
    text
}

/// `2015-12-31T23:59:59.9000000Z`, as `tostring()` has it.
pub fn format_datetime_full(moment: DateTime) -> String {
    let civil = calendar::to_civil(moment);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:07}Z",
        civil.year,
        civil.month,
        civil.day,
        civil.hour(),
        civil.minute(),
        civil.second(),
        civil.fraction()
    )
}

/// `[-][d.]hh:mm:ss[.fffffff]`.
pub fn format_timespan(span: TimeSpan) -> String {
    let sign = if span.0 < 0 { "-" } else { "" };
    let ticks = span.0.unsigned_abs();
    let unit = |unit: i64| unit.unsigned_abs();
    let days = ticks / unit(DAY);
    let mut text = if days > 0 {
        format!("{sign}{days}.")
    } else {
        sign.to_string()
    };
    text += &format!(
        "{:02}:{:02}:{:02}",
        ticks / unit(HOUR) % 24,
        ticks / unit(MINUTE) % 60,
        ticks / unit(SECOND) % 60
    );
    let fraction = ticks % unit(SECOND);
    if fraction > 0 {
        text += &format!(".{fraction:07}");
    }
    text
}

/// The shortest text that reads back as the same number; `NaN`, `Infinity`, `-Infinity`. Integral
/// numbers have no `.0`.
pub fn format_real(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .into();
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-5..1e15).contains(&magnitude) {
        return format!("{number:e}");
    }
    format!("{number}")
}

/// What `tostring()` makes of a value: null and the empty string are `""`, a dynamic string is its
/// bare text, other dynamic values are compact JSON.
pub fn format_value(value: &Value) -> Arc<str> {
    match value {
        Value::Null => "".into(),
        Value::Bool(truth) => if *truth { "True" } else { "False" }.into(),
        Value::Int(number) => number.to_string().into(),
        Value::Long(number) => number.to_string().into(),
        Value::Real(number) => {
            let mut text = format_real(*number);
            if number.is_finite() && !text.contains(['.', 'e']) {
                text.push_str(".0");
            }
            text.into()
        }
        Value::Decimal(number) => number.to_string().into(),
        Value::String(text) => text.clone(),
        Value::DateTime(moment) => format_datetime_full(*moment).into(),
        Value::TimeSpan(span) => format_timespan(*span).into(),
        Value::Guid(guid) => format_guid(*guid).into(),
        Value::Dynamic(json) => match &**json {
            serde_json::Value::String(text) => text.as_str().into(),
            json => format_dynamic(json).into(),
        },
    }
}

pub fn format_guid(guid: Uuid) -> String {
    guid.hyphenated().to_string()
}

/// Compact JSON, as the Logs Query API sends a dynamic cell (within a JSON string).
pub fn format_dynamic(json: &serde_json::Value) -> String {
    json.to_string()
}

/// A moment in ISO 8601 or one of the forms of `datetime(…)`: `2015-12-31`, `2015-12-31 23:59`,
/// `2015-12-31T23:59:59.9Z`, `…+02:00`, `2015`, `12/31/2015`. No offset means UTC.
pub fn parse_datetime(text: &str) -> Option<DateTime> {
    let text = text.trim();
    let mut scan = Scan(text);
    let first = scan.digits(4)?;
    let (date, alone) = if scan.eat('-') {
        let month = scan.digits(2)?;
        let day = if scan.eat('-') { scan.digits(2)? } else { 1 };
        (calendar::from_date(first, month, day)?, false)
    } else if scan.eat('/') {
        let second = scan.digits(2)?;
        if !scan.eat('/') {
            return None;
        }
        let third = scan.digits(4)?;
        let date = if first > 31 {
            calendar::from_date(first, second, third)?
        } else {
            calendar::from_date(third, first, second)?
        };
        (date, false)
    } else {
        (calendar::from_date(first, 1, 1)?, true)
    };
    if scan.0.is_empty() {
        return (!alone || text.len() == 4).then_some(date);
    }
    if alone || !(scan.eat('T') || scan.eat('t') || scan.eat(' ')) {
        return if !alone && (scan.eat('Z') || scan.eat('z')) && scan.0.is_empty() {
            Some(date)
        } else {
            None
        };
    }
    scan.spaces();
    let mut hour = scan.digits(2)?;
    let (mut minute, mut second, mut fraction) = (0, 0, 0);
    if scan.eat(':') {
        minute = scan.digits(2)?;
        if scan.eat(':') {
            second = scan.digits(2)?;
            if scan.eat('.') {
                fraction = scan.fraction()?;
            }
        }
    }
    scan.spaces();
    let half = scan.0.get(..2).map(str::to_ascii_lowercase);
    if let Some(half @ ("am" | "pm")) = half.as_deref() {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + if half == "pm" { 12 } else { 0 };
        scan.0 = &scan.0[2..];
    }
    if hour > 24 || minute > 59 || second > 59 || (hour == 24 && minute + second + fraction > 0) {
        return None;
    }
    let mut offset = 0;
    if !(scan.eat('Z') || scan.eat('z')) {
        let sign = match scan.0.chars().next() {
            Some('+') => 1,
            Some('-') => -1,
            Some(_) => return None,
            None => 0,
        };
        if sign != 0 {
            scan.0 = &scan.0[1..];
            let hours = scan.digits(2)?;
            scan.eat(':');
            let minutes = if scan.0.is_empty() {
                0
            } else {
                scan.digits(2)?
            };
            offset = sign * (hours * HOUR + minutes * MINUTE);
        }
    }
    let ticks = hour * HOUR + minute * MINUTE + second * SECOND + fraction - offset;
    scan.0
        .is_empty()
        .then(|| calendar::add(date, TimeSpan(ticks)))?
}

/// A length of time: `1.5h`, `15m`, `2 days` or `[-][d.]hh:mm[:ss[.fffffff]]`; a bare number means
/// days.
pub fn parse_timespan(text: &str) -> Option<TimeSpan> {
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let ticks = if unsigned.contains(':') {
        parse_clock(unsigned)?
    } else {
        let digits = unsigned
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(unsigned.len());
        let (number, unit) = unsigned.split_at(digits);
        scale(number, timespan_unit(unit.trim_start())?)?
    };
    Some(TimeSpan(if negative { -ticks } else { ticks }))
}

/// The ticks of a timespan literal's unit; no unit means days.
pub fn timespan_unit(unit: &str) -> Option<i64> {
    Some(match unit {
        "" | "d" | "day" | "days" => DAY,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "m" | "min" | "minute" | "minutes" => MINUTE,
        "s" | "sec" | "second" | "seconds" => SECOND,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => MILLISECOND,
        "micro" | "micros" | "microsecond" | "microseconds" => MICROSECOND,
        "tick" | "ticks" => TICK,
        _ => return None,
    })
}

/// `number` (unsigned decimal digits with at most one point) times `unit` ticks.
fn scale(number: &str, unit: i64) -> Option<i64> {
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(unit);
    }
    let ticks = number.parse::<f64>().ok()? * unit as f64;
    (ticks.abs() < i64::MAX as f64).then_some(ticks.round() as i64)
}

/// `[d.]hh:mm[:ss[.fffffff]]`, or `d:hh:mm:ss`.
fn parse_clock(text: &str) -> Option<i64> {
    let mut scan = Scan(text);
    let mut days = 0;
    let mut hours = scan.digits(9)?;
    if scan.eat('.') {
        days = hours;
        hours = scan.digits(2)?;
    }
    if !scan.eat(':') {
        return None;
    }
    let minutes = scan.digits(2)?;
    let (mut seconds, mut fraction) = (0, 0);
    if scan.eat(':') {
        seconds = scan.digits(2)?;
        if scan.eat('.') {
            fraction = scan.fraction()?;
        }
    }
    if !scan.0.is_empty() || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    days.checked_mul(DAY)?
        .checked_add(hours * HOUR + minutes * MINUTE + seconds * SECOND + fraction)
}

/// `1`, `-5`, `0x1f`; `None` beyond 64 bits.
pub fn parse_long(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    match unsigned
        .strip_prefix("0x")
        .or_else(|| unsigned.strip_prefix("0X"))
    {
        // As the engine does: sixteen digits fill the 64 bits, the sign bit included.
        Some(digits) if !digits.starts_with(['+', '-']) => {
            let bits = u64::from_str_radix(digits, 16).ok()?.cast_signed();
            Some(if sign.is_empty() {
                bits
            } else {
                bits.wrapping_neg()
            })
        }
        _ => format!("{sign}{unsigned}").parse().ok(),
    }
}

/// `1`, `1.5`, `1e5`, `NaN`, `inf`, `-Infinity`.
pub fn parse_real(text: &str) -> Option<f64> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "inf" | "+inf" | "infinity" | "+infinity" => Some(f64::INFINITY),
        "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

/// `0.1`, `1e-3`.
pub fn parse_decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    text.parse()
        .ok()
        .or_else(|| Decimal::from_scientific(text).ok())
}

/// A GUID with or without dashes or braces.
pub fn parse_guid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text.trim()).ok()
}

/// `true`, `false` in any case, or a number: anything but zero is true.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        number => parse_long(number).map(|number| number != 0),
    }
}

/// Reads fixed-width fields off the front of a text.
struct Scan<'a>(&'a str);

impl Scan<'_> {
    /// One to `most` digits.
    fn digits(&mut self, most: usize) -> Option<i64> {
        let count = self
            .0
            .bytes()
            .take(most)
            .take_while(u8::is_ascii_digit)
            .count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        digits.parse().ok()
    }

    /// The digits of a fraction of a second, in ticks; digits past the seventh are dropped.
    fn fraction(&mut self) -> Option<i64> {
        let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let kept = &digits[..count.min(7)];
        let number: i64 = kept.parse().ok()?;
        Some(
            kept.len()
                .try_into()
                .map_or(0, |len: u32| number * 10_i64.pow(7_u32.saturating_sub(len))),
        )
    }

    fn eat(&mut self, wanted: char) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn spaces(&mut self) {
        self.0 = self.0.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_and_print_as_the_api_prints_them() {
        for (text, printed) in [
            ("2015-12-31T23:59:59.9Z", "2015-12-31T23:59:59.9Z"),
            (
                "2015-12-31 23:59:59.1234567",
                "2015-12-31T23:59:59.1234567Z",
            ),
            ("2015-12-31", "2015-12-31T00:00:00Z"),
            ("2015-12-30T10:20", "2015-12-30T10:20:00Z"),
            ("2015", "2015-01-01T00:00:00Z"),
            ("2015-06", "2015-06-01T00:00:00Z"),
            ("12/31/2015", "2015-12-31T00:00:00Z"),
            ("2015-12-31T23:00:00+01:30", "2015-12-31T21:30:00Z"),
            ("2015-12-31 11:30 pm", "2015-12-31T23:30:00Z"),
            (
                "2015-12-31T23:59:50.123456789Z",
                "2015-12-31T23:59:50.1234567Z",
            ),
        ] {
            let moment = parse_datetime(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(format_datetime(moment), printed, "{text}");
        }
        for wrong in [
            "",
            "x",
            "2015-13-01",
            "2015-12-31T25:00",
            "2015-12-31x",
            "20151",
        ] {
            assert_eq!(parse_datetime(wrong), None, "{wrong}");
        }
        assert_eq!(
            format_datetime_full(DateTime(5)),
            "0001-01-01T00:00:00.0000005Z"
        );
    }

    #[test]
    fn lengths_of_time_read_and_print() {
        for (text, printed) in [
            ("1d", "1.00:00:00"),
            ("1.5h", "01:30:00"),
            ("100ms", "00:00:00.1000000"),
            ("1tick", "00:00:00.0000001"),
            ("-15m", "-00:15:00"),
            ("3", "3.00:00:00"),
            ("2.03:04:05.6", "2.03:04:05.6000000"),
            ("12:30", "12:30:00"),
            ("30 seconds", "00:00:30"),
        ] {
            let span = parse_timespan(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(format_timespan(span), printed, "{text}");
        }
        for wrong in ["", "h", "1x", "25:00", "1:2:3:4", "99999999999d"] {
            assert_eq!(parse_timespan(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_print() {
        for (number, printed) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (1e20, "1e20"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(format_real(number), printed);
        }
        assert_eq!(&*format_value(&Value::Real(1.0)), "1.0");
        assert_eq!(parse_long("0x1F"), Some(31));
        assert_eq!(parse_long("-0x10"), Some(-16));
        assert_eq!(parse_long("0x+1"), None);
        assert_eq!(parse_long("9223372036854775808"), None);
        assert_eq!(parse_real("-inf"), Some(f64::NEG_INFINITY));
    }
}
