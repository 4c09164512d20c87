//! Series: arrays of numbers, element by element, filled and filtered.

use std::sync::Arc;

use serde_json::Value as Json;

use super::Accepts::{Is, Number, SeriesOrNumber};
use super::json::{array, wrap};
use super::{Context, Returns, ScalarFunction};
use crate::kql::order::as_real;
use crate::kql::value::{Type, Value};

const DYNAMIC: Returns = Returns::Is(Type::Dynamic);
const REAL: Returns = Returns::Is(Type::Real);
const SERIES: super::Accepts = Is(Type::Dynamic);
const FLAG: super::Accepts = Is(Type::Bool);

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
    ScalarFunction::new(
        "series_fill_const",
        &[SERIES, Number, Number],
        DYNAMIC,
        fill_const,
        "The series with what is missing set to a constant, 0 unless said otherwise.",
    )
    .optional_from(1)
    .named_as_argument(),
    ScalarFunction::new(
        "series_fill_forward",
        &[SERIES, Number],
        DYNAMIC,
        |_, v| fill(v, forward),
        "The series with what is missing set to the element before.",
    )
    .optional_from(1)
    .named_as_argument(),
    ScalarFunction::new(
        "series_fill_backward",
        &[SERIES, Number],
        DYNAMIC,
        |_, v| fill(v, backward),
        "The series with what is missing set to the element behind.",
    )
    .optional_from(1)
    .named_as_argument(),
    ScalarFunction::new(
        "series_fill_linear",
        &[SERIES, Number, FLAG, Number],
        DYNAMIC,
        fill_linear,
        "The series with what is missing set on the line between its neighbours.",
    )
    .optional_from(1)
    .named_as_argument(),
    ScalarFunction::new(
        "series_fir",
        &[SERIES, SERIES, FLAG, FLAG],
        DYNAMIC,
        fir,
        "Each element as the weighted sum of those up to it.",
    )
    .optional_from(2)
    .named_as_argument(),
    ScalarFunction::new(
        "series_iir",
        &[SERIES, SERIES, SERIES],
        DYNAMIC,
        iir,
        "The series through a recursive filter.",
    )
    .named_as_argument(),
    ScalarFunction::new(
        "series_outliers",
        &[
            SERIES,
            Is(Type::String),
            Number,
            Number,
            Number,
            super::Accepts::Integer,
        ],
        DYNAMIC,
        outliers,
        "How far each element lies outside of what is usual, 0 for within.",
    )
    .optional_from(1)
    .named_as_argument(),
];

pub(super) fn json(number: f64) -> Json {
    serde_json::Number::from_f64(number).map_or(Json::Null, Json::Number)
}

/// The elements as numbers, those that are none as `None`.
fn numbers(value: &Value) -> Option<Vec<Option<f64>>> {
    array(value).map(|elements| elements.iter().map(Json::as_f64).collect())
}

/// All elements as numbers; none if one is none.
pub(super) fn full(value: &Value) -> Option<Vec<f64>> {
    numbers(value)?.into_iter().collect()
}

fn series(elements: impl Iterator<Item = Option<f64>>) -> Value {
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

/// The elements with those that stand for nothing (null, or the number at `placeholder_at`) missing.
fn with_gaps(values: &[&Value], placeholder_at: usize) -> Option<Vec<Option<f64>>> {
    let placeholder = values.get(placeholder_at).and_then(|value| as_real(value));
    let mut elements = numbers(values[0])?;
    if placeholder.is_some() {
        for element in &mut elements {
            *element = element.filter(|_| *element != placeholder);
        }
    }
    Some(elements)
}

fn fill(values: &[&Value], fill: fn(&mut [Option<f64>])) -> Value {
    with_gaps(values, 1).map_or(Value::Null, |mut elements| {
        fill(&mut elements);
        series(elements.into_iter())
    })
}

fn forward(elements: &mut [Option<f64>]) {
    let mut before = None;
    for element in elements {
        *element = element.or(before);
        before = *element;
    }
}

fn backward(elements: &mut [Option<f64>]) {
    elements.reverse();
    forward(elements);
    elements.reverse();
}

fn fill_const(_: &Context, values: &[&Value]) -> Value {
    let constant = values.get(1).map_or(Some(0.0), |value| as_real(value));
    with_gaps(values, 2).map_or(Value::Null, |elements| {
        series(elements.into_iter().map(|one| one.or(constant)))
    })
}

fn fill_linear(_: &Context, values: &[&Value]) -> Value {
    let Some(mut elements) = with_gaps(values, 1) else {
        return Value::Null;
    };
    let edges = values.get(2) != Some(&&Value::Bool(false));
    let known: Vec<(usize, f64)> = (0..)
        .zip(&elements)
        .filter_map(|(at, one)| Some((at, (*one)?)))
        .collect();
    if known.is_empty() {
        let constant = values.get(3).map_or(Some(0.0), |value| as_real(value));
        return series(elements.iter().map(|_| constant));
    }
    for pair in known.windows(2) {
        let ((from, low), (to, high)) = (pair[0], pair[1]);
        for (at, element) in elements.iter_mut().enumerate().take(to).skip(from + 1) {
            let share = (at - from) as f64 / (to - from) as f64;
            *element = Some(low + (high - low) * share);
        }
    }
    if edges {
        forward(&mut elements);
        backward(&mut elements);
    }
    series(elements.into_iter())
}

/// The most products that a filter may take.
const MAX_PRODUCTS: usize = 1 << 26;

fn fir(_: &Context, values: &[&Value]) -> Value {
    let (Some(elements), Some(filter)) = (full(values[0]), full(values[1])) else {
        return Value::Null;
    };
    let flag = |at: usize, default: bool| match values.get(at) {
        Some(Value::Bool(flag)) => *flag,
        _ => default,
    };
    if elements.len().saturating_mul(filter.len()) > MAX_PRODUCTS {
        return Value::Null;
    }
    let all: f64 = filter.iter().sum();
    let scale = if flag(2, true) && all != 0.0 {
        all
    } else {
        1.0
    };
    let shift = if flag(3, false) { filter.len() / 2 } else { 0 };
    let filtered = (0..elements.len()).map(|at| {
        let sum: f64 = filter
            .iter()
            .enumerate()
            .map(|(back, weight)| {
                let from = (at + shift).checked_sub(back);
                weight
                    * from
                        .and_then(|from| elements.get(from))
                        .copied()
                        .unwrap_or(0.0)
            })
            .sum();
        Some(sum / scale)
    });
    series(filtered)
}

fn iir(_: &Context, values: &[&Value]) -> Value {
    let (Some(elements), Some(over), Some(under)) =
        (full(values[0]), full(values[1]), full(values[2]))
    else {
        return Value::Null;
    };
    let lead = under.first().copied().unwrap_or(0.0);
    let products = elements.len().saturating_mul(over.len() + under.len());
    if lead == 0.0 || products > MAX_PRODUCTS {
        return Value::Null;
    }
    let mut made: Vec<f64> = Vec::with_capacity(elements.len());
    for at in 0..elements.len() {
        let sum = |weights: &[f64], of: &[f64], from: usize| -> f64 {
            let weights = weights.iter().enumerate().skip(from);
            weights
                .filter_map(|(back, weight)| Some(weight * of.get(at.checked_sub(back)?)?))
                .sum()
        };
        made.push((sum(&over, &elements, 0) - sum(&under, &made, 1)) / lead);
    }
    series(made.into_iter().map(Some))
}

/// Between the elements at the ends of a share of them, in order.
fn quantile(ordered: &[f64], share: f64) -> f64 {
    let place = share * (ordered.len() - 1) as f64;
    let (low, high) = (place.floor(), place.ceil());
    let at = |place: f64| ordered[place as usize];
    at(low) + (at(high) - at(low)) * (place - low)
}

/// Tukey's fences; `ctukey` (the default) has them at the 10th and 90th percentile, `tukey` at the
/// 25th and 75th.
fn outliers(_: &Context, values: &[&Value]) -> Value {
    let Some(elements) = full(values[0]) else {
        return Value::Null;
    };
    if elements.is_empty() {
        return values[0].clone();
    }
    let tukey = matches!(values.get(1), Some(Value::String(kind)) if &**kind == "tukey");
    let (low, high) = if tukey { (0.25, 0.75) } else { (0.1, 0.9) };
    let given = |at: usize, default: f64| {
        values
            .get(at)
            .and_then(|value| as_real(value))
            .map_or(default, |one| one / 100.0)
    };
    let (low, high) = (
        given(3, low).clamp(0.0, 1.0),
        given(4, high).clamp(0.0, 1.0),
    );
    let mut ordered = elements.clone();
    ordered.sort_by(f64::total_cmp);
    let (low, high) = (quantile(&ordered, low), quantile(&ordered, high));
    let range = high - low;
    series(elements.into_iter().map(|one| {
        Some(if range == 0.0 {
            0.0
        } else if one > high {
            (one - high) / range
        } else if one < low {
            (one - low) / range
        } else {
            0.0
        })
    }))
}
