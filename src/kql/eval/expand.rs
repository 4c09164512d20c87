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
        let sources: Vec<Column> = expansion
            .values
            .iter()
            .map(|(_, expr, _)| self.evaluate(expr, chunk))
            .collect();
        let mut made = Expanded::new(expansion);
        for row in 0..chunk.rows {
            // One row's arrays at a time: all rows may hold the same long one.
            let arrays: Vec<Vec<Value>> = sources
                .iter()
                .map(|source| elements(source.value(row), expansion.pairs))
                .collect();
            let count = arrays.iter().map(Vec::len).max().unwrap_or(0);
            for offset in 0..count.min(expansion.limit) {
                made.rows.push(row as u32);
                made.offsets.push(offset as i64);
                for ((array, values), (_, _, kind)) in
                    arrays.iter().zip(&mut made.values).zip(&expansion.values)
                {
                    let element = array.get(offset).unwrap_or(&Value::Null);
                    // A copy of what may be shared by all rows.
                    values.push(self.context.admit(self.cast(element, *kind)));
                }
                self.context.meter.check()?;
                if made.rows.len() == CHUNK_ROWS
                    && self.hand_on(&mut made, chunk, expansion, planned, sink)? == Flow::Enough
                {
                    return Ok(Flow::Enough);
                }
            }
        }
        self.hand_on(&mut made, chunk, expansion, planned, sink)
    }

    /// The rows made so far, whose columns are `planned`.
    fn hand_on(
        &self,
        made: &mut Expanded,
        chunk: &Chunk,
        expansion: &Expansion,
        planned: &[PlanColumn],
        sink: Sink<'_>,
    ) -> Done<Flow> {
        self.check()?;
        if made.rows.is_empty() {
            return Ok(Flow::More);
        }
        let Expanded {
            rows,
            offsets,
            values,
        } = std::mem::replace(made, Expanded::new(expansion));
        let count = rows.len();
        let mut columns = widened(&chunk.take(rows), planned);
        for ((target, _, kind), values) in expansion.values.iter().zip(values) {
            columns[*target] = column(values, *kind);
        }
        if expansion.index {
            let arrives = planned
                .last()
                .is_some_and(|last| last.visibility == Visibility::Ingestion);
            let at = columns.len() - 1 - usize::from(arrives);
            columns[at] = Column::Plain(offsets.into_iter().map(Value::Long).collect());
        }
        sink(Chunk {
            columns,
            rows: count,
        })
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
}

/// Rows on their way out.
struct Expanded {
    /// Where each row comes from, and its element's place in the array.
    rows: Vec<u32>,
    offsets: Vec<i64>,
    /// The elements, for each of the expansion's columns.
    values: Vec<Vec<Value>>,
}

impl Expanded {
    fn new(expansion: &Expansion) -> Self {
        Self {
            rows: Vec::new(),
            offsets: Vec::new(),
            values: vec![Vec::new(); expansion.values.len()],
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
