//! `summarize`: groups by hash, in the order in which they first appear.

use std::cmp::Ordering;
use std::collections::HashMap;

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
    /// For each aggregate.
    waiting: Vec<Waiting>,
}

/// Chunks after which waiting rows are added.
const MAX_WAITING: usize = 8;

/// The best row of each group among the last chunks, for an aggregate that wants no other: a row of
/// many columns is then copied once in a while, and not for every chunk.
#[derive(Clone, Default)]
struct Waiting {
    /// The aggregate's arguments.
    chunks: Vec<Vec<Column>>,
    /// The chunk and the row, by group.
    best: Vec<Option<(usize, u32)>>,
    /// The groups that have one.
    touched: Vec<usize>,
}

impl Waiting {
    /// Of equal measures the first counts. `numbers` are the rows' groups, of which there are `groups`.
    fn push(
        &mut self,
        wanted: Ordering,
        arguments: Vec<Column>,
        rows: Vec<u32>,
        (numbers, groups): (&[usize], usize),
    ) {
        let chunk = self.chunks.len();
        self.chunks.push(arguments);
        self.best.resize(groups, None);
        let measure = |chunk: usize, row: u32| self.chunks[chunk][0].value(row as usize);
        for row in rows {
            let group = numbers[row as usize];
            let best = &mut self.best[group];
            let better = match *best {
                Some((before, at)) => is_better(wanted, measure(chunk, row), measure(before, at)),
                None => {
                    self.touched.push(group);
                    true
                }
            };
            if better {
                *best = Some((chunk, row));
            }
        }
    }

    /// Adds the rows to the groups' states of the aggregate at `at`.
    fn empty(&mut self, states: &mut [Vec<Box<dyn Accumulator>>], at: usize) {
        for group in self.touched.drain(..) {
            if let Some((chunk, row)) = self.best[group].take() {
                let arguments = self.chunks[chunk].iter();
                let values: Vec<&Value> = arguments.map(|one| one.value(row as usize)).collect();
                states[group][at].add(&values);
            }
        }
        self.chunks.clear();
    }
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
        let mut groups = Groups {
            waiting: vec![Waiting::default(); aggregates.len()],
            ..Groups::default()
        };
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
        for (at, waiting) in groups.waiting.iter_mut().enumerate() {
            waiting.empty(&mut groups.states, at);
        }
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
            if let Some(wanted) = only {
                let rows = selected.unwrap_or_else(|| all_rows(chunk));
                let waiting = &mut groups.waiting[at];
                waiting.push(wanted, arguments, rows, (&numbers, groups.states.len()));
                if waiting.chunks.len() == MAX_WAITING {
                    waiting.empty(&mut groups.states, at);
                }
                continue;
            }
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

fn key(columns: &[Column], row: usize) -> Key {
    Key(columns
        .iter()
        .map(|column| column.value(row).clone())
        .collect())
}
