//! Numbers, and `bin`, which rounds numbers and moments alike.

use super::Accepts::{Integer, Length, Measure, Number};
use super::{Context, Returns, ScalarFunction};
use crate::kql::operators;
use crate::kql::order::{as_long, as_real};
use crate::kql::value::{DateTime, TimeSpan, Type, Value};

const REAL: Returns = Returns::Is(Type::Real);
const LONG: Returns = Returns::Is(Type::Long);
const BOOL: Returns = Returns::Is(Type::Bool);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "bin",
        &[Measure, Measure],
        Returns::Of(bin_type),
        bin,
        "The value rounded down to a multiple of the second.",
    )
    .overloaded()
    .named_as_argument(),
    ScalarFunction::new(
        "bin_at",
        &[Measure, Measure, Measure],
        Returns::Of(bin_type),
        bin_at,
        "The value rounded down to a multiple of the second, counted from the third.",
    )
    .overloaded()
    .named_as_argument(),
    ScalarFunction::new(
        "abs",
        &[Length],
        Returns::Of(abs_type),
        abs,
        "The value without its sign.",
    )
    .overloaded()
    .named_as_argument(),
    ScalarFunction::new(
        "round",
        &[Number, Integer],
        Returns::Of(rounded_type),
        round,
        "The nearest number with so many digits behind the point.",
    )
    .constant_at(&[1])
    .optional_from(1)
    .named_as_argument(),
    ScalarFunction::new(
        "ceiling",
        &[Number],
        Returns::Of(rounded_type),
        ceiling,
        "The least whole number that is not below.",
    )
    .named_as_argument(),
    ScalarFunction::new("sign", &[Number], REAL, sign, "-1, 0 or 1."),
    ScalarFunction::new(
        "sqrt",
        &[Number],
        REAL,
        |_, v| real(v, f64::sqrt),
        "The square root.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "exp",
        &[Number],
        REAL,
        |_, v| real(v, f64::exp),
        "e to that power.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "exp2",
        &[Number],
        REAL,
        |_, v| real(v, f64::exp2),
        "2 to that power.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "exp10",
        &[Number],
        REAL,
        |_, v| real(v, |x| 10_f64.powf(x)),
        "10 to that power.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "log",
        &[Number],
        REAL,
        |_, v| real(v, f64::ln),
        "The natural logarithm.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "log2",
        &[Number],
        REAL,
        |_, v| real(v, f64::log2),
        "The logarithm to base 2.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "log10",
        &[Number],
        REAL,
        |_, v| real(v, f64::log10),
        "The logarithm to base 10.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "sin",
        &[Number],
        REAL,
        |_, v| real(v, f64::sin),
        "The sine.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "cos",
        &[Number],
        REAL,
        |_, v| real(v, f64::cos),
        "The cosine.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "tan",
        &[Number],
        REAL,
        |_, v| real(v, f64::tan),
        "The tangent.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "pow",
        &[Number, Number],
        REAL,
        pow,
        "The first to the power of the second.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "pi",
        &[],
        REAL,
        |_, _| Value::Real(std::f64::consts::PI),
        "The circle's number.",
    ),
    ScalarFunction::new(
        "isnan",
        &[Number],
        BOOL,
        |_, v| test(v, f64::is_nan),
        "Whether the value is no number.",
    ),
    ScalarFunction::new(
        "isinf",
        &[Number],
        BOOL,
        |_, v| test(v, f64::is_infinite),
        "Whether the value is infinite.",
    ),
    ScalarFunction::new(
        "isfinite",
        &[Number],
        BOOL,
        |_, v| test(v, f64::is_finite),
        "Whether the value is a finite number.",
    ),
    ScalarFunction::new(
        "binary_and",
        &[Integer, Integer],
        LONG,
        |_, v| bits(v, |a, b| a & b),
        "The bits that both have.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "binary_or",
        &[Integer, Integer],
        LONG,
        |_, v| bits(v, |a, b| a | b),
        "The bits that either has.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "binary_xor",
        &[Integer, Integer],
        LONG,
        |_, v| bits(v, |a, b| a ^ b),
        "The bits that one of the two has.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "binary_not",
        &[Integer],
        LONG,
        |_, v| as_long(v[0]).map_or(Value::Null, |a| Value::Long(!a)),
        "The bits turned round.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "binary_shift_left",
        &[Integer, Integer],
        LONG,
        |_, v| bits(v, |a, b| a.wrapping_shl(b as u32)),
        "The bits moved up.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "binary_shift_right",
        &[Integer, Integer],
        LONG,
        |_, v| bits(v, |a, b| a.wrapping_shr(b as u32)),
        "The bits moved down.",
    )
    .named_as_argument(),
];

fn real(values: &[&Value], apply: fn(f64) -> f64) -> Value {
    as_real(values[0]).map_or(Value::Null, |number| Value::Real(apply(number)))
}

fn test(values: &[&Value], test: fn(f64) -> bool) -> Value {
    match values[0] {
        Value::Null => Value::Null,
        value => Value::Bool(as_real(value).is_some_and(test)),
    }
}

fn bits(values: &[&Value], apply: fn(i64, i64) -> i64) -> Value {
    match (as_long(values[0]), as_long(values[1])) {
        (Some(left), Some(right)) => Value::Long(apply(left, right)),
        _ => Value::Null,
    }
}

fn pow(_: &Context, values: &[&Value]) -> Value {
    match (as_real(values[0]), as_real(values[1])) {
        (Some(base), Some(exponent)) => Value::Real(base.powf(exponent)),
        _ => Value::Null,
    }
}

fn sign(_: &Context, values: &[&Value]) -> Value {
    real(
        values,
        |number| if number == 0.0 { 0.0 } else { number.signum() },
    )
}

fn abs_type(kinds: &[Type]) -> Type {
    match kinds.first() {
        Some(Type::Int) | None => Type::Long,
        Some(kind) => *kind,
    }
}

fn abs(_: &Context, values: &[&Value]) -> Value {
    match values[0] {
        Value::Real(number) => Value::Real(number.abs()),
        Value::Decimal(number) => Value::Decimal(number.abs()),
        Value::TimeSpan(span) => Value::TimeSpan(TimeSpan(span.0.wrapping_abs())),
        value => as_long(value).map_or(Value::Null, |number| Value::Long(number.wrapping_abs())),
    }
}

fn rounded_type(kinds: &[Type]) -> Type {
    match kinds.first() {
        Some(kind) if kind.is_numeric() => *kind,
        _ => Type::Real,
    }
}

fn round(_: &Context, values: &[&Value]) -> Value {
    let digits = values
        .get(1)
        .and_then(|digits| as_long(digits))
        .unwrap_or(0)
        .clamp(-300, 300);
    match values[0] {
        Value::Real(number) => {
            let scale = 10_f64.powi(digits as i32);
            let scaled = number * scale;
            Value::Real(if scaled.is_finite() {
                scaled.round() / scale
            } else {
                *number
            })
        }
        Value::Decimal(number) => {
            Value::Decimal(number.round_dp(u32::try_from(digits).unwrap_or(0)))
        }
        whole => whole.clone(),
    }
}

fn ceiling(_: &Context, values: &[&Value]) -> Value {
    match values[0] {
        Value::Real(number) => Value::Real(number.ceil()),
        Value::Decimal(number) => Value::Decimal(number.ceil()),
        whole => whole.clone(),
    }
}

/// A moment stays one whatever it is rounded to; numbers take the wider type.
fn bin_type(kinds: &[Type]) -> Type {
    match kinds {
        [kind @ (Type::DateTime | Type::TimeSpan), ..] => *kind,
        [value, rest @ ..] if value.is_numeric() => {
            match rest.iter().copied().fold(*value, operators::wider) {
                Type::Int => Type::Long,
                wide => wide,
            }
        }
        [value, ..] => *value,
        [] => Type::Long,
    }
}

fn bin(context: &Context, values: &[&Value]) -> Value {
    let zero = match values[0] {
        Value::DateTime(_) => Value::DateTime(DateTime(0)),
        Value::TimeSpan(_) => Value::TimeSpan(TimeSpan(0)),
        _ => Value::Long(0),
    };
    bin_at(context, &[values[0], values[1], &zero])
}

fn ticks(value: &Value) -> Option<i64> {
    match value {
        Value::DateTime(moment) => Some(moment.0),
        Value::TimeSpan(span) => Some(span.0),
        value => as_long(value),
    }
}

fn bin_at(_: &Context, values: &[&Value]) -> Value {
    let (value, size, from) = (values[0], values[1], values[2]);
    let whole = || {
        let (value, size, from) = (ticks(value)?, ticks(size)?, ticks(from)?);
        if size <= 0 {
            return None;
        }
        let offset = value.checked_sub(from)?;
        offset
            .checked_sub(offset.rem_euclid(size))?
            .checked_add(from)
    };
    let whole = whole();
    match value {
        Value::DateTime(_) => whole
            .filter(|ticks| (0..=DateTime::MAX.0).contains(ticks))
            .map_or(Value::Null, |ticks| Value::DateTime(DateTime(ticks))),
        Value::TimeSpan(_) => whole.map_or(Value::Null, |ticks| Value::TimeSpan(TimeSpan(ticks))),
        Value::Decimal(number) => match size {
            Value::Decimal(size) if !size.is_zero() => number
                .checked_div(*size)
                .and_then(|times| times.floor().checked_mul(*size))
                .map_or(Value::Null, Value::Decimal),
            _ => Value::Null,
        },
        _ => match (whole, as_long(value), as_long(size)) {
            (whole, Some(_), Some(_)) => whole.map_or(Value::Null, Value::Long),
            _ => match (as_real(value), as_real(size), as_real(from)) {
                (Some(value), Some(size), Some(from)) if size > 0.0 => {
                    Value::Real(((value - from) / size).floor() * size + from)
                }
                _ => Value::Null,
            },
        },
    }
}
