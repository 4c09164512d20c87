//! Series whose gaps are filled, which are filtered, and whose outliers are told.

use super::Accepts::{Is, Number};
use super::series::{full, numbers, series};
use super::{Context, Returns, ScalarFunction};
use crate::kql::order::as_real;
use crate::kql::value::{Type, Value};

const DYNAMIC: Returns = Returns::Is(Type::Dynamic);
const SERIES: super::Accepts = Is(Type::Dynamic);
const FLAG: super::Accepts = Is(Type::Bool);

pub const ROWS: &[ScalarFunction] = &[
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
