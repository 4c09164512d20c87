//! Choice, emptiness, and calls that are not what they seem.

use super::Accepts::{Any, Is, Ordered};
use super::{Context, Returns, ScalarFunction, Special};
use crate::kql::order;
use crate::kql::value::{Type, Value};

const BOOL: Returns = Returns::Is(Type::Bool);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "iff",
        &[Is(Type::Bool), Any, Any],
        Returns::Common(1),
        iff,
        "The second value where the first holds, else the third.",
    ),
    ScalarFunction::new(
        "case",
        &[Is(Type::Bool), Any, Any],
        Returns::Common(1),
        iff,
        "The value behind the first condition that holds, else the last.",
    )
    .repeating(1)
    .special(Special::Case),
    ScalarFunction::new(
        "coalesce",
        &[Any, Any],
        Returns::Common(0),
        coalesce,
        "The first value that is not null (for strings, not empty).",
    )
    .repeating(1),
    ScalarFunction::new(
        "max_of",
        &[Ordered, Ordered],
        Returns::Common(0),
        max_of,
        "The greatest of the values.",
    )
    .repeating(1),
    ScalarFunction::new(
        "min_of",
        &[Ordered, Ordered],
        Returns::Common(0),
        min_of,
        "The least of the values.",
    )
    .repeating(1),
    ScalarFunction::new(
        "not",
        &[Is(Type::Bool)],
        BOOL,
        not,
        "The opposite truth value.",
    ),
    ScalarFunction::new(
        "isempty",
        &[Any],
        BOOL,
        is_empty,
        "Whether the value is null or the empty string.",
    ),
    ScalarFunction::new(
        "isnotempty",
        &[Any],
        BOOL,
        is_not_empty,
        "Whether the value is neither null nor the empty string.",
    ),
    ScalarFunction::new(
        "isnull",
        &[Any],
        BOOL,
        is_null,
        "Whether the value is null; a string never is.",
    ),
    ScalarFunction::new(
        "isnotnull",
        &[Any],
        BOOL,
        is_not_null,
        "Whether the value is not null.",
    ),
    ScalarFunction::new(
        "column_ifexists",
        &[Is(Type::String), Any],
        Returns::Argument(1),
        second,
        "The column of that name, or the second value if there is none.",
    )
    .named_as_text()
    .special(Special::ColumnIfExists),
    ScalarFunction::new(
        "ingestion_time",
        &[],
        Returns::Is(Type::DateTime),
        null,
        "When the row arrived.",
    )
    .special(Special::IngestionTime),
    ScalarFunction::new(
        "toscalar",
        &[Any],
        Returns::Argument(0),
        null,
        "The first column of the first row of a query.",
    )
    .special(Special::ToScalar),
    ScalarFunction::new(
        "materialize",
        &[Any],
        Returns::Argument(0),
        null,
        "A query's rows, worked out once.",
    )
    .special(Special::Materialize),
];

fn null(_: &Context, _: &[&Value]) -> Value {
    Value::Null
}

fn second(_: &Context, values: &[&Value]) -> Value {
    values[1].clone()
}

fn iff(_: &Context, values: &[&Value]) -> Value {
    match values[0] {
        Value::Bool(true) => values[1].clone(),
        _ => values[2].clone(),
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Dynamic(json) => json.as_str().is_some_and(str::is_empty),
        _ => false,
    }
}

fn coalesce(_: &Context, values: &[&Value]) -> Value {
    values
        .iter()
        .find(|value| !empty(value))
        .map_or(Value::Null, |value| (*value).clone())
}

fn extreme(values: &[&Value], wanted: std::cmp::Ordering) -> Value {
    let mut best = &Value::Null;
    for value in values {
        if value.is_null() {
            continue;
        }
        if best.is_null() || order::compare(value, best) == Some(wanted) {
            best = value;
        }
    }
    best.clone()
}

fn max_of(_: &Context, values: &[&Value]) -> Value {
    extreme(values, std::cmp::Ordering::Greater)
}

fn min_of(_: &Context, values: &[&Value]) -> Value {
    extreme(values, std::cmp::Ordering::Less)
}

fn not(_: &Context, values: &[&Value]) -> Value {
    match values[0] {
        Value::Bool(truth) => Value::Bool(!truth),
        _ => Value::Null,
    }
}

fn is_empty(_: &Context, values: &[&Value]) -> Value {
    Value::Bool(empty(values[0]))
}

fn is_not_empty(_: &Context, values: &[&Value]) -> Value {
    Value::Bool(!empty(values[0]))
}

fn is_null(_: &Context, values: &[&Value]) -> Value {
    Value::Bool(values[0].is_null())
}

fn is_not_null(_: &Context, values: &[&Value]) -> Value {
    Value::Bool(!values[0].is_null())
}
