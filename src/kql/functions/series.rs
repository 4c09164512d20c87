//! Series: arrays of numbers, element by element and as sums.

use std::sync::Arc;

use serde_json::Value as Json;

use super::Accepts::{Is, Number, SeriesOrNumber};
use super::json::{array, wrap};
use super::{Returns, ScalarFunction};
use crate::kql::order::as_real;
use crate::kql::value::{Type, Value};

const DYNAMIC: Returns = Returns::Is(Type::Dynamic);
const REAL: Returns = Returns::Is(Type::Real);
const SERIES: super::Accepts = Is(Type::Dynamic);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "series_add",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| pairs(v, |a, b| Some(a + b)),
        "The sums, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_subtract",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| pairs(v, |a, b| Some(a - b)),
        "The differences, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_multiply",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| pairs(v, |a, b| Some(a * b)),
        "The products, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_divide",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| pairs(v, |a, b| Some(a / b)),
        "The quotients, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_pow",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| pairs(v, |a, b| Some(a.powf(b))),
        "The powers, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_greater",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| tests(v, |a, b| a > b),
        "Whether the first is greater, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_greater_equals",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| tests(v, |a, b| a >= b),
        "Whether the first is not less, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_less",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| tests(v, |a, b| a < b),
        "Whether the first is less, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_less_equals",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| tests(v, |a, b| a <= b),
        "Whether the first is not greater, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_equals",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| tests(v, |a, b| a == b),
        "Whether both are equal, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_not_equals",
        &[SeriesOrNumber, SeriesOrNumber],
        DYNAMIC,
        |_, v| tests(v, |a, b| a != b),
        "Whether both are unequal, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_abs",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::abs),
        "The elements without their signs.",
    ),
    ScalarFunction::new(
        "series_exp",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::exp),
        "e to the power of each element.",
    ),
    ScalarFunction::new(
        "series_log",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::ln),
        "The natural logarithms.",
    ),
    ScalarFunction::new(
        "series_sin",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::sin),
        "The sines.",
    ),
    ScalarFunction::new(
        "series_cos",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::cos),
        "The cosines.",
    ),
    ScalarFunction::new(
        "series_tan",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::tan),
        "The tangents.",
    ),
    ScalarFunction::new(
        "series_asin",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::asin),
        "The arc sines.",
    ),
    ScalarFunction::new(
        "series_acos",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::acos),
        "The arc cosines.",
    ),
    ScalarFunction::new(
        "series_atan",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::atan),
        "The arc tangents.",
    ),
    ScalarFunction::new(
        "series_sign",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, |x| if x == 0.0 { 0.0 } else { x.signum() }),
        "-1, 0 or 1 for each element.",
    ),
    ScalarFunction::new(
        "series_floor",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::floor),
        "The elements rounded down.",
    ),
    ScalarFunction::new(
        "series_ceiling",
        &[SERIES],
        DYNAMIC,
        |_, v| each(v, f64::ceil),
        "The elements rounded up.",
    ),
    ScalarFunction::new(
        "series_sum",
        &[SERIES],
        REAL,
        |_, v| whole(v, |n| n.iter().sum()),
        "The sum.",
    ),
    ScalarFunction::new(
        "series_product",
        &[SERIES],
        REAL,
        |_, v| whole(v, |n| n.iter().product()),
        "The product.",
    ),
    ScalarFunction::new(
        "series_magnitude",
        &[SERIES],
        REAL,
        |_, v| whole(v, |n| dot(n, n).sqrt()),
        "The root of the squares' sum.",
    ),
    ScalarFunction::new(
        "series_dot_product",
        &[SeriesOrNumber, SeriesOrNumber],
        REAL,
        |_, v| both(v, dot),
        "The sum of the products, element by element.",
    )
    .overloaded(),
    ScalarFunction::new(
        "series_pearson_correlation",
        &[SERIES, SERIES],
        REAL,
        |_, v| both(v, correlation),
        "How far the series go together, from -1 to 1.",
    ),
    ScalarFunction::new(
        "series_cosine_similarity",
        &[SERIES, SERIES, Number, Number],
        REAL,
        |_, v| both(v, |a, b| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()),
        "The cosine of the angle between the series as vectors.",
    )
    .optional_from(2),
];

pub(super) fn json(number: f64) -> Json {
    serde_json::Number::from_f64(number).map_or(Json::Null, Json::Number)
}

/// The elements as numbers, those that are none as `None`.
pub(super) fn numbers(value: &Value) -> Option<Vec<Option<f64>>> {
    array(value).map(|elements| elements.iter().map(Json::as_f64).collect())
}

/// All elements as numbers; none if one is none.
pub(super) fn full(value: &Value) -> Option<Vec<f64>> {
    numbers(value)?.into_iter().collect()
}

pub(super) fn series(elements: impl Iterator<Item = Option<f64>>) -> Value {
    Value::Dynamic(Arc::new(Json::Array(
        elements.map(|one| one.map_or(Json::Null, json)).collect(),
    )))
}

fn each(values: &[&Value], apply: fn(f64) -> f64) -> Value {
    numbers(values[0]).map_or(Value::Null, |elements| {
        series(elements.into_iter().map(|one| one.map(apply)))
    })
}

/// Two series side by side; a number stands beside every element of the other.
fn beside(values: &[&Value]) -> Option<Vec<(Option<f64>, Option<f64>)>> {
    match (numbers(values[0]), numbers(values[1])) {
        (Some(left), Some(right)) => {
            let longest = left.len().max(right.len());
            let at = |side: &[Option<f64>], at: usize| side.get(at).copied().flatten();
            Some(
                (0..longest)
                    .map(|one| (at(&left, one), at(&right, one)))
                    .collect(),
            )
        }
        (Some(left), None) => {
            let right = as_real(values[1]);
            Some(left.into_iter().map(|one| (one, right)).collect())
        }
        (None, Some(right)) => {
            let left = as_real(values[0]);
            Some(right.into_iter().map(|one| (left, one)).collect())
        }
        (None, None) => None,
    }
}

fn pairs(values: &[&Value], apply: fn(f64, f64) -> Option<f64>) -> Value {
    beside(values).map_or(Value::Null, |pairs| {
        series(pairs.into_iter().map(|(left, right)| apply(left?, right?)))
    })
}

fn tests(values: &[&Value], test: fn(f64, f64) -> bool) -> Value {
    beside(values).map_or(Value::Null, |pairs| {
        let tested = pairs.into_iter().map(|pair| match pair {
            (Some(left), Some(right)) => Json::Bool(test(left, right)),
            _ => Json::Null,
        });
        wrap(tested.collect())
    })
}

fn whole(values: &[&Value], apply: fn(&[f64]) -> f64) -> Value {
    full(values[0]).map_or(Value::Null, |elements| Value::Real(apply(&elements)))
}

fn both(values: &[&Value], apply: fn(&[f64], &[f64]) -> f64) -> Value {
    let pairs: Option<Vec<(f64, f64)>> = beside(values).and_then(|pairs| {
        pairs
            .into_iter()
            .map(|(left, right)| Some((left?, right?)))
            .collect()
    });
    pairs.map_or(Value::Null, |pairs| {
        let (left, right): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        Value::Real(apply(&left, &right))
    })
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

pub(super) fn mean(elements: &[f64]) -> f64 {
    elements.iter().sum::<f64>() / elements.len() as f64
}

fn correlation(left: &[f64], right: &[f64]) -> f64 {
    let (left_mean, right_mean) = (mean(left), mean(right));
    let from = |elements: &[f64], mean: f64| -> Vec<f64> {
        elements.iter().map(|one| one - mean).collect()
    };
    let (left, right) = (from(left, left_mean), from(right, right_mean));
    dot(&left, &right) / (dot(&left, &left) * dot(&right, &right)).sqrt()
}
