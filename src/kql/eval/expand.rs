//! `mv-expand`: a row for each element of an array.

use serde_json::Value as Json;

use super::chunk::Chunk;
use super::{CHUNK_ROWS, Done, Evaluator, Flow, Sink, column};
use crate::kql::batch::Column;
use crate::kql::functions::{convert_to, json::wrap};
use crate::kql::plan::{Expansion, PlanColumn, Visibility};
use crate::kql::value::{Type, Value};

impl Evaluator<'_> {
    /// The chunk's rows, a row for each element, in columns `planned`.
    pub(super) fn expand_chunk(
        &self,
        chunk: &Chunk,
        expansion: &Expansion,
        planned: &[PlanColumn],
        sink: Sink<'_>,
    ) -> Done<Flow> {
        let (expanded, limit) = (&expansion.values, expansion.limit);
        let arrays: Vec<Vec<Vec<Value>>> = expanded
            .iter()
            .map(|(_, expr, _)| {
                let values = self.evaluate(expr, chunk);
                values
                    .iter()
                    .map(|value| elements(value, expansion.pairs))
                    .collect()
            })
            .collect();
        let mut rows: Vec<u32> = Vec::new();
        let mut offsets: Vec<usize> = Vec::new();
        for row in 0..chunk.rows {
            let count = arrays
                .iter()
                .map(|array| array[row].len())
                .max()
                .unwrap_or(0);
            for offset in 0..count.min(limit) {
                rows.push(row as u32);
                offsets.push(offset);
            }
            if rows.len() >= CHUNK_ROWS || row + 1 == chunk.rows {
                self.check()?;
                let made = self.expanded(chunk, expansion, &arrays, (&rows, &offsets), planned);
                rows.clear();
                offsets.clear();
                if made.rows > 0 && sink(made)? == Flow::Enough {
                    return Ok(Flow::Enough);
                }
            }
        }
        Ok(Flow::More)
    }

    /// The element as this type, if it is of the type already: texts are not read. Moments, lengths
    /// of time and guids stand as texts in dynamic values.
    fn cast(&self, element: &Value, kind: Type) -> Value {
        let text = matches!(element, Value::Dynamic(json) if json.is_string());
        if text && (kind.is_numeric() || kind == Type::Bool) {
            return Value::Null;
        }
        convert_to(kind)(&self.context, &[element])
    }

    /// The rows at these positions, each with the elements at its offset.
    fn expanded(
        &self,
        chunk: &Chunk,
        expansion: &Expansion,
        arrays: &[Vec<Vec<Value>>],
        (rows, offsets): (&[u32], &[usize]),
        planned: &[PlanColumn],
    ) -> Chunk {
        let taken = chunk.take(rows.to_vec());
        let mut columns = widened(&taken, planned);
        for ((target, _, kind), array) in expansion.values.iter().zip(arrays) {
            let values = rows
                .iter()
                .zip(offsets)
                .map(|(row, offset)| {
                    let element = array[*row as usize].get(*offset).unwrap_or(&Value::Null);
                    self.cast(element, *kind)
                })
                .collect();
            columns[*target] = column(values, *kind);
        }
        if expansion.index {
            let arrives = planned
                .last()
                .is_some_and(|last| last.visibility == Visibility::Ingestion);
            let at = columns.len() - 1 - usize::from(arrives);
            let numbers = offsets.iter().map(|offset| Value::Long(*offset as i64));
            columns[at] = Column::Plain(numbers.collect());
        }
        Chunk {
            columns,
            rows: rows.len(),
        }
    }
}

/// The chunk's columns in their places among `planned`, which has new ones before the arrival:
/// those are left for the caller to set.
pub(super) fn widened(chunk: &Chunk, planned: &[PlanColumn]) -> Vec<Column> {
    let is_arrival = |column: &PlanColumn| column.visibility == Visibility::Ingestion;
    let arrives = planned.last().is_some_and(is_arrival);
    let mut columns: Vec<Column> = chunk.columns.clone();
    let arrival = if arrives { columns.pop() } else { None };
    let body = planned.len() - usize::from(arrival.is_some());
    columns.resize(body, Column::Constant(Value::Null, chunk.rows));
    columns.extend(arrival);
    columns
}

/// What a value expands to: an array's elements; a bag's properties, each as a bag of one or (as
/// `pairs`) an array of key and value; itself otherwise.
fn elements(value: &Value, pairs: bool) -> Vec<Value> {
    let Value::Dynamic(json) = value else {
        return vec![value.clone()];
    };
    match &**json {
        Json::Array(elements) => elements.iter().cloned().map(wrap).collect(),
        Json::Object(bag) => bag
            .iter()
            .map(|(key, value)| {
                wrap(if pairs {
                    Json::Array(vec![key.as_str().into(), value.clone()])
                } else {
                    Json::Object([(key.clone(), value.clone())].into_iter().collect())
                })
            })
            .collect(),
        _ => vec![value.clone()],
    }
}
