//! Arrays: moved, sorted, zipped, made.

use std::sync::Arc;

use serde_json::Value as Json;

use super::Accepts::{Any, Integer, Is, Measure, SeriesOrNumber};
use super::json::{array, from_value, to_value, wrap};
use super::{Context, Returns, ScalarFunction};
use crate::kql::operators;
use crate::kql::order::{as_long, as_real, compare, sort_order};
use crate::kql::value::{Type, Value};

const DYNAMIC: Returns = Returns::Is(Type::Dynamic);
const ARRAY: super::Accepts = Is(Type::Dynamic);
const FLAG: super::Accepts = Is(Type::Bool);

/// The longest array that a function makes from nothing.
const MAX_MADE: usize = 1_048_576;

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new("array_sort_asc", &[ARRAY, FLAG], DYNAMIC, |_, v| sorted(v, false), "The elements in rising order, nulls last unless said otherwise.").optional_from(1).suffixed("sorted"),
    ScalarFunction::new("array_sort_desc", &[ARRAY, FLAG], DYNAMIC, |_, v| sorted(v, true), "The elements in falling order, nulls last unless said otherwise.").optional_from(1).suffixed("sorted"),
    ScalarFunction::new("array_rotate_left", &[ARRAY, Integer], DYNAMIC, |_, v| rotated(v, 1), "The elements so many places to the left, round the ends."),
    ScalarFunction::new("array_rotate_right", &[ARRAY, Integer], DYNAMIC, |_, v| rotated(v, -1), "The elements so many places to the right, round the ends."),
    ScalarFunction::new("array_shift_left", &[ARRAY, Integer, Any], DYNAMIC, |_, v| shifted(v, 1), "The elements so many places to the left; what is missing is null or the third value.").optional_from(2),
    ScalarFunction::new("array_shift_right", &[ARRAY, Integer, Any], DYNAMIC, |_, v| shifted(v, -1), "The elements so many places to the right; what is missing is null or the third value.").optional_from(2),
    ScalarFunction::new("array_split", &[ARRAY, SeriesOrNumber], DYNAMIC, array_split, "The array cut at a position or at several.").overloaded(),
    ScalarFunction::new("array_iff", &[ARRAY, Any, Any], DYNAMIC, array_iff, "Element by element the second array's or the third's, by the first."),
    ScalarFunction::new("zip", &[ARRAY, ARRAY], DYNAMIC, zip, "An array of the arrays' elements at each position.").repeating(1),
    ScalarFunction::new("range", &[Measure, Measure, Measure], DYNAMIC, range, "The values from the first to the second by steps of the third, 1 (or an hour) unless said otherwise.").optional_from(2),
    ScalarFunction::new("set_equals", &[ARRAY, ARRAY], Returns::Is(Type::Bool), set_equals, "Whether the arrays hold the same values."),
    ScalarFunction::new("jaccard_index", &[ARRAY, ARRAY], DYNAMIC, jaccard_index, "How much of the two sets is common to both, from 0 to 1."),
];

fn sorted(values: &[&Value], descending: bool) -> Value {
    let Some(elements) = array(values[0]) else {
        return Value::Null;
    };
    let nulls_last = values.get(1) != Some(&&Value::Bool(false));
    let (nulls, rest): (Vec<Json>, Vec<Json>) = elements.iter().cloned().partition(Json::is_null);
    let mut keyed: Vec<(Value, Json)> = rest.into_iter().map(|one| (to_value(&one), one)).collect();
    keyed.sort_by(|left, right| {
        let order = sort_order(&left.0, &right.0);
        if descending { order.reverse() } else { order }
    });
    let rest = keyed.into_iter().map(|(_, one)| one);
    wrap(if nulls_last {
        rest.chain(nulls).collect()
    } else {
        nulls.into_iter().chain(rest).collect()
    })
}

fn rotated(values: &[&Value], direction: i64) -> Value {
    let (Some(elements), Some(by)) = (array(values[0]), as_long(values[1])) else {
        return Value::Null;
    };
    if elements.is_empty() {
        return values[0].clone();
    }
    let mut elements = elements.clone();
    let by = by.wrapping_mul(direction).rem_euclid(elements.len() as i64);
    elements.rotate_left(usize::try_from(by).unwrap_or(0));
    wrap(elements.into())
}

fn shifted(values: &[&Value], direction: i64) -> Value {
    let (Some(elements), Some(by)) = (array(values[0]), as_long(values[1])) else {
        return Value::Null;
    };
    let by = by.wrapping_mul(direction);
    let missing = values.get(2).map_or(Json::Null, |value| from_value(value));
    let moved = (0_i64..).zip(elements).map(|(at, _)| {
        let from = at
            .checked_add(by)
            .and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| elements.get(from))
            .unwrap_or(&missing)
            .clone()
    });
    wrap(moved.collect())
}

fn array_split(_: &Context, values: &[&Value]) -> Value {
    let Some(elements) = array(values[0]) else {
        return Value::Null;
    };
    let cuts: Option<Vec<i64>> = match array(values[1]) {
        Some(cuts) => cuts.iter().map(Json::as_i64).collect(),
        None => as_long(values[1]).map(|cut| vec![cut]),
    };
    let Some(cuts) = cuts else {
        return Value::Null;
    };
    let len = elements.len();
    let mut parts: Vec<Json> = Vec::new();
    let mut from = 0;
    for cut in cuts {
        let from_start = if cut < 0 {
            cut.saturating_add(len as i64)
        } else {
            cut
        };
        let to = usize::try_from(from_start).unwrap_or(0).clamp(from, len);
        parts.push(elements[from..to].to_vec().into());
        from = to;
    }
    parts.push(elements[from..].to_vec().into());
    wrap(parts.into())
}

fn array_iff(_: &Context, values: &[&Value]) -> Value {
    let Some(conditions) = array(values[0]) else {
        return Value::Null;
    };
    let pick = |value: &Value, at: usize| match array(value) {
        Some(elements) => elements.get(at).cloned().unwrap_or(Json::Null),
        None => from_value(value),
    };
    let chosen = conditions.iter().enumerate().map(|(at, condition)| {
        let holds = condition
            .as_bool()
            .or_else(|| condition.as_f64().map(|one| one != 0.0));
        match holds {
            Some(true) => pick(values[1], at),
            Some(false) => pick(values[2], at),
            None => Json::Null,
        }
    });
    wrap(chosen.collect())
}

fn zip(_: &Context, values: &[&Value]) -> Value {
    let arrays: Vec<&[Json]> = values
        .iter()
        .map(|value| array(value).map_or(&[][..], |elements| elements))
        .collect();
    let longest = arrays.iter().map(|one| one.len()).max().unwrap_or(0);
    let rows = (0..longest).map(|at| {
        let row = arrays
            .iter()
            .map(|one| one.get(at).cloned().unwrap_or(Json::Null));
        Json::Array(row.collect())
    });
    wrap(rows.collect())
}

fn range(context: &Context, values: &[&Value]) -> Value {
    let step = match (values.get(2), values[0]) {
        (Some(step), _) => (*step).clone(),
        (None, Value::DateTime(_) | Value::TimeSpan(_)) => {
            Value::TimeSpan(crate::kql::TimeSpan::from_seconds(3600))
        }
        (None, _) => Value::Long(1),
    };
    let direction = as_real(&step).unwrap_or(0.0);
    let mut made: Vec<Json> = Vec::new();
    let mut at = values[0].clone();
    while direction != 0.0 && made.len() < MAX_MADE {
        let within = compare(&at, values[1]).is_some_and(|order| {
            if direction > 0.0 {
                order.is_le()
            } else {
                order.is_ge()
            }
        });
        if !within {
            break;
        }
        made.push(from_value(&at));
        let next = operators::add(context, &[&at, &step]);
        if compare(&next, &at).is_none_or(std::cmp::Ordering::is_eq) {
            break;
        }
        at = next;
    }
    Value::Dynamic(Arc::new(made.into()))
}

fn members(value: &Value) -> Option<std::collections::BTreeSet<String>> {
    array(value).map(|elements| elements.iter().map(Json::to_string).collect())
}

fn set_equals(_: &Context, values: &[&Value]) -> Value {
    match (members(values[0]), members(values[1])) {
        (Some(left), Some(right)) => Value::Bool(left == right),
        _ => Value::Null,
    }
}

fn jaccard_index(_: &Context, values: &[&Value]) -> Value {
    let (Some(left), Some(right)) = (members(values[0]), members(values[1])) else {
        return Value::Null;
    };
    let all = left.union(&right).count();
    if all == 0 {
        return Value::Null;
    }
    wrap((left.intersection(&right).count() as f64 / all as f64).into())
}
