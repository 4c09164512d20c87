//! How values compare: for operators, for sorting, and as keys of groups.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::text;
use super::value::Value;

/// A value as a real, if it is a number, a moment, a length of time or a truth value.
pub fn as_real(value: &Value) -> Option<f64> {
    Some(match value {
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Int(number) => f64::from(*number),
        Value::Long(number) => *number as f64,
        Value::Real(number) => *number,
        Value::Decimal(number) => number.to_f64()?,
        Value::DateTime(moment) => moment.0 as f64,
        Value::TimeSpan(span) => span.0 as f64,
        Value::Dynamic(json) => json.as_f64()?,
        _ => return None,
    })
}

/// A value as a long, if it is an integer.
pub fn as_long(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(i64::from(*number)),
        Value::Long(number) => Some(*number),
        Value::Dynamic(json) => json.as_i64(),
        _ => None,
    }
}

fn as_decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Decimal(number) => Some(*number),
        Value::Real(number) => Decimal::try_from(*number).ok(),
        other => as_long(other).map(Decimal::from),
    }
}

/// How two values compare; `None` if one is null or NaN, or they are of kinds that do not compare.
pub fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::DateTime(left), Value::DateTime(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Long(left), Value::Long(right)) => Some(left.cmp(right)),
        (Value::Real(left), Value::Real(right)) => left.partial_cmp(right),
        (Value::TimeSpan(left), Value::TimeSpan(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Guid(left), Value::Guid(right)) => Some(left.cmp(right)),
        (Value::Dynamic(left), Value::Dynamic(right)) => {
            (left == right).then_some(Ordering::Equal).or_else(|| {
                Some(
                    text::format_dynamic(left)
                        .as_str()
                        .cmp(&text::format_dynamic(right)),
                )
            })
        }
        (Value::Dynamic(_), Value::String(right)) => Some(text::format_value(left).cmp(right)),
        (Value::String(left), Value::Dynamic(_)) => {
            Some(left.as_ref().cmp(&text::format_value(right)))
        }
        (Value::Decimal(_), _) | (_, Value::Decimal(_)) => {
            Some(as_decimal(left)?.cmp(&as_decimal(right)?))
        }
        (Value::Dynamic(_), Value::DateTime(right)) => {
            Some(text::parse_datetime(&text::format_value(left))?.cmp(right))
        }
        (Value::Dynamic(_), Value::TimeSpan(right)) => {
            Some(text::parse_timespan(&text::format_value(left))?.cmp(right))
        }
        (Value::Dynamic(json), Value::Bool(right)) => Some(json.as_bool()?.cmp(right)),
        (Value::DateTime(_) | Value::TimeSpan(_) | Value::Bool(_), Value::Dynamic(_)) => {
            compare(right, left).map(Ordering::reverse)
        }
        (
            Value::Int(_) | Value::Long(_) | Value::Real(_) | Value::Dynamic(_),
            Value::Int(_) | Value::Long(_) | Value::Real(_) | Value::Dynamic(_),
        ) => match (as_long(left), as_long(right)) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => as_real(left)?.partial_cmp(&as_real(right)?),
        },
        (Value::Bool(_), Value::Int(_) | Value::Long(_) | Value::Real(_))
        | (Value::Int(_) | Value::Long(_) | Value::Real(_), Value::Bool(_)) => {
            as_real(left)?.partial_cmp(&as_real(right)?)
        }
        // A text beside another type: the text of both is compared.
        (Value::String(_), other) | (other, Value::String(_)) if !other.is_null() => {
            Some(text::format_value(left).cmp(&text::format_value(right)))
        }
        _ => None,
    }
}

/// An order of all values for sorting: nulls apart (the sort puts them), NaN beside null.
pub fn sort_order(left: &Value, right: &Value) -> Ordering {
    compare(left, right).unwrap_or_else(|| {
        let rank = |value: &Value| match value {
            Value::Null => 0,
            Value::Real(number) if number.is_nan() => 1,
            _ => 2,
        };
        rank(left).cmp(&rank(right))
    })
}

/// Whether two values are one group, one member of a set, one key of a join: null is itself, so is
/// NaN.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Real(left), Value::Real(right)) => left == right || left.is_nan() && right.is_nan(),
        (Value::Int(_) | Value::Long(_), Value::Int(_) | Value::Long(_)) => {
            as_long(left) == as_long(right)
        }
        _ => left == right,
    }
}

pub fn hash<H: Hasher>(value: &Value, state: &mut H) {
    match value {
        Value::Null => 0_u8.hash(state),
        Value::Bool(truth) => truth.hash(state),
        Value::Int(number) => i64::from(*number).hash(state),
        Value::Long(number) => number.hash(state),
        Value::Real(number) => {
            // Zero and minus zero are equal; all NaNs are one.
            let number = if *number == 0.0 { 0.0 } else { *number };
            let number = if number.is_nan() { f64::NAN } else { number };
            number.to_bits().hash(state);
        }
        Value::Decimal(number) => number.hash(state),
        Value::String(text) => text.hash(state),
        Value::DateTime(moment) => moment.hash(state),
        Value::TimeSpan(span) => span.hash(state),
        Value::Guid(guid) => guid.hash(state),
        Value::Dynamic(json) => text::format_dynamic(json).hash(state),
    }
}

/// Values as a map's key, compared by [`same`].
#[derive(Clone, Debug)]
pub struct Key(pub Vec<Value>);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(left, right)| same(left, right))
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for value in &self.0 {
            hash(value, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_across_types_and_nan_with_nothing() {
        assert_eq!(
            compare(&Value::Int(2), &Value::Real(1.5)),
            Some(Ordering::Greater)
        );
        assert_eq!(compare(&Value::Real(f64::NAN), &Value::Real(1.0)), None);
        assert_eq!(compare(&Value::Null, &Value::Null), None);
        assert_eq!(
            compare(&Value::Long(i64::MAX), &Value::Long(i64::MAX - 1)),
            Some(Ordering::Greater)
        );
        let text = Value::Dynamic(std::sync::Arc::new("a".into()));
        assert_eq!(compare(&text, &Value::string("a")), Some(Ordering::Equal));
    }

    #[test]
    fn nan_and_null_are_keys() {
        assert_eq!(Key(vec![Value::Null]), Key(vec![Value::Null]));
        assert_eq!(
            Key(vec![Value::Real(f64::NAN)]),
            Key(vec![Value::Real(-f64::NAN)])
        );
        assert_ne!(Key(vec![Value::Null]), Key(vec![Value::Long(0)]));
    }
}
