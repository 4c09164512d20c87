//! From one type to another. What cannot be converted is null (for strings, empty).

use rust_decimal::prelude::ToPrimitive;

use super::Accepts::{Any, Integer, TextOrDynamic};
use super::{Context, Returns, RowKernel, ScalarFunction, json};
use crate::kql::calendar::DAY;
use crate::kql::order::as_real;
use crate::kql::text;
use crate::kql::value::{TimeSpan, Type, Value};

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "tobool",
        &[Any],
        Returns::Is(Type::Bool),
        to_bool,
        "The value as a bool.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "toint",
        &[Any],
        Returns::Is(Type::Int),
        to_int,
        "The value as an int.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "tolong",
        &[Any],
        Returns::Is(Type::Long),
        to_long,
        "The value as a long; reals are cut.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "toreal",
        &[Any],
        Returns::Is(Type::Real),
        to_real,
        "The value as a real.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "todecimal",
        &[Any],
        Returns::Is(Type::Decimal),
        to_decimal,
        "The value as a decimal.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "tostring",
        &[Any],
        Returns::Is(Type::String),
        to_string,
        "The value as text.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "todatetime",
        &[Any],
        Returns::Is(Type::DateTime),
        to_datetime,
        "The value as a datetime.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "totimespan",
        &[Any],
        Returns::Is(Type::TimeSpan),
        to_timespan,
        "The value as a timespan.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "toguid",
        &[TextOrDynamic],
        Returns::Is(Type::Guid),
        to_guid,
        "The value as a guid.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "tohex",
        &[Integer, Integer],
        Returns::Is(Type::String),
        to_hex,
        "The number in hexadecimal digits.",
    )
    .optional_from(1)
    .named_as_argument(),
    ScalarFunction::new(
        "gettype",
        &[Any],
        Returns::Is(Type::String),
        get_type,
        "The name of the value's type; for dynamic values that of what they hold.",
    )
    .prefixed("type"),
];

/// The conversion to a type.
pub fn to(kind: Type) -> RowKernel {
    match kind {
        Type::Bool => to_bool,
        Type::Int => to_int,
        Type::Long => to_long,
        Type::Real => to_real,
        Type::Decimal => to_decimal,
        Type::String => to_string,
        Type::DateTime => to_datetime,
        Type::TimeSpan => to_timespan,
        Type::Guid => to_guid,
        Type::Dynamic => |_, values| json::from_scalar(values[0]),
    }
}

/// The text that a value of string or dynamic type holds.
fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Dynamic(json) => json.as_str(),
        _ => None,
    }
}

fn to_bool(_: &Context, values: &[&Value]) -> Value {
    let value = values[0];
    let truth = match value {
        Value::Bool(truth) => Some(*truth),
        Value::Dynamic(json) if json.is_boolean() => json.as_bool(),
        _ => match text_of(value) {
            Some(text) => text::parse_bool(text),
            None => as_real(value).map(|number| number != 0.0),
        },
    };
    truth.map_or(Value::Null, Value::Bool)
}

fn long(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(truth) => Some(i64::from(*truth)),
        Value::Int(number) => Some(i64::from(*number)),
        Value::Long(number) => Some(*number),
        Value::Real(number) => cut(*number),
        Value::Decimal(number) => number.trunc().to_i64(),
        Value::DateTime(moment) => Some(moment.0),
        Value::TimeSpan(span) => Some(span.0),
        Value::Dynamic(json) if json.is_number() => json.as_i64().or_else(|| cut(json.as_f64()?)),
        Value::Dynamic(json) if json.is_boolean() => json.as_bool().map(i64::from),
        other => {
            let text = text_of(other)?;
            text::parse_long(text).or_else(|| cut(text::parse_real(text)?))
        }
    }
}

fn cut(number: f64) -> Option<i64> {
    (number.abs() < i64::MAX as f64).then_some(number as i64)
}

fn to_long(_: &Context, values: &[&Value]) -> Value {
    long(values[0]).map_or(Value::Null, Value::Long)
}

fn to_int(_: &Context, values: &[&Value]) -> Value {
    long(values[0])
        .and_then(|number| i32::try_from(number).ok())
        .map_or(Value::Null, Value::Int)
}

fn to_real(_: &Context, values: &[&Value]) -> Value {
    let number = match values[0] {
        Value::Dynamic(json) if json.is_boolean() => {
            json.as_bool().map(|truth| f64::from(u8::from(truth)))
        }
        value => match text_of(value) {
            Some(text) => text::parse_real(text)
                .or_else(|| text::parse_long(text).map(|number| number as f64)),
            None => as_real(value),
        },
    };
    number.map_or(Value::Null, Value::Real)
}

fn to_decimal(_: &Context, values: &[&Value]) -> Value {
    let number = match values[0] {
        Value::Decimal(number) => Some(*number),
        Value::Int(number) => Some((*number).into()),
        Value::Long(number) => Some((*number).into()),
        value => match text_of(value) {
            Some(text) => text::parse_decimal(text),
            None => as_real(value).and_then(|number| number.try_into().ok()),
        },
    };
    number.map_or(Value::Null, Value::Decimal)
}

fn to_string(_: &Context, values: &[&Value]) -> Value {
    Value::String(text::format_value(values[0]))
}

fn to_datetime(_: &Context, values: &[&Value]) -> Value {
    let moment = match values[0] {
        Value::DateTime(moment) => Some(*moment),
        Value::Long(ticks) => {
            crate::kql::calendar::add(crate::kql::DateTime::MIN, TimeSpan(*ticks))
        }
        value => text_of(value).and_then(text::parse_datetime),
    };
    moment.map_or(Value::Null, Value::DateTime)
}

fn to_timespan(_: &Context, values: &[&Value]) -> Value {
    let span = match values[0] {
        Value::TimeSpan(span) => Some(*span),
        Value::Int(ticks) => Some(TimeSpan(i64::from(*ticks))),
        Value::Long(ticks) => Some(TimeSpan(*ticks)),
        Value::Real(days) => cut(days * DAY as f64).map(TimeSpan),
        value => text_of(value).and_then(text::parse_timespan),
    };
    span.map_or(Value::Null, Value::TimeSpan)
}

fn to_guid(_: &Context, values: &[&Value]) -> Value {
    match values[0] {
        Value::Guid(guid) => Value::Guid(*guid),
        value => text_of(value)
            .and_then(text::parse_guid)
            .map_or(Value::Null, Value::Guid),
    }
}

fn to_hex(_: &Context, values: &[&Value]) -> Value {
    let Some(number) = long(values[0]) else {
        return Value::Null;
    };
    let width = values.get(1).and_then(|width| long(width)).unwrap_or(0);
    let digits = format!("{number:x}");
    let padding = usize::try_from(width)
        .unwrap_or(0)
        .min(64)
        .saturating_sub(digits.len());
    Value::string("0".repeat(padding) + &digits)
}

fn get_type(_: &Context, values: &[&Value]) -> Value {
    let name = match values[0] {
        Value::Dynamic(json) => match &**json {
            serde_json::Value::Array(_) => "array",
            serde_json::Value::Object(_) => "dictionary",
            serde_json::Value::String(_) => "string",
            serde_json::Value::Bool(_) => "bool",
            serde_json::Value::Number(number) if number.is_f64() => "double",
            serde_json::Value::Number(_) => "long",
            serde_json::Value::Null => "null",
        },
        value => value.kind().map_or("null", Type::as_str),
    };
    Value::string(name)
}
