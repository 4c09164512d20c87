//! Dynamic values: JSON in and out, paths, arrays and property bags.

use std::sync::Arc;

use serde_json::Value as Json;

use super::Accepts::{Any, AnyText, Integer, Is, Text, TextOrDynamic, TypeName};
use super::{Context, Returns, ScalarFunction, convert};
use crate::kql::order::as_long;
use crate::kql::text;
use crate::kql::value::{Type, Value};

const DYNAMIC: Returns = Returns::Is(Type::Dynamic);
const LONG: Returns = Returns::Is(Type::Long);
const STRING: Returns = Returns::Is(Type::String);
const BOOL: Returns = Returns::Is(Type::Bool);
const BAG: super::Accepts = Is(Type::Dynamic);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "parse_json",
        &[TextOrDynamic],
        DYNAMIC,
        parse_json,
        "The JSON that a string holds; a string that holds none stays one.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "dynamic_to_json",
        &[Any],
        STRING,
        dynamic_to_json,
        "The value as JSON text.",
    ),
    ScalarFunction::new(
        "extract_json",
        &[Text, Text, TypeName],
        Returns::TypeOf(2),
        extract_json,
        "What stands at a JSON path of a text.",
    )
    .constant_at(&[0])
    .optional_from(2),
    ScalarFunction::new(
        "array_length",
        &[BAG],
        LONG,
        array_length,
        "How many elements; null if it is no array.",
    ),
    ScalarFunction::new(
        "array_concat",
        &[BAG, BAG],
        DYNAMIC,
        array_concat,
        "The arrays' elements in one array.",
    )
    .optional_from(1)
    .repeating(1),
    ScalarFunction::new(
        "array_slice",
        &[BAG, Integer, Integer],
        DYNAMIC,
        array_slice,
        "The elements from one position to another, both included; negative ones count from the end.",
    ),
    ScalarFunction::new(
        "array_reverse",
        &[BAG],
        DYNAMIC,
        array_reverse,
        "The elements from the last to the first.",
    ),
    ScalarFunction::new(
        "array_sum",
        &[BAG],
        Returns::Is(Type::Real),
        array_sum,
        "The sum of the elements; null if one is no number.",
    ),
    ScalarFunction::new(
        "array_index_of",
        &[BAG, Any, Integer],
        LONG,
        array_index_of,
        "Where the value stands in the array, or -1.",
    )
    .optional_from(2),
    ScalarFunction::new(
        "set_has_element",
        &[BAG, Any],
        BOOL,
        set_has_element,
        "Whether the array holds the value.",
    ),
    ScalarFunction::new(
        "set_union",
        &[BAG, BAG],
        DYNAMIC,
        set_union,
        "What stands in any of the arrays, once each.",
    )
    .repeating(1),
    ScalarFunction::new(
        "set_intersect",
        &[BAG, BAG],
        DYNAMIC,
        set_intersect,
        "What stands in all of the arrays, once each.",
    )
    .repeating(1),
    ScalarFunction::new(
        "set_difference",
        &[BAG, BAG],
        DYNAMIC,
        set_difference,
        "What stands in the first array and in none of the others.",
    )
    .repeating(1),
    ScalarFunction::new(
        "strcat_array",
        &[BAG, AnyText],
        STRING,
        strcat_array,
        "The elements' texts with a delimiter between.",
    ),
    ScalarFunction::new(
        "pack_array",
        &[Any],
        DYNAMIC,
        pack_array,
        "The values as an array.",
    )
    .optional_from(0)
    .repeating(1),
    ScalarFunction::new(
        "bag_pack",
        &[Text, Any],
        DYNAMIC,
        bag_pack,
        "Keys and values as a property bag.",
    )
    .repeating(2),
    ScalarFunction::new("bag_keys", &[BAG], DYNAMIC, bag_keys, "The bag's keys."),
    ScalarFunction::new(
        "bag_has_key",
        &[BAG, Text],
        BOOL,
        bag_has_key,
        "Whether the bag has the key.",
    ),
    ScalarFunction::new(
        "bag_merge",
        &[BAG, BAG],
        DYNAMIC,
        bag_merge,
        "The bags in one; of equal keys the first counts.",
    )
    .repeating(1),
    ScalarFunction::new(
        "repeat",
        &[Any, Integer],
        DYNAMIC,
        repeat,
        "An array of so many times the value.",
    )
    .prefixed("repeat"),
    ScalarFunction::new(
        "parse_csv",
        &[TextOrDynamic],
        DYNAMIC,
        parse_csv,
        "The fields of one record of comma-separated values.",
    )
    .named_as_argument(),
];

/// `of[index]` and `of.name`: null where there is no such element.
pub fn index(_: &Context, values: &[&Value]) -> Value {
    let Value::Dynamic(json) = values[0] else {
        return Value::Null;
    };
    let found = match values[1] {
        Value::String(key) => json.as_object().and_then(|bag| bag.get(&**key)),
        Value::Dynamic(key) if key.is_string() => json
            .as_object()
            .zip(key.as_str())
            .and_then(|(bag, key)| bag.get(key)),
        at => json
            .as_array()
            .zip(as_long(at))
            .and_then(|(elements, at)| elements.get(position(at, elements.len())?)),
    };
    found.map_or(Value::Null, |json| wrap(json.clone()))
}

/// A position counted from the end if it is negative.
fn position(at: i64, len: usize) -> Option<usize> {
    let from_start = if at < 0 {
        at.checked_add(i64::try_from(len).ok()?)?
    } else {
        at
    };
    usize::try_from(from_start).ok()
}

pub fn wrap(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        json => Value::Dynamic(Arc::new(json)),
    }
}

/// A dynamic element as the plain value that it is; arrays and bags stay dynamic.
pub fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::String(text) => Value::string(text.as_str()),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Long(number),
            None => number.as_f64().map_or(Value::Null, Value::Real),
        },
        json => Value::Dynamic(Arc::new(json.clone())),
    }
}

/// A scalar as JSON; what JSON has no form for becomes a string.
pub fn from_value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Long(number) => (*number).into(),
        Value::Real(number) => serde_json::Number::from_f64(*number)
            .map_or_else(|| text::format_real(*number).into(), Json::Number),
        Value::Dynamic(json) => (**json).clone(),
        other => text::format_value(other).as_ref().into(),
    }
}

/// A scalar as a dynamic value.
pub fn from_scalar(value: &Value) -> Value {
    match value {
        Value::Dynamic(_) => value.clone(),
        other => wrap(from_value(other)),
    }
}

fn parse_json(_: &Context, values: &[&Value]) -> Value {
    match values[0] {
        Value::String(text) if text.is_empty() => Value::Null,
        Value::String(text) => match serde_json::from_str::<Json>(text) {
            Ok(json) => wrap(json),
            Err(_) => wrap(text.as_ref().into()),
        },
        other => from_scalar(other),
    }
}

fn dynamic_to_json(_: &Context, values: &[&Value]) -> Value {
    Value::string(text::format_dynamic(&from_value(values[0])))
}

/// Paths such as `$.a.b[0]` and `$['a']`.
fn extract_json(context: &Context, values: &[&Value]) -> Value {
    let (Value::String(path), Value::String(source)) = (values[0], values[1]) else {
        return Value::Null;
    };
    let Ok(json) = serde_json::from_str::<Json>(source) else {
        return Value::Null;
    };
    let found = walk(&json, path).map_or(Value::Null, |json| wrap(json.clone()));
    let kind = match values.get(2) {
        Some(Value::String(name)) => Type::from_name(name).unwrap_or(Type::String),
        _ => Type::String,
    };
    convert::to(kind)(context, &[&found])
}

fn walk<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    let mut at = json;
    let mut rest = path.trim().strip_prefix('$')?;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('[') {
            let (inner, tail) = tail.split_once(']')?;
            at = match inner.parse::<i64>() {
                Ok(number) => {
                    let elements = at.as_array()?;
                    elements.get(position(number, elements.len())?)?
                }
                Err(_) => at.get(inner.trim_matches(['"', '\'']))?,
            };
            rest = tail;
        } else {
            let tail = rest.strip_prefix('.')?;
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            at = at.get(&tail[..end])?;
            rest = &tail[end..];
        }
    }
    Some(at)
}

pub fn array(value: &Value) -> Option<&Vec<Json>> {
    match value {
        Value::Dynamic(json) => json.as_array(),
        _ => None,
    }
}

pub fn bag(value: &Value) -> Option<&serde_json::Map<String, Json>> {
    match value {
        Value::Dynamic(json) => json.as_object(),
        _ => None,
    }
}

fn array_length(_: &Context, values: &[&Value]) -> Value {
    array(values[0]).map_or(Value::Null, |elements| Value::Long(elements.len() as i64))
}

fn array_concat(_: &Context, values: &[&Value]) -> Value {
    let mut all = Vec::new();
    for value in values {
        match array(value) {
            Some(elements) => all.extend(elements.iter().cloned()),
            None if value.is_null() => {}
            None => return Value::Null,
        }
    }
    wrap(all.into())
}

fn array_slice(_: &Context, values: &[&Value]) -> Value {
    let (Some(elements), Some(from), Some(to)) =
        (array(values[0]), as_long(values[1]), as_long(values[2]))
    else {
        return Value::Null;
    };
    let len = elements.len();
    let from = position(from, len).unwrap_or(0).min(len);
    let to = position(to, len)
        .map_or(0, |to| to.saturating_add(1))
        .min(len);
    wrap(elements.get(from..to).unwrap_or_default().to_vec().into())
}

fn array_reverse(_: &Context, values: &[&Value]) -> Value {
    array(values[0]).map_or(Value::Null, |elements| {
        wrap(elements.iter().rev().cloned().collect())
    })
}

fn array_sum(_: &Context, values: &[&Value]) -> Value {
    array(values[0])
        .and_then(|elements| elements.iter().map(Json::as_f64).sum::<Option<f64>>())
        .map_or(Value::Null, Value::Real)
}

fn array_index_of(_: &Context, values: &[&Value]) -> Value {
    let Some(elements) = array(values[0]) else {
        return Value::Null;
    };
    let wanted = from_value(values[1]);
    let from = values
        .get(2)
        .and_then(|from| position(as_long(from)?, elements.len()))
        .unwrap_or(0);
    let found = elements
        .iter()
        .skip(from)
        .position(|element| same(element, &wanted));
    Value::Long(found.map_or(-1, |found| (found + from) as i64))
}

/// Equal, numbers by their value.
fn same(left: &Json, right: &Json) -> bool {
    left == right || left.is_number() && left.as_f64() == right.as_f64()
}

fn set_has_element(_: &Context, values: &[&Value]) -> Value {
    let Some(elements) = array(values[0]) else {
        return Value::Null;
    };
    let wanted = from_value(values[1]);
    Value::Bool(elements.iter().any(|element| same(element, &wanted)))
}

fn set_union(_: &Context, values: &[&Value]) -> Value {
    set(values, |_, _| true, usize::MAX)
}

fn set_intersect(_: &Context, values: &[&Value]) -> Value {
    set(
        values,
        |others, element| {
            others
                .iter()
                .all(|other| array(other).is_some_and(|other| other.contains(element)))
        },
        1,
    )
}

fn set_difference(_: &Context, values: &[&Value]) -> Value {
    set(
        values,
        |others, element| {
            !others
                .iter()
                .any(|other| array(other).is_some_and(|other| other.contains(element)))
        },
        1,
    )
}

/// The distinct elements of the first `sources` arrays that `keep` holds of, given the others.
fn set(values: &[&Value], keep: fn(&[&Value], &Json) -> bool, sources: usize) -> Value {
    let mut seen = indexmap::IndexMap::new();
    for value in values.iter().take(sources) {
        for element in array(value).into_iter().flatten() {
            if keep(&values[1..], element) {
                seen.entry(element.to_string())
                    .or_insert_with(|| element.clone());
            }
        }
    }
    wrap(seen.into_values().collect())
}

/// The most that delimiters may take in a text, in bytes.
const MAX_DELIMITERS: usize = 1 << 26;

fn strcat_array(_: &Context, values: &[&Value]) -> Value {
    let (Some(elements), Value::String(delimiter)) = (array(values[0]), values[1]) else {
        return Value::Null;
    };
    if elements.len().saturating_mul(delimiter.len()) > MAX_DELIMITERS {
        return Value::Null;
    }
    let texts: Vec<_> = elements
        .iter()
        .map(|element| text::format_value(&wrap(element.clone())))
        .collect();
    Value::string(texts.join(delimiter))
}

fn pack_array(_: &Context, values: &[&Value]) -> Value {
    wrap(values.iter().map(|value| from_value(value)).collect())
}

fn bag_pack(_: &Context, values: &[&Value]) -> Value {
    let bag: serde_json::Map<String, Json> = values
        .chunks_exact(2)
        .map(|pair| (text::format_value(pair[0]).to_string(), from_value(pair[1])))
        .collect();
    wrap(bag.into())
}

fn bag_keys(_: &Context, values: &[&Value]) -> Value {
    bag(values[0]).map_or(Value::Null, |bag| {
        wrap(bag.keys().map(String::as_str).collect())
    })
}

fn bag_has_key(_: &Context, values: &[&Value]) -> Value {
    match (bag(values[0]), values[1]) {
        (Some(bag), Value::String(key)) => Value::Bool(bag.contains_key(&**key)),
        _ => Value::Null,
    }
}

fn bag_merge(_: &Context, values: &[&Value]) -> Value {
    let mut merged = serde_json::Map::new();
    for (key, value) in values.iter().filter_map(|value| bag(value)).flatten() {
        merged.entry(key).or_insert_with(|| value.clone());
    }
    wrap(merged.into())
}

/// The longest array that a function makes from nothing.
const MAX_REPEAT: i64 = 1024;

fn repeat(_: &Context, values: &[&Value]) -> Value {
    match as_long(values[1]) {
        Some(count) => {
            let element = from_value(values[0]);
            let count = count.clamp(0, MAX_REPEAT) as usize;
            wrap(vec![element; count].into())
        }
        None => Value::Null,
    }
}

fn parse_csv(_: &Context, values: &[&Value]) -> Value {
    let text = text::format_value(values[0]);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes());
    match reader.records().next() {
        Some(Ok(record)) => wrap(record.iter().collect()),
        _ => Value::Null,
    }
}
