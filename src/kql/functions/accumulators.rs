//! What aggregates keep of a group's rows, and what they make of it.

use std::cmp::Ordering;
use std::sync::Arc;

use indexmap::IndexSet;

use super::{Context, json};
use crate::kql::operators;
use crate::kql::order::{self, Key, as_long, as_real};
use crate::kql::value::{DateTime, TimeSpan, Type, Value};

/// A group's state.
pub trait Accumulator {
    fn add(&mut self, values: &[&Value]);

    /// Whether each row may add to what is kept.
    fn keeps_rows(&self) -> bool {
        false
    }

    /// Of many rows only that with the greatest (least) first argument counts, the first of equals:
    /// the others need not be added.
    fn wants_only(&self) -> Option<Ordering> {
        None
    }

    /// One value for each column that the aggregate makes.
    fn finish(&mut self) -> Vec<Value>;
}

#[derive(Default)]
pub struct Count(i64);

impl Accumulator for Count {
    fn add(&mut self, _: &[&Value]) {
        self.0 += 1;
    }

    fn finish(&mut self) -> Vec<Value> {
        vec![Value::Long(self.0)]
    }
}

#[derive(Default)]
pub struct Distinct(IndexSet<Key>);

impl Accumulator for Distinct {
    fn keeps_rows(&self) -> bool {
        true
    }

    fn add(&mut self, values: &[&Value]) {
        if !values[0].is_null() {
            self.0.insert(Key(vec![values[0].clone()]));
        }
    }

    fn finish(&mut self) -> Vec<Value> {
        vec![Value::Long(self.0.len() as i64)]
    }
}

pub struct Sum {
    context: Context,
    sum: Value,
}

impl Sum {
    /// Zero where there are no values.
    pub fn new(kind: Type) -> Self {
        Self {
            context: Context::new(DateTime::MIN),
            sum: match kind {
                Type::Real => Value::Real(0.0),
                Type::Decimal => Value::Decimal(0.into()),
                Type::TimeSpan => Value::TimeSpan(TimeSpan(0)),
                _ => Value::Long(0),
            },
        }
    }
}

impl Accumulator for Sum {
    fn add(&mut self, values: &[&Value]) {
        if !values[0].is_null() {
            self.sum = operators::add(&self.context, &[&self.sum, values[0]]);
        }
    }

    fn finish(&mut self) -> Vec<Value> {
        vec![self.sum.clone()]
    }
}

pub struct Average {
    kind: Type,
    sum: f64,
    /// Exact, for moments and lengths of time.
    ticks: i128,
    decimal: rust_decimal::Decimal,
    count: i64,
}

impl Average {
    pub fn new(kind: Type) -> Self {
        Self {
            kind,
            sum: 0.0,
            ticks: 0,
            decimal: 0.into(),
            count: 0,
        }
    }
}

impl Accumulator for Average {
    fn add(&mut self, values: &[&Value]) {
        match values[0] {
            Value::Null => return,
            Value::DateTime(moment) => self.ticks += i128::from(moment.0),
            Value::TimeSpan(span) => self.ticks += i128::from(span.0),
            Value::Decimal(number) => {
                self.decimal = self.decimal.checked_add(*number).unwrap_or(self.decimal);
            }
            value => match as_real(value) {
                Some(number) => self.sum += number,
                None => return,
            },
        }
        self.count += 1;
    }

    fn finish(&mut self) -> Vec<Value> {
        if self.count == 0 {
            return vec![Value::Null];
        }
        let ticks = i64::try_from(self.ticks / i128::from(self.count)).unwrap_or(0);
        vec![match self.kind {
            Type::DateTime => Value::DateTime(DateTime(ticks)),
            Type::TimeSpan => Value::TimeSpan(TimeSpan(ticks)),
            Type::Decimal => self
                .decimal
                .checked_div(self.count.into())
                .map_or(Value::Null, Value::Decimal),
            _ => Value::Real(self.sum / self.count as f64),
        }]
    }
}

/// Whether `value` is greater (less) than `best`: any value is better than NaN, and NaN than null.
pub fn is_better(wanted: Ordering, value: &Value, best: &Value) -> bool {
    let is_nan = |value: &Value| matches!(value, Value::Real(number) if number.is_nan());
    best.is_null() && !value.is_null()
        || order::compare(value, best) == Some(wanted)
        || is_nan(best) && !value.is_null() && !is_nan(value)
}

/// The arguments of the row whose first argument is the greatest or least.
pub struct Extreme {
    wanted: Ordering,
    best: Vec<Value>,
    width: usize,
}

impl Extreme {
    pub fn new(wanted: Ordering) -> Self {
        Self {
            wanted,
            best: Vec::new(),
            width: 1,
        }
    }
}

impl Accumulator for Extreme {
    fn add(&mut self, values: &[&Value]) {
        self.width = values.len();
        let best = self.best.first();
        if best.is_none_or(|best| is_better(self.wanted, values[0], best)) {
            self.best = values.iter().map(|value| (*value).clone()).collect();
        }
    }

    fn wants_only(&self) -> Option<Ordering> {
        Some(self.wanted)
    }

    fn finish(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.best)
    }
}

#[derive(Default)]
pub struct AnyRow(Option<Vec<Value>>);

impl Accumulator for AnyRow {
    fn add(&mut self, values: &[&Value]) {
        // A later row that has a value is as good as the first, and better than nothing.
        if self
            .0
            .as_ref()
            .is_none_or(|kept| kept.iter().all(Value::is_null))
        {
            self.0 = Some(values.iter().map(|value| (*value).clone()).collect());
        }
    }

    fn finish(&mut self) -> Vec<Value> {
        self.0.take().unwrap_or_default()
    }
}

/// The most elements of an array that no size is given for.
const MAX_ELEMENTS: usize = 1_048_576;

/// The size that is given at position `at`.
fn capacity(values: &[&Value], at: usize) -> usize {
    values
        .get(at)
        .and_then(|size| usize::try_from(as_long(size)?).ok())
        .map_or(MAX_ELEMENTS, |size| size.min(MAX_ELEMENTS))
}

pub struct List {
    size_at: usize,
    with_nulls: bool,
    elements: Vec<serde_json::Value>,
}

impl List {
    pub fn new(size_at: usize) -> Self {
        Self {
            size_at,
            with_nulls: false,
            elements: Vec::new(),
        }
    }

    pub fn with_nulls() -> Self {
        Self {
            with_nulls: true,
            ..Self::new(1)
        }
    }
}

impl Accumulator for List {
    fn keeps_rows(&self) -> bool {
        true
    }

    fn add(&mut self, values: &[&Value]) {
        let wanted = self.with_nulls || !values[0].is_null();
        if wanted && self.elements.len() < capacity(values, self.size_at) {
            self.elements.push(json::from_value(values[0]));
        }
    }

    fn finish(&mut self) -> Vec<Value> {
        vec![Value::Dynamic(Arc::new(
            std::mem::take(&mut self.elements).into(),
        ))]
    }
}

pub struct Set {
    size_at: usize,
    elements: IndexSet<Key>,
}

impl Set {
    pub fn new(size_at: usize) -> Self {
        Self {
            size_at,
            elements: IndexSet::new(),
        }
    }
}

impl Accumulator for Set {
    fn keeps_rows(&self) -> bool {
        true
    }

    fn add(&mut self, values: &[&Value]) {
        if !values[0].is_null() && self.elements.len() < capacity(values, self.size_at) {
            self.elements.insert(Key(vec![values[0].clone()]));
        }
    }

    fn finish(&mut self) -> Vec<Value> {
        let elements: Vec<_> = self
            .elements
            .iter()
            .flat_map(|key| &key.0)
            .map(json::from_value)
            .collect();
        vec![Value::Dynamic(Arc::new(elements.into()))]
    }
}

#[derive(Default)]
pub struct Bag(serde_json::Map<String, serde_json::Value>);

impl Accumulator for Bag {
    fn keeps_rows(&self) -> bool {
        true
    }

    fn add(&mut self, values: &[&Value]) {
        if let Value::Dynamic(json) = values[0]
            && let Some(bag) = json.as_object()
        {
            self.0
                .extend(bag.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
    }

    fn finish(&mut self) -> Vec<Value> {
        vec![Value::Dynamic(Arc::new(std::mem::take(&mut self.0).into()))]
    }
}

/// Nearest rank: exact, where the service estimates.
pub struct Percentiles {
    /// The second argument says how often a value counts.
    weighted: bool,
    /// All in one array.
    array: bool,
    values: Vec<(Value, f64)>,
    ranks: Vec<f64>,
}

impl Percentiles {
    pub fn new(weighted: bool, array: bool) -> Self {
        Self {
            weighted,
            array,
            values: Vec::new(),
            ranks: Vec::new(),
        }
    }

    fn at(&self, rank: f64, total: f64) -> Value {
        let wanted = rank / 100.0 * total;
        let mut sum = 0.0;
        for (value, weight) in &self.values {
            sum += weight;
            if sum >= wanted && sum > 0.0 {
                return value.clone();
            }
        }
        self.values
            .last()
            .map_or(Value::Null, |(value, _)| value.clone())
    }
}

impl Accumulator for Percentiles {
    fn keeps_rows(&self) -> bool {
        true
    }

    fn add(&mut self, values: &[&Value]) {
        let first_rank = 1 + usize::from(self.weighted);
        if self.ranks.is_empty() {
            for rank in &values[first_rank..] {
                match json::array(rank) {
                    Some(ranks) => self
                        .ranks
                        .extend(ranks.iter().filter_map(|rank| rank.as_f64())),
                    None => self.ranks.extend(as_real(rank)),
                }
            }
        }
        let weight = if self.weighted {
            as_real(values[1]).unwrap_or(0.0)
        } else {
            1.0
        };
        if !values[0].is_null() && weight > 0.0 {
            self.values.push((values[0].clone(), weight));
        }
    }

    fn finish(&mut self) -> Vec<Value> {
        self.values
            .sort_by(|(left, _), (right, _)| order::sort_order(left, right));
        let total = self.values.iter().map(|(_, weight)| weight).sum();
        let found: Vec<Value> = self
            .ranks
            .iter()
            .map(|rank| self.at(*rank, total))
            .collect();
        if self.array {
            let elements: Vec<_> = found.iter().map(json::from_value).collect();
            return vec![Value::Dynamic(Arc::new(elements.into()))];
        }
        found
    }
}

/// All the values' bits by one operation.
pub struct Bits {
    apply: fn(i64, i64) -> i64,
    bits: Option<i64>,
}

impl Bits {
    pub fn new(apply: fn(i64, i64) -> i64) -> Self {
        Self { apply, bits: None }
    }
}

impl Accumulator for Bits {
    fn add(&mut self, values: &[&Value]) {
        if let Some(bits) = as_long(values[0]) {
            self.bits = Some(self.bits.map_or(bits, |all| (self.apply)(all, bits)));
        }
    }

    fn finish(&mut self) -> Vec<Value> {
        vec![self.bits.map_or(Value::Null, Value::Long)]
    }
}

/// How two values vary together.
pub struct Covariance {
    sample: bool,
    count: f64,
    means: (f64, f64),
    products: f64,
}

impl Covariance {
    pub fn new(sample: bool) -> Self {
        Self {
            sample,
            count: 0.0,
            means: (0.0, 0.0),
            products: 0.0,
        }
    }
}

impl Accumulator for Covariance {
    fn add(&mut self, values: &[&Value]) {
        let (Some(left), Some(right)) = (as_real(values[0]), as_real(values[1])) else {
            return;
        };
        self.count += 1.0;
        let from_mean = left - self.means.0;
        self.means.0 += from_mean / self.count;
        self.means.1 += (right - self.means.1) / self.count;
        self.products += from_mean * (right - self.means.1);
    }

    fn finish(&mut self) -> Vec<Value> {
        let degrees = if self.sample {
            self.count - 1.0
        } else {
            self.count
        };
        vec![match degrees {
            degrees if degrees > 0.0 => Value::Real(self.products / degrees),
            _ if self.count > 0.0 => Value::Real(0.0),
            _ => Value::Null,
        }]
    }
}

/// Welford's running mean and sum of squares.
pub struct Spread {
    sample: bool,
    root: bool,
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    pub fn new(sample: bool, root: bool) -> Self {
        Self {
            sample,
            root,
            count: 0.0,
            mean: 0.0,
            squares: 0.0,
        }
    }
}

impl Accumulator for Spread {
    fn add(&mut self, values: &[&Value]) {
        let Some(number) = as_real(values[0]) else {
            return;
        };
        self.count += 1.0;
        let delta = number - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (number - self.mean);
    }

    fn finish(&mut self) -> Vec<Value> {
        if self.count == 0.0 {
            return vec![Value::Null];
        }
        let degrees = if self.sample {
            self.count - 1.0
        } else {
            self.count
        };
        let variance = if degrees > 0.0 {
            self.squares / degrees
        } else {
            0.0
        };
        vec![Value::Real(if self.root {
            variance.sqrt()
        } else {
            variance
        })]
    }
}
