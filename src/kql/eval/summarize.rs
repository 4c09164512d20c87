//! `summarize`: groups by hash, in the order in which they first appear.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::chunk::Chunk;
use super::expressions::all_rows;
use super::{Done, Evaluator, Flow, column};
use crate::kql::batch::Column;
use crate::kql::functions::accumulators::{Accumulator, is_better};
use crate::kql::order::Key;
use crate::kql::plan::{AggregateCall, Expr, Relation};
use crate::kql::value::{Type, Value};

/// The groups so far: each one's key and a state for every aggregate.
#[derive(Default)]
struct Groups {
    numbers: HashMap<Key, usize>,
    states: Vec<Vec<Box<dyn Accumulator>>>,
}

impl Groups {
    fn number(&mut self, key: Key, aggregates: &[AggregateCall]) -> usize {
        let next = self.states.len();
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.states.push(start(aggregates));
        }
        number
    }
}

fn start(aggregates: &[AggregateCall]) -> Vec<Box<dyn Accumulator>> {
    aggregates
        .iter()
        .map(|call| {
            let kind = call
                .arguments
                .first()
                .map_or(Type::Long, |argument| argument.kind);
            (call.aggregate.start)(kind)
        })
        .collect()
}

impl Evaluator<'_> {
    pub(super) fn summarize(
        &self,
        input: &Relation,
        keys: &[Expr],
        aggregates: &[AggregateCall],
        relation: &Relation,
    ) -> Done<Chunk> {
        let mut groups = Groups::default();
        if keys.is_empty() {
            // No rows are a group too.
            groups.number(Key(Vec::new()), aggregates);
        }
        // Any text may be a group's key, or its greatest.
        let keeps_values = keys
            .iter()
            .chain(aggregates.iter().flat_map(|call| &call.arguments))
            .any(|expr| matches!(expr.kind, Type::String | Type::Dynamic));
        let mut seen = self.meter().made_so_far();
        self.run(input, &mut |chunk| {
            self.add_chunk(&mut groups, keys, aggregates, &chunk)?;
            if keeps_values {
                self.keep_rows(0, 0, &mut seen)?;
            }
            Ok(Flow::More)
        })?;
        let mut columns: Vec<Vec<Value>> = vec![Vec::new(); relation.columns.len()];
        let mut ordered: Vec<(Key, usize)> = groups.numbers.into_iter().collect();
        ordered.sort_by_key(|(_, number)| *number);
        let rows = ordered.len();
        for ((key, _), states) in ordered.into_iter().zip(&mut groups.states) {
            let mut values = key.0;
            for (state, call) in states.iter_mut().zip(aggregates) {
                let mut made = state.finish();
                // Of no rows there is no greatest.
                made.resize(call.width, Value::Null);
                values.extend(made);
            }
            for (column, value) in columns.iter_mut().zip(values) {
                column.push(value);
            }
        }
        Ok(Chunk {
            columns: columns
                .into_iter()
                .zip(&relation.columns)
                .map(|(values, planned)| column(values, planned.kind))
                .collect(),
            rows,
        })
    }

    fn add_chunk(
        &self,
        groups: &mut Groups,
        keys: &[Expr],
        aggregates: &[AggregateCall],
        chunk: &Chunk,
    ) -> Done<()> {
        self.check()?;
        let key_columns = self.columns(keys, chunk);
        let numbers = self.group_numbers(groups, &key_columns, aggregates, chunk.rows)?;
        for (at, call) in aggregates.iter().enumerate() {
            let keeps = groups
                .states
                .first()
                .is_some_and(|states| states[at].keeps_rows());
            let arguments = self.columns(&call.arguments, chunk);
            if keeps {
                for argument in &arguments {
                    self.meter().keep_copies(argument);
                }
                self.meter().check()?;
            }
            let selected = call
                .condition
                .as_ref()
                .map(|condition| self.select(condition, chunk));
            let only = groups
                .states
                .first()
                .and_then(|states| states[at].wants_only());
            let selected = match (only, arguments.first()) {
                (Some(wanted), Some(measure)) => {
                    let rows = selected.unwrap_or_else(|| all_rows(chunk));
                    Some(best_rows(wanted, measure, &numbers, rows))
                }
                _ => selected,
            };
            let mut values: Vec<&Value> = Vec::with_capacity(arguments.len());
            let mut add = |row: usize| {
                values.clear();
                values.extend(arguments.iter().map(|argument| argument.value(row)));
                groups.states[numbers[row]][at].add(&values);
            };
            match selected {
                Some(rows) => rows.into_iter().for_each(|row| add(row as usize)),
                None => (0..chunk.rows).for_each(add),
            }
        }
        Ok(())
    }

    /// The group of each row.
    fn group_numbers(
        &self,
        groups: &mut Groups,
        keys: &[Column],
        aggregates: &[AggregateCall],
        rows: usize,
    ) -> Done<Vec<usize>> {
        let before = groups.states.len();
        let mut numbers = Vec::with_capacity(rows);
        // What a row's codes have led to before, where all keys are dictionaries: its key need not
        // be put together again.
        let dictionaries: Option<Vec<&[u32]>> = keys
            .iter()
            .filter(|key| !matches!(key, Column::Constant(..)))
            .map(|key| match key {
                Column::Dictionary { codes, .. } => Some(&codes[..]),
                _ => None,
            })
            .collect();
        let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut codes: Vec<u32> = Vec::new();
        for row in 0..rows {
            self.check_at(row)?;
            let number = match &dictionaries {
                Some(dictionaries) => {
                    codes.clear();
                    codes.extend(dictionaries.iter().map(|codes| codes[row]));
                    match known.get(&codes) {
                        Some(number) => *number,
                        None => {
                            let number = groups.number(key(keys, row), aggregates);
                            known.insert(codes.clone(), number);
                            number
                        }
                    }
                }
                None => groups.number(key(keys, row), aggregates),
            };
            numbers.push(number);
        }
        let new = groups.states.len() - before;
        let widths: usize = aggregates.iter().map(|call| 4 + call.width).sum();
        self.keep(new, keys.len() + widths)?;
        Ok(numbers)
    }
}

/// Of each group's rows the one with the greatest (least) measure, so that a row of many columns is
/// looked at as a whole only once for each group.
fn best_rows(wanted: Ordering, measure: &Column, numbers: &[usize], rows: Vec<u32>) -> Vec<u32> {
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut best: Vec<u32> = Vec::new();
    for row in rows {
        match places.entry(numbers[row as usize]) {
            Entry::Vacant(place) => {
                place.insert(best.len());
                best.push(row);
            }
            Entry::Occupied(place) => {
                let kept = &mut best[*place.get()];
                let (value, before) = (measure.value(row as usize), measure.value(*kept as usize));
                if is_better(wanted, value, before) {
                    *kept = row;
                }
            }
        }
    }
    best
}

fn key(columns: &[Column], row: usize) -> Key {
    Key(columns
        .iter()
        .map(|column| column.value(row).clone())
        .collect())
}
