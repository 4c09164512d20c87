//! One value of a file, read as its column's type.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde_json::Value as Json;

use super::super::moment;
use crate::kql::{TimeSpan, Type, Value};

/// What was expected instead of what was found.
pub type Rule = String;

fn expected(what: &str, found: impl std::fmt::Display) -> Rule {
    format!("expected {what}, found {found}")
}

/// What a type's values look like, for a message.
fn describe(kind: Type) -> &'static str {
    match kind {
        Type::Bool => "true or false",
        Type::Int => "an integer of 32 bits",
        Type::Long => "an integer of 64 bits",
        Type::Real => "a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
        Type::Decimal => "a decimal number of up to 28 digits",
        Type::String => "a string",
        Type::DateTime => "an ISO 8601 time, e.g. 2026-01-31T12:00:00Z",
        Type::TimeSpan => "a time span [d.]hh:mm:ss[.fffffff]",
        Type::Guid => "a GUID",
        Type::Dynamic => "JSON",
    }
}

/// A JSON value as a column's. `null` is null. Numbers are numbers and no strings, and the other way
/// round; moments, spans, GUIDs and decimals are strings, a decimal may be a number too. A dynamic
/// value is taken as it stands, but for a string that holds a JSON object or array, which is how the
/// Logs Query API returns them.
///
/// # Errors
/// If the value is of another type.
pub fn from_json(value: Json, kind: Type) -> Result<Value, Rule> {
    let parsed = match (kind, &value) {
        (_, Json::Null) => Some(Value::Null),
        (Type::Dynamic, Json::String(text)) => Some(dynamic(text)),
        (Type::Dynamic, _) => return Ok(Value::Dynamic(value.into())),
        (Type::String, Json::String(text)) => Some(Value::string(text.as_str())),
        (Type::Bool, Json::Bool(value)) => Some(Value::Bool(*value)),
        (Type::Int | Type::Long | Type::Real | Type::Decimal, Json::Number(number)) => {
            parse(&number.to_string(), kind)
        }
        (Type::Real, Json::String(text)) => not_a_number(text).map(Value::Real),
        (Type::Decimal | Type::DateTime | Type::TimeSpan | Type::Guid, Json::String(text)) => {
            parse(text, kind)
        }
        _ => None,
    };
    parsed.ok_or_else(|| expected(describe(kind), value))
}

/// A CSV field as a column's value. An empty one is null (`""` for strings).
///
/// # Errors
/// If the text is not of the column's type.
pub fn from_text(text: &str, kind: Type) -> Result<Value, Rule> {
    match kind {
        Type::String => Ok(Value::string(text)),
        _ if text.is_empty() => Ok(Value::Null),
        Type::Dynamic => Ok(match serde_json::from_str(text) {
            Ok(Json::Null) => Value::Null,
            Ok(value) => Value::Dynamic(Arc::new(value)),
            Err(_) => Value::Dynamic(Json::from(text).into()),
        }),
        _ => parse(text, kind).ok_or_else(|| expected(describe(kind), Json::from(text))),
    }
}

fn parse(text: &str, kind: Type) -> Option<Value> {
    Some(match kind {
        Type::Bool if text.eq_ignore_ascii_case("true") => Value::Bool(true),
        Type::Bool if text.eq_ignore_ascii_case("false") => Value::Bool(false),
        Type::Int => Value::Int(text.parse().ok()?),
        Type::Long => Value::Long(text.parse().ok()?),
        Type::Real => Value::Real(match not_a_number(text) {
            Some(value) => value,
            None => text.parse().ok().filter(|value: &f64| value.is_finite())?,
        }),
        Type::Decimal => Value::Decimal(
            text.parse::<Decimal>()
                .or_else(|_| Decimal::from_scientific(text))
                .ok()?,
        ),
        Type::DateTime => Value::DateTime(moment::parse(text)?),
        Type::TimeSpan => Value::TimeSpan(time_span(text)?),
        Type::Guid => Value::Guid(text.parse().ok()?),
        Type::Bool | Type::String | Type::Dynamic => return None,
    })
}

/// The reals that JSON has no number for.
fn not_a_number(text: &str) -> Option<f64> {
    Some(match text {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => return None,
    })
}

fn dynamic(text: &str) -> Value {
    let nested = text
        .starts_with(['{', '['])
        .then(|| serde_json::from_str(text).ok())
        .flatten();
    Value::Dynamic(Arc::new(nested.unwrap_or_else(|| Json::from(text))))
}

/// `[-][d.]hh:mm:ss[.fffffff]`, as the Logs Query API writes it.
fn time_span(text: &str) -> Option<TimeSpan> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(3, ':');
    let (first, minutes, last) = (parts.next()?, parts.next()?, parts.next()?);
    let (days, hours) = first.split_once('.').unwrap_or(("0", first));
    let (seconds, fraction) = last.split_once('.').unwrap_or((last, "0"));
    let number = |text: &str, below: i64| {
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>()
            .ok()
            .filter(|&value| is_digits && value < below)
    };
    let width = u32::try_from(fraction.len())
        .ok()
        .filter(|&width| width <= 7)?;
    let ticks = number(fraction, i64::MAX)? * 10_i64.pow(7 - width);
    let whole = ((number(days, 10_675_199)? * 24 + number(hours, 24)?) * 60 + number(minutes, 60)?)
        * 60
        + number(seconds, 60)?;
    let ticks = whole * 10_000_000 + ticks;
    Some(TimeSpan(if negative { -ticks } else { ticks }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kql::DateTime;

    #[test]
    fn every_type_is_read_from_json_and_from_text() {
        let moment = DateTime::from_unix_seconds(1_769_860_800);
        for (kind, value, text, expected) in [
            (Type::Bool, json!(true), "True", Value::Bool(true)),
            (Type::Int, json!(-5), "-5", Value::Int(-5)),
            (
                Type::Long,
                json!(9_007_199_254_740_993_i64),
                "9007199254740993",
                Value::Long(9_007_199_254_740_993),
            ),
            (Type::Real, json!(1), "1", Value::Real(1.0)),
            (
                Type::Real,
                json!("-Infinity"),
                "-Infinity",
                Value::Real(f64::NEG_INFINITY),
            ),
            (
                Type::Decimal,
                json!("0.10"),
                "0.10",
                Value::Decimal(Decimal::new(10, 2)),
            ),
            (Type::String, json!("a"), "a", Value::string("a")),
            (
                Type::DateTime,
                json!("2026-01-31T12:00:00Z"),
                "2026-01-31T12:00:00Z",
                Value::DateTime(moment),
            ),
            (
                Type::TimeSpan,
                json!("-1.02:03:04.5"),
                "-1.02:03:04.5",
                Value::TimeSpan(TimeSpan(-937_845_000_000)),
            ),
            (
                Type::Guid,
                json!("74be27de-1e4e-49d9-b579-fe0b331d3642"),
                "74be27de-1e4e-49d9-b579-fe0b331d3642",
                Value::Guid("74be27de-1e4e-49d9-b579-fe0b331d3642".parse().unwrap()),
            ),
            (
                Type::Dynamic,
                json!({"a": 1}),
                "{\"a\": 1}",
                Value::Dynamic(json!({"a": 1}).into()),
            ),
        ] {
            assert_eq!(from_json(value, kind), Ok(expected.clone()), "{kind}");
            assert_eq!(from_text(text, kind), Ok(expected), "{kind}");
            assert_eq!(from_json(Json::Null, kind), Ok(Value::Null));
        }
        let list = Value::Dynamic(json!(["a"]).into());
        assert_eq!(from_json(json!("[\"a\"]"), Type::Dynamic), Ok(list));
        assert_eq!(from_text("", Type::Long), Ok(Value::Null));
        assert_eq!(from_text("", Type::String), Ok(Value::string("")));
    }

    #[test]
    fn each_wrong_value_has_its_message() {
        for (kind, value, expected) in [
            (Type::Bool, json!(1), "expected true or false, found 1"),
            (
                Type::Int,
                json!(2_147_483_648_i64),
                "expected an integer of 32 bits, found 2147483648",
            ),
            (
                Type::Long,
                json!(1.5),
                "expected an integer of 64 bits, found 1.5",
            ),
            (
                Type::Long,
                json!("1"),
                "expected an integer of 64 bits, found \"1\"",
            ),
            (
                Type::Real,
                json!("1"),
                "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\", found \"1\"",
            ),
            (Type::String, json!(1), "expected a string, found 1"),
            (
                Type::DateTime,
                json!("yesterday"),
                "expected an ISO 8601 time, e.g. 2026-01-31T12:00:00Z, found \"yesterday\"",
            ),
            (
                Type::TimeSpan,
                json!("25:00:00"),
                "expected a time span [d.]hh:mm:ss[.fffffff], found \"25:00:00\"",
            ),
            (Type::Guid, json!("x"), "expected a GUID, found \"x\""),
            (
                Type::Decimal,
                json!("x"),
                "expected a decimal number of up to 28 digits, found \"x\"",
            ),
        ] {
            assert_eq!(from_json(value, kind).unwrap_err(), expected);
        }
        for text in [
            "",
            "1",
            "1:2",
            "a:b:c",
            "+1:00:00",
            "0:00:00.12345678",
            "::",
        ] {
            assert_eq!(time_span(text), None, "{text}");
        }
    }
}
