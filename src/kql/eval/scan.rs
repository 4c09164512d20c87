//! Where rows begin: tables and ranges.

use super::chunk::Chunk;
use super::{CHUNK_ROWS, Done, Evaluator, Flow, Sink};
use crate::kql::batch::{Batch, Column};
use crate::kql::functions::Context;
use crate::kql::operators;
use crate::kql::order::{self, compare};
use crate::kql::plan::Relation;
use crate::kql::value::{DateTime, Value};

impl Evaluator<'_> {
    pub(super) fn scan(
        &self,
        (table, since): (&str, Option<DateTime>),
        needed: &[bool],
        relation: &Relation,
        sink: Sink<'_>,
    ) -> Done<Flow> {
        let time = relation.column("TimeGenerated");
        for batch in self.database.scan(table) {
            self.check()?;
            let stale = since.is_some_and(|since| batch.last_ingested() < since);
            if batch.row_count() == 0 || stale || batch.first_ingested() > self.options.now {
                continue;
            }
            let chunk = Chunk {
                columns: needed
                    .iter()
                    .enumerate()
                    .map(
                        |(index, needed)| match (needed, batch.columns().get(index)) {
                            (false, _) => Column::Constant(Value::Null, batch.row_count()),
                            (true, Some(column)) => column.clone(),
                            (true, None) => batch.ingested().clone(),
                        },
                    )
                    .collect(),
                rows: batch.row_count(),
            };
            let chunk = match self.arrived(&batch, time) {
                Some(rows) if rows.is_empty() => continue,
                Some(rows) => chunk.take(rows),
                None => chunk,
            };
            if sink(chunk)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        Ok(Flow::More)
    }

    /// The rows that are there at `now` and within the time span; `None` for all.
    fn arrived(&self, batch: &Batch, time: Option<usize>) -> Option<Vec<u32>> {
        let late = batch.last_ingested() > self.options.now;
        let bounds = self
            .options
            .timespan
            .zip(time.and_then(|index| batch.columns().get(index)));
        if !late && bounds.is_none() {
            return None;
        }
        let here = |row: usize| {
            let arrived = match batch.ingested().value(row) {
                Value::DateTime(at) => *at <= self.options.now,
                _ => true,
            };
            let within = match &bounds {
                Some(((from, to), column)) => match column.value(row) {
                    Value::DateTime(at) => from <= at && at <= to,
                    _ => false,
                },
                None => true,
            };
            arrived && within
        };
        // A batch is far from 2^32 rows.
        Some(
            (0..batch.row_count())
                .filter(|row| here(*row))
                .map(|row| row as u32)
                .collect(),
        )
    }

    /// Chunk by chunk, so that a range of any length begins at once.
    pub(super) fn range(
        &self,
        from: &Value,
        to: &Value,
        step: &Value,
        sink: Sink<'_>,
    ) -> Done<Flow> {
        let context = Context::new(DateTime::MIN);
        let direction = order::as_real(step).unwrap_or(0.0);
        if direction == 0.0 || direction.is_nan() {
            return Ok(Flow::More);
        }
        let mut at = from.clone();
        loop {
            self.check()?;
            let mut values = Vec::with_capacity(CHUNK_ROWS);
            let mut over = false;
            while values.len() < CHUNK_ROWS {
                let within = match compare(&at, to) {
                    None => false,
                    Some(order) if direction > 0.0 => order.is_le(),
                    Some(order) => order.is_ge(),
                };
                if !within {
                    over = true;
                    break;
                }
                let next = operators::add(&context, &[&at, step]);
                // Past the end of the type, or too small a step to move on.
                let moved = match compare(&next, &at) {
                    Some(order) if direction > 0.0 => order.is_gt(),
                    Some(order) => order.is_lt(),
                    None => false,
                };
                values.push(std::mem::replace(&mut at, next));
                if !moved {
                    over = true;
                    break;
                }
            }
            if !values.is_empty() {
                let chunk = Chunk {
                    rows: values.len(),
                    columns: vec![Column::Plain(values.into())],
                };
                if sink(chunk)? == Flow::Enough {
                    return Ok(Flow::Enough);
                }
            }
            if over {
                return Ok(Flow::More);
            }
        }
    }
}
