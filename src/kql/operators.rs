//! The operators between two values: which types they take, what they give, and how.

use std::cmp::Ordering;

use rust_decimal::Decimal;

use super::calendar;
use super::functions::{Context, RowKernel, json};
use super::order::{self, as_long, as_real, compare};
use super::plan::Function;
use super::syntax::{BinaryOperator, ListOperator, ListTest, TextOperator, TextTest};
use super::text;
use super::value::{DateTime, TimeSpan, Type, Value};

/// How an operator is written.
pub fn symbol(operator: BinaryOperator) -> &'static str {
    match operator {
        BinaryOperator::Add => "+",
        BinaryOperator::Subtract => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        BinaryOperator::Equal => "==",
        BinaryOperator::NotEqual => "!=",
        BinaryOperator::Less => "<",
        BinaryOperator::LessEqual => "<=",
        BinaryOperator::Greater => ">",
        BinaryOperator::GreaterEqual => ">=",
        BinaryOperator::Text(operator) => match (operator.test, operator.negated) {
            (TextTest::Equals, false) => "=~",
            (TextTest::Equals, true) => "!~",
            (TextTest::Contains, _) => "contains",
            (TextTest::StartsWith, _) => "startswith",
            (TextTest::EndsWith, _) => "endswith",
            (TextTest::Has, _) => "has",
            (TextTest::HasPrefix, _) => "hasprefix",
            (TextTest::HasSuffix, _) => "hassuffix",
            (TextTest::Regex, _) => "matches regex",
        },
    }
}

/// The type of `left operator right` and how to work it out; `None` if there is no such operation.
pub fn binary(operator: BinaryOperator, left: Type, right: Type) -> Option<(Type, Function)> {
    let function = match operator {
        BinaryOperator::Add => Function::Kernel(add),
        BinaryOperator::Subtract => Function::Kernel(subtract),
        BinaryOperator::Multiply => Function::Kernel(multiply),
        BinaryOperator::Divide => Function::Kernel(divide),
        BinaryOperator::Modulo => Function::Kernel(modulo),
        BinaryOperator::Text(operator) => {
            let textual = |kind| matches!(kind, Type::String | Type::Dynamic);
            if !(textual(left) && textual(right)) {
                return None;
            }
            return Some((Type::Bool, Function::Kernel(text_kernel(operator))));
        }
        comparison => Function::Compare(comparison),
    };
    let kind = match operator {
        BinaryOperator::Equal | BinaryOperator::NotEqual => Type::Bool,
        BinaryOperator::Less
        | BinaryOperator::LessEqual
        | BinaryOperator::Greater
        | BinaryOperator::GreaterEqual => ordered(left, right).then_some(Type::Bool)?,
        arithmetic => arithmetic_type(arithmetic, left, right)?,
    };
    Some((kind, function))
}

/// Whether `<` and its like take these types.
pub fn ordered(left: Type, right: Type) -> bool {
    match (left, right) {
        (Type::String | Type::Guid, _) | (_, Type::String | Type::Guid) => false,
        (Type::Dynamic, other) | (other, Type::Dynamic) => {
            other.is_numeric() || other == Type::Dynamic
        }
        (Type::Bool, other) | (other, Type::Bool) if other != Type::Bool => {
            other.is_numeric() && other != Type::Decimal
        }
        (left, right) => left == right || left.is_numeric() && right.is_numeric(),
    }
}

fn arithmetic_type(operator: BinaryOperator, left: Type, right: Type) -> Option<Type> {
    use BinaryOperator::{Add, Divide, Modulo, Multiply, Subtract};
    if left == Type::Dynamic || right == Type::Dynamic {
        let other = if left == Type::Dynamic { right } else { left };
        return match (other, operator) {
            (Type::Int, _) => Some(Type::Long),
            (Type::Long | Type::Real | Type::Decimal | Type::Dynamic, _)
            | (Type::TimeSpan, Add | Subtract)
            | (Type::DateTime, Add) => Some(other),
            (Type::DateTime, Subtract) => Some(Type::TimeSpan),
            _ => None,
        };
    }
    if left.is_numeric() && right.is_numeric() {
        return Some(match wider(left, right) {
            Type::Int => Type::Long,
            wide => wide,
        });
    }
    Some(match (left, operator, right) {
        (Type::DateTime, Subtract, Type::DateTime) => Type::TimeSpan,
        (Type::DateTime, Add, Type::DateTime | Type::TimeSpan)
        | (Type::DateTime, Subtract, Type::TimeSpan)
        | (Type::TimeSpan, Add, Type::DateTime) => Type::DateTime,
        (Type::TimeSpan, Add | Subtract | Multiply | Modulo, Type::TimeSpan) => Type::TimeSpan,
        (Type::TimeSpan, Divide, Type::TimeSpan) => Type::Real,
        (Type::TimeSpan, Multiply | Divide, number) if number.is_numeric() => Type::TimeSpan,
        (number, Multiply, Type::TimeSpan) if number.is_numeric() => Type::TimeSpan,
        _ => return None,
    })
}

/// Of two numeric types the one that holds both.
pub fn wider(left: Type, right: Type) -> Type {
    let rank = |kind| match kind {
        Type::Int => 0,
        Type::Long => 1,
        Type::Real => 2,
        _ => 3,
    };
    if rank(left) >= rank(right) {
        left
    } else {
        right
    }
}

/// Applies the operation of the wider of the two types; dynamic numbers count as numbers.
fn arithmetic(
    left: &Value,
    right: &Value,
    long: fn(i64, i64) -> Option<i64>,
    real: fn(f64, f64) -> f64,
    decimal: fn(Decimal, Decimal) -> Option<Decimal>,
) -> Value {
    if let (Some(left), Some(right)) = (as_long(left), as_long(right)) {
        return long(left, right).map_or(Value::Null, Value::Long);
    }
    if let (Value::Decimal(_), _) | (_, Value::Decimal(_)) = (left, right) {
        let exact = |value: &Value| match value {
            Value::Decimal(number) => Some(*number),
            Value::Real(number) => Decimal::try_from(*number).ok(),
            other => as_long(other).map(Decimal::from),
        };
        return exact(left)
            .zip(exact(right))
            .and_then(|(left, right)| decimal(left, right))
            .map_or(Value::Null, Value::Decimal);
    }
    match (as_real(left), as_real(right)) {
        (Some(left), Some(right)) => Value::Real(real(left, right)),
        _ => Value::Null,
    }
}

fn span(ticks: Option<i64>) -> Value {
    ticks.map_or(Value::Null, |ticks| Value::TimeSpan(TimeSpan(ticks)))
}

fn moment(value: Option<DateTime>) -> Value {
    value.map_or(Value::Null, Value::DateTime)
}

fn scaled(ticks: i64, factor: f64) -> Value {
    let product = ticks as f64 * factor;
    span((product.abs() < i64::MAX as f64).then_some(product as i64))
}

pub fn add(_: &Context, values: &[&Value]) -> Value {
    match (values[0], values[1]) {
        (Value::DateTime(at), Value::TimeSpan(by)) | (Value::TimeSpan(by), Value::DateTime(at)) => {
            moment(calendar::add(*at, *by))
        }
        (Value::TimeSpan(left), Value::TimeSpan(right)) => span(left.0.checked_add(right.0)),
        (Value::DateTime(left), Value::DateTime(right)) => {
            moment(calendar::add(*left, TimeSpan(right.0)))
        }
        (left, right) => arithmetic(
            left,
            right,
            |left, right| Some(left.wrapping_add(right)),
            |left, right| left + right,
            Decimal::checked_add,
        ),
    }
}

pub fn subtract(_: &Context, values: &[&Value]) -> Value {
    match (values[0], values[1]) {
        (Value::DateTime(left), Value::DateTime(right)) => span(left.0.checked_sub(right.0)),
        (Value::DateTime(at), Value::TimeSpan(by)) => moment(
            by.0.checked_neg()
                .and_then(|by| calendar::add(*at, TimeSpan(by))),
        ),
        (Value::TimeSpan(left), Value::TimeSpan(right)) => span(left.0.checked_sub(right.0)),
        (left, right) => arithmetic(
            left,
            right,
            |left, right| Some(left.wrapping_sub(right)),
            |left, right| left - right,
            Decimal::checked_sub,
        ),
    }
}

pub fn multiply(_: &Context, values: &[&Value]) -> Value {
    match (values[0], values[1]) {
        (Value::TimeSpan(left), Value::TimeSpan(right)) => span(left.0.checked_mul(right.0)),
        (Value::TimeSpan(length), factor) | (factor, Value::TimeSpan(length)) => {
            match (as_long(factor), as_real(factor)) {
                (Some(factor), _) => span(length.0.checked_mul(factor)),
                (None, Some(factor)) => scaled(length.0, factor),
                _ => Value::Null,
            }
        }
        (left, right) => arithmetic(
            left,
            right,
            |left, right| Some(left.wrapping_mul(right)),
            |left, right| left * right,
            Decimal::checked_mul,
        ),
    }
}

/// Longs divide to a long, towards zero; by zero to null.
pub fn divide(_: &Context, values: &[&Value]) -> Value {
    match (values[0], values[1]) {
        (Value::TimeSpan(left), Value::TimeSpan(right)) => {
            Value::Real(left.0 as f64 / right.0 as f64)
        }
        (Value::TimeSpan(length), by) => match (as_long(by), as_real(by)) {
            (Some(by), _) => span(length.0.checked_div(by)),
            (None, Some(by)) => scaled(length.0, 1.0 / by),
            _ => Value::Null,
        },
        (left, right) => arithmetic(
            left,
            right,
            |left, right| (right != 0).then(|| left.wrapping_div(right)),
            |left, right| left / right,
            Decimal::checked_div,
        ),
    }
}

/// The remainder is never negative for longs.
pub fn modulo(_: &Context, values: &[&Value]) -> Value {
    match (values[0], values[1]) {
        (Value::TimeSpan(left), Value::TimeSpan(right)) => span(left.0.checked_rem_euclid(right.0)),
        (left, right) => arithmetic(
            left,
            right,
            |left, right| (right != 0).then(|| left.wrapping_rem_euclid(right)),
            |left, right| left % right,
            Decimal::checked_rem,
        ),
    }
}

pub fn negate(_: &Context, values: &[&Value]) -> Value {
    match values[0] {
        Value::Int(number) => Value::Int(number.wrapping_neg()),
        Value::Long(number) => Value::Long(number.wrapping_neg()),
        Value::Real(number) => Value::Real(-number),
        Value::Decimal(number) => Value::Decimal(-number),
        Value::TimeSpan(length) => span(length.0.checked_neg()),
        other => match (as_long(other), as_real(other)) {
            (Some(number), _) => json::from_scalar(&Value::Long(number.wrapping_neg())),
            (None, Some(number)) => json::from_scalar(&Value::Real(-number)),
            _ => Value::Null,
        },
    }
}

/// `left operator right` for `==` and its like. For `==` and `!=`, null beside a value is unequal to
/// it; all else that has to do with null is null.
pub fn comparison(operator: BinaryOperator, left: &Value, right: &Value) -> Value {
    let equality = matches!(operator, BinaryOperator::Equal | BinaryOperator::NotEqual);
    match (left.is_null(), right.is_null()) {
        (false, false) => {}
        (true, true) => return Value::Null,
        _ if equality => return Value::Bool(operator == BinaryOperator::NotEqual),
        _ => return Value::Null,
    }
    // NaN compares with nothing.
    let order = compare(left, right);
    Value::Bool(match operator {
        BinaryOperator::Equal => order == Some(Ordering::Equal),
        BinaryOperator::NotEqual => order != Some(Ordering::Equal),
        BinaryOperator::Less => order.is_some_and(Ordering::is_lt),
        BinaryOperator::LessEqual => order.is_some_and(Ordering::is_le),
        BinaryOperator::Greater => order.is_some_and(Ordering::is_gt),
        BinaryOperator::GreaterEqual => order.is_some_and(Ordering::is_ge),
        // The others are kernels.
        _ => return Value::Null,
    })
}

/// `between (low .. high)`, both ends included.
pub fn between(_: &Context, values: &[&Value]) -> Value {
    match (
        comparison(BinaryOperator::GreaterEqual, values[0], values[1]),
        comparison(BinaryOperator::LessEqual, values[0], values[2]),
    ) {
        (Value::Bool(above), Value::Bool(below)) => Value::Bool(above && below),
        _ => Value::Null,
    }
}

pub fn not_between(context: &Context, values: &[&Value]) -> Value {
    match between(context, values) {
        Value::Bool(truth) => Value::Bool(!truth),
        other => other,
    }
}

/// The kernel of a string operator; both sides are strings.
fn text_kernel(operator: TextOperator) -> RowKernel {
    macro_rules! kernel {
        ($test:expr) => {
            match (operator.case_sensitive, operator.negated) {
                (false, false) => |_, values| test_texts(values, $test, false, false),
                (false, true) => |_, values| test_texts(values, $test, false, true),
                (true, false) => |_, values| test_texts(values, $test, true, false),
                (true, true) => |_, values| test_texts(values, $test, true, true),
            }
        };
    }
    match operator.test {
        TextTest::Equals => kernel!(|text, wanted| text == wanted),
        TextTest::Contains => kernel!(|text, wanted| text.contains(wanted)),
        TextTest::StartsWith => kernel!(|text, wanted| text.starts_with(wanted)),
        TextTest::EndsWith => kernel!(|text, wanted| text.ends_with(wanted)),
        TextTest::Has => kernel!(|text, wanted| has(text, wanted, true, true)),
        TextTest::HasPrefix => kernel!(|text, wanted| has(text, wanted, true, false)),
        TextTest::HasSuffix => kernel!(|text, wanted| has(text, wanted, false, true)),
        TextTest::Regex => |context, values| match (values[0], values[1]) {
            (Value::String(text), Value::String(pattern)) => {
                context.with_regex(pattern, |regex| Value::Bool(regex.is_match(text)))
            }
            _ => Value::Null,
        },
    }
}

fn test_texts(
    values: &[&Value],
    test: fn(&str, &str) -> bool,
    case_sensitive: bool,
    negated: bool,
) -> Value {
    match (values[0], values[1]) {
        (Value::String(text), Value::String(wanted)) => {
            Value::Bool(holds(text, wanted, test, case_sensitive) != negated)
        }
        _ => Value::Null,
    }
}

fn holds(text: &str, wanted: &str, test: fn(&str, &str) -> bool, case_sensitive: bool) -> bool {
    if case_sensitive {
        test(text, wanted)
    } else {
        test(&text.to_lowercase(), &wanted.to_lowercase())
    }
}

/// Whether `wanted` stands in `text` with no letter or digit before it (`at_start`) or behind it
/// (`at_end`).
pub fn has(text: &str, wanted: &str, at_start: bool, at_end: bool) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let mut from = 0;
    while let Some(found) = text[from..].find(wanted) {
        let start = from + found;
        let end = start + wanted.len();
        let joined = |side: Option<char>, edge: Option<char>| {
            side.is_some_and(char::is_alphanumeric) && edge.is_some_and(char::is_alphanumeric)
        };
        let starts = !joined(text[..start].chars().next_back(), wanted.chars().next());
        let ends = !joined(text[end..].chars().next(), wanted.chars().next_back());
        if (starts || !at_start) && (ends || !at_end) {
            return true;
        }
        from = start + text[start..].chars().next().map_or(1, char::len_utf8);
    }
    false
}

/// Whether the value passes the list; dynamic arrays in the list stand for their elements.
pub fn list(operator: ListOperator, value: &Value, list: &[&Value]) -> Value {
    let test = |wanted: &Value| match operator.test {
        ListTest::In if operator.case_sensitive => {
            order::same(value, wanted) || compare(value, wanted) == Some(Ordering::Equal)
        }
        ListTest::In => holds(
            &text::format_value(value),
            &text::format_value(wanted),
            |left, right| left == right,
            false,
        ),
        ListTest::HasAny | ListTest::HasAll => holds(
            &text::format_value(value),
            &text::format_value(wanted),
            |text, wanted| has(text, wanted, true, true),
            operator.case_sensitive,
        ),
    };
    let matches = |wanted: &Value| match wanted {
        Value::Dynamic(json) => match &**json {
            serde_json::Value::Array(elements) => {
                let mut elements = elements.iter().map(json::to_value);
                if operator.test == ListTest::HasAll {
                    elements.all(|element| test(&element))
                } else {
                    elements.any(|element| test(&element))
                }
            }
            _ => test(wanted),
        },
        _ => test(wanted),
    };
    let found = if operator.test == ListTest::HasAll {
        list.iter().all(|wanted| matches(wanted))
    } else {
        list.iter().any(|wanted| matches(wanted))
    };
    Value::Bool(found != operator.negated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_whole_runs_of_letters_and_digits() {
        for (text, wanted, whole) in [
            ("vm.azm.ms", "azm", true),
            ("vm-azm2", "azm", false),
            ("North America", "amer", false),
            ("a/b", "a/b", true),
            ("xa a", "a", true),
            ("", "a", false),
            ("é1", "é", false),
        ] {
            assert_eq!(has(text, wanted, true, true), whole, "{text} has {wanted}");
        }
        assert!(has("computer2", "comp", true, false));
        assert!(has("mycomp", "comp", false, true));
    }
}
