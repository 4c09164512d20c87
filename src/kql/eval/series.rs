//! `make-series`: bins of an axis as arrays.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::chunk::Chunk;
use super::{Done, Evaluator, Flow, Sink};
use crate::kql::QueryError;
use crate::kql::batch::Column;
use crate::kql::functions::json;
use crate::kql::operators;
use crate::kql::order::{Key, compare};
use crate::kql::plan::{Expr, SeriesNode};
use crate::kql::value::Value;

/// The longest series.
const MAX_BINS: usize = 1_048_576;

impl Evaluator<'_> {
    pub(super) fn series(&self, series: &SeriesNode, sink: Sink<'_>) -> Done<Flow> {
        let binned = self.collect(&series.input)?;
        let axis = &binned.columns[series.keys];
        let bins = self.bins(series, axis)?;
        let places: HashMap<Key, usize> = bins
            .iter()
            .enumerate()
            .map(|(at, bin)| (Key(vec![bin.clone()]), at))
            .collect();
        let mut groups: IndexMap<Key, Vec<Vec<serde_json::Value>>> = IndexMap::new();
        let first = series.keys + 1;
        for row in 0..binned.rows {
            self.check_at(row)?;
            let Some(&place) = places.get(&Key(vec![axis.value(row).clone()])) else {
                continue;
            };
            let key: Vec<Value> = binned.columns[..series.keys]
                .iter()
                .map(|column| column.value(row).clone())
                .collect();
            let group = match groups.entry(Key(key)) {
                indexmap::map::Entry::Occupied(group) => group.into_mut(),
                indexmap::map::Entry::Vacant(group) => {
                    self.keep(bins.len(), series.defaults.len())?;
                    let defaults = series.defaults.iter();
                    group.insert(
                        defaults
                            .map(|value| vec![json::from_value(value); bins.len()])
                            .collect(),
                    )
                }
            };
            for (at, array) in group.iter_mut().enumerate() {
                array[place] = json::from_value(binned.columns[first + at].value(row));
            }
        }
        let rows = groups.len();
        if rows == 0 {
            return Ok(Flow::More);
        }
        let width = series.keys + series.defaults.len();
        let mut columns: Vec<Vec<Value>> = vec![Vec::with_capacity(rows); width];
        for (key, arrays) in groups {
            let arrays = arrays
                .into_iter()
                .map(|array| Value::Dynamic(Arc::new(array.into())));
            for (column, value) in columns.iter_mut().zip(key.0.into_iter().chain(arrays)) {
                column.push(value);
            }
        }
        let axis: Vec<serde_json::Value> = bins.iter().map(json::from_value).collect();
        let mut columns: Vec<Column> = columns
            .into_iter()
            .map(|values| Column::Plain(values.into()))
            .collect();
        columns.push(Column::Constant(
            Value::Dynamic(Arc::new(axis.into())),
            rows,
        ));
        sink(Chunk { columns, rows })
    }

    /// The bins in order: from where the query says, else from the first that has rows, to before
    /// where it says, else to the last that has rows.
    fn bins(&self, series: &SeriesNode, axis: &Column) -> Done<Vec<Value>> {
        let bound = |bound: &Option<Expr>| bound.as_ref().map(|bound| self.single(bound));
        let (from, to) = (bound(&series.from), bound(&series.to));
        let step = self.single(&series.step);
        let extreme = |wanted| {
            axis.iter().filter(|value| !value.is_null()).fold(
                None,
                |best: Option<&Value>, value| match best {
                    Some(best) if compare(value, best) != Some(wanted) => Some(best),
                    _ => Some(value),
                },
            )
        };
        let last = extreme(std::cmp::Ordering::Greater);
        let Some(mut at) = from.or_else(|| extreme(std::cmp::Ordering::Less).cloned()) else {
            return Ok(Vec::new());
        };
        let mut bins = Vec::new();
        loop {
            let within = match (&to, last) {
                (Some(to), _) => match compare(&at, to) {
                    Some(order) if series.inclusive => order.is_le(),
                    Some(order) => order.is_lt(),
                    None => false,
                },
                (None, Some(last)) => compare(&at, last).is_some_and(std::cmp::Ordering::is_le),
                (None, None) => false,
            };
            if !within {
                return Ok(bins);
            }
            if bins.len() >= MAX_BINS {
                return Err(QueryError::Limit(format!(
                    "a series may have {MAX_BINS} bins"
                )));
            }
            let next = operators::add(&self.context, &[&at, &step]);
            let moved = compare(&next, &at).is_some_and(std::cmp::Ordering::is_gt);
            bins.push(std::mem::replace(&mut at, next));
            if !moved {
                return Ok(bins);
            }
        }
    }

    /// The value of an expression without columns.
    fn single(&self, expr: &Expr) -> Value {
        let nothing = Chunk {
            columns: Vec::new(),
            rows: 1,
        };
        self.evaluate(expr, &nothing).value(0).clone()
    }
}
