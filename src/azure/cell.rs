//! One cell of an answer: from JSON, by its column's type.
//!
//! A cell that is not what the type promises is no damage to the answer: it reads as `None` and
//! costs its row. Only broken JSON is an error.

use std::fmt;

use jiff::{SignedDuration, Timestamp, civil};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeSeed};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::texts::Texts;
use crate::table::{Cell, ColumnType};

/// Reads one cell; `None` if it is not of this type. Its text comes from those of its column.
pub(super) struct CellSeed<'a>(pub ColumnType, pub &'a mut Texts);

impl<'de> DeserializeSeed<'de> for CellSeed<'_> {
    type Value = Option<Cell>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        if self.0 == ColumnType::Dynamic {
            return dynamic(json, self.1);
        }
        json.deserialize_any(CellVisitor(self.0, self.1))
    }
}

/// `dynamic` arrives as a string of JSON. Should it come as plain JSON, its text means the same.
fn dynamic<'de, D: Deserializer<'de>>(
    json: D,
    texts: &mut Texts,
) -> Result<Option<Cell>, D::Error> {
    let raw = <&RawValue>::deserialize(json)?.get();
    Ok(Some(match raw.as_bytes().first() {
        Some(b'n') => Cell::Null,
        Some(b'"') => {
            let text: String = serde_json::from_str(raw).map_err(Error::custom)?;
            Cell::String(texts.share(&text))
        }
        _ => Cell::String(texts.share(raw)),
    }))
}

struct CellVisitor<'a>(ColumnType, &'a mut Texts);

impl<'de> Visitor<'de> for CellVisitor<'_> {
    type Value = Option<Cell>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} cell", self.0)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Some(match self.0 {
            // Kusto has no null string.
            ColumnType::String => Cell::String(self.1.share("")),
            _ => Cell::Null,
        }))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok((self.0 == ColumnType::Bool).then_some(Cell::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(match self.0 {
            ColumnType::Int | ColumnType::Long => Some(Cell::Long(value)),
            ColumnType::Real | ColumnType::Decimal => Some(Cell::Real(value as f64)),
            _ => None,
        })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(match self.0 {
            ColumnType::Int | ColumnType::Long => i64::try_from(value).ok().map(Cell::Long),
            ColumnType::Real | ColumnType::Decimal => Some(Cell::Real(value as f64)),
            _ => None,
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        let real = matches!(self.0, ColumnType::Real | ColumnType::Decimal);
        Ok(real.then_some(Cell::Real(value)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(match self.0 {
            ColumnType::String => Some(Cell::String(self.1.share(text))),
            ColumnType::Guid => Uuid::try_parse(text)
                .is_ok()
                .then(|| Cell::String(self.1.share(text))),
            ColumnType::DateTime => parse_datetime(text).map(Cell::DateTime),
            ColumnType::TimeSpan => parse_timespan(text).map(Cell::TimeSpan),
            ColumnType::Decimal => parse_decimal(text).map(Cell::Real),
            ColumnType::Real => match text {
                "NaN" => Some(Cell::Real(f64::NAN)),
                "Infinity" => Some(Cell::Real(f64::INFINITY)),
                "-Infinity" => Some(Cell::Real(f64::NEG_INFINITY)),
                _ => None,
            },
            _ => None,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Kusto's datetimes end a day and two hours after the last [`Timestamp`]. Whoever writes
/// `9999-12-31` means "never ends", so those last hours read as that last moment.
fn parse_datetime(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let civil: civil::DateTime = text.strip_suffix('Z')?.parse().ok()?;
    (civil.year() == 9999).then_some(Timestamp::MAX)
}

/// Digits with at most one sign, point and exponent; unlike Rust's own parser no `inf` or `nan`.
fn parse_decimal(text: &str) -> Option<f64> {
    let plain = |b: &u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.as_bytes().iter().all(plain) {
        return None;
    }
    text.parse().ok()
}

/// `[-][d.]hh:mm:ss[.f]` with up to nine digits of fraction (Kusto writes seven).
pub(super) fn parse_timespan(text: &str) -> Option<SignedDuration> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (hours, rest) = text.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':')?;
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let (seconds, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    if fraction.len() > 9 {
        return None;
    }
    let nanos = digits(fraction, 999_999_999)? * 10_i64.pow(9 - fraction.len() as u32);
    let whole = digits(days, 100_000_000)? * 86_400
        + digits(hours, 23)? * 3_600
        + digits(minutes, 59)? * 60
        + digits(seconds, 59)?;
    let span = SignedDuration::new(whole, i32::try_from(nanos).ok()?);
    Some(if negative { -span } else { span })
}

/// A number of digits alone, at most `most`.
fn digits(text: &str, most: i64) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= most)
}

#[cfg(test)]
#[path = "cell_tests.rs"]
mod tests;
