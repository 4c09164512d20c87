//! What a series is like as a whole: its statistics, and the lines that fit it best.

use serde_json::Value as Json;

use super::Accepts::Is;
use super::json::wrap;
use super::series::{full, json, mean};
use super::{Accepts, Context, Returns, ScalarFunction};
use crate::kql::value::{Type, Value};

const DYNAMIC: Returns = Returns::Is(Type::Dynamic);
const SERIES: Accepts = Is(Type::Dynamic);
const FLAG: Accepts = Is(Type::Bool);

pub const ROWS: &[ScalarFunction] = &[
    ScalarFunction::new(
        "series_stats",
        &[SERIES, FLAG],
        Returns::Parts(STATS),
        stats,
        "Least and greatest with their places, mean, deviation, variance.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "series_stats_dynamic",
        &[SERIES, FLAG],
        DYNAMIC,
        stats_dynamic,
        "As series_stats, in a bag.",
    )
    .optional_from(1),
    ScalarFunction::new(
        "series_fit_line",
        &[SERIES],
        Returns::Parts(LINE),
        |_, v| parts(fitted(v)),
        "The straight line that fits best.",
    ),
    ScalarFunction::new(
        "series_fit_line_dynamic",
        &[SERIES],
        DYNAMIC,
        |_, v| bag(LINE, fitted(v)),
        "As series_fit_line, in a bag.",
    ),
    ScalarFunction::new(
        "series_fit_2lines",
        &[SERIES],
        Returns::Parts(TWO_LINES),
        |_, v| parts(fitted_twice(v)),
        "The two straight lines that fit best, and where they part.",
    ),
    ScalarFunction::new(
        "series_fit_2lines_dynamic",
        &[SERIES],
        DYNAMIC,
        |_, v| bag(TWO_LINES, fitted_twice(v)),
        "As series_fit_2lines, in a bag.",
    ),
];

const STATS: &[(&str, Type)] = &[
    ("min", Type::Real),
    ("min_idx", Type::Long),
    ("max", Type::Real),
    ("max_idx", Type::Long),
    ("avg", Type::Real),
    ("stdev", Type::Real),
    ("variance", Type::Real),
];

const LINE: &[(&str, Type)] = &[
    ("rsquare", Type::Real),
    ("slope", Type::Real),
    ("variance", Type::Real),
    ("rvariance", Type::Real),
    ("interception", Type::Real),
    ("line_fit", Type::Dynamic),
];

const TWO_LINES: &[(&str, Type)] = &[
    ("rsquare", Type::Real),
    ("split_idx", Type::Long),
    ("variance", Type::Real),
    ("rvariance", Type::Real),
    ("line_fit", Type::Dynamic),
    ("right_rsquare", Type::Real),
    ("right_slope", Type::Real),
    ("right_interception", Type::Real),
    ("right_variance", Type::Real),
    ("right_rvariance", Type::Real),
    ("left_rsquare", Type::Real),
    ("left_slope", Type::Real),
    ("left_interception", Type::Real),
    ("left_variance", Type::Real),
    ("left_rvariance", Type::Real),
];

fn parts(parts: Option<Vec<Json>>) -> Value {
    parts.map_or(Value::Null, |parts| wrap(parts.into()))
}

fn bag(names: &[(&str, Type)], parts: Option<Vec<Json>>) -> Value {
    parts.map_or(Value::Null, |parts| {
        let named = names.iter().map(|(name, _)| (*name).to_owned());
        wrap(Json::Object(named.zip(parts).collect()))
    })
}

fn variance(elements: &[f64]) -> f64 {
    let mean = mean(elements);
    let squares: f64 = elements.iter().map(|one| (one - mean).powi(2)).sum();
    if elements.len() > 1 {
        squares / (elements.len() - 1) as f64
    } else {
        0.0
    }
}

fn described(values: &[&Value]) -> Option<Vec<Json>> {
    let elements = full(values[0])?;
    if elements.is_empty() {
        return None;
    }
    let extreme = |better: fn(f64, f64) -> bool| {
        let first = (0, elements[0]);
        let all = elements.iter().copied().enumerate();
        all.fold(
            first,
            |best, one| if better(one.1, best.1) { one } else { best },
        )
    };
    let (least_at, least) = extreme(|one, best| one < best);
    let (most_at, most) = extreme(|one, best| one > best);
    let variance = variance(&elements);
    Some(vec![
        json(least),
        least_at.into(),
        json(most),
        most_at.into(),
        json(mean(&elements)),
        json(variance.sqrt()),
        json(variance),
    ])
}

fn stats(_: &Context, values: &[&Value]) -> Value {
    parts(described(values))
}

fn stats_dynamic(_: &Context, values: &[&Value]) -> Value {
    bag(STATS, described(values))
}

/// A straight line through points at 0, 1, 2, …
struct Line {
    slope: f64,
    interception: f64,
    /// Of the elements, and of what the line leaves of them.
    variance: f64,
    rest: f64,
}

impl Line {
    fn fit(elements: &[f64]) -> Self {
        let count = elements.len() as f64;
        let middle = (count - 1.0) / 2.0;
        let mean = mean(elements);
        let (mut across, mut square) = (0.0, 0.0);
        for (at, element) in elements.iter().enumerate() {
            let from_middle = at as f64 - middle;
            across += from_middle * (element - mean);
            square += from_middle * from_middle;
        }
        let slope = if square == 0.0 { 0.0 } else { across / square };
        let interception = mean - slope * middle;
        let left: Vec<f64> = elements
            .iter()
            .enumerate()
            .map(|(at, element)| element - interception - slope * at as f64)
            .collect();
        Self {
            slope,
            interception,
            variance: variance(elements),
            rest: variance(&left),
        }
    }

    /// How much of the variance the line explains.
    fn rsquare(&self) -> f64 {
        if self.variance == 0.0 {
            0.0
        } else {
            1.0 - self.rest / self.variance
        }
    }

    fn points(&self, count: usize) -> Vec<f64> {
        (0..count)
            .map(|at| self.interception + self.slope * at as f64)
            .collect()
    }
}

fn fitted(values: &[&Value]) -> Option<Vec<Json>> {
    let elements = full(values[0]).filter(|elements| !elements.is_empty())?;
    let line = Line::fit(&elements);
    Some(vec![
        json(line.rsquare()),
        json(line.slope),
        json(line.variance),
        json(line.rest),
        // Where the line is a step before the first point, as the service has it.
        json(line.interception - line.slope),
        line.points(elements.len()).into_iter().map(json).collect(),
    ])
}

/// The longest series that two lines are fitted to: it takes the square of its length.
const MAX_SPLIT: usize = 10_000;

fn fitted_twice(values: &[&Value]) -> Option<Vec<Json>> {
    let elements = full(values[0]).filter(|elements| (4..=MAX_SPLIT).contains(&elements.len()))?;
    let squares = |line: &Line, count: usize| line.rest * (count.max(2) - 1) as f64;
    let (split, left, right) = (2..elements.len() - 1)
        .map(|split| {
            let (left, right) = elements.split_at(split);
            (split, Line::fit(left), Line::fit(right))
        })
        .min_by(|one, other| {
            let cost = |(split, left, right): &(usize, Line, Line)| {
                squares(left, *split) + squares(right, elements.len() - split)
            };
            cost(one).total_cmp(&cost(other))
        })?;
    let mut points = left.points(split);
    points.extend(right.points(elements.len() - split));
    let rest: Vec<f64> = elements
        .iter()
        .zip(&points)
        .map(|(one, on)| one - on)
        .collect();
    let all = variance(&elements);
    let rest = variance(&rest);
    let side = |line: &Line| {
        [
            line.rsquare(),
            line.slope,
            line.interception,
            line.variance,
            line.rest,
        ]
        .map(json)
    };
    let mut found = vec![
        json(if all == 0.0 { 0.0 } else { 1.0 - rest / all }),
        split.into(),
        json(all),
        json(rest),
        points.into_iter().map(json).collect(),
    ];
    found.extend(side(&right));
    found.extend(side(&left));
    Some(found)
}
