//! `mv-expand` and `parse`: columns made of what stands within values.

use std::sync::Arc;

use serde_json::Value as Json;

use super::chunk::Chunk;
use super::{CHUNK_ROWS, Done, Evaluator, Flow, Sink, column};
use crate::kql::batch::Column;
use crate::kql::functions::convert_to;
use crate::kql::plan::{Expr, Relation};
use crate::kql::syntax::ParsePart;
use crate::kql::value::{Type, Value};

impl Evaluator<'_> {
    pub(super) fn mv_expand(
        &self,
        input: &Relation,
        expanded: &[(usize, Expr, Type)],
        index: bool,
        limit: usize,
        relation: &Relation,
        sink: Sink<'_>,
    ) -> Done<Flow> {
        self.run(input, &mut |chunk| {
            let arrays: Vec<Vec<Vec<Value>>> = expanded
                .iter()
                .map(|(_, expr, _)| self.evaluate(expr, &chunk).iter().map(elements).collect())
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
                    let made = expand(
                        &chunk, &arrays, expanded, &rows, &offsets, index, relation, self,
                    );
                    rows.clear();
                    offsets.clear();
                    if made.rows > 0 && sink(made)? == Flow::Enough {
                        return Ok(Flow::Enough);
                    }
                }
            }
            Ok(Flow::More)
        })
    }

    pub(super) fn parse(
        &self,
        input: &Relation,
        value: &Expr,
        (pattern, targets, relaxed): (&[ParsePart], &[usize], bool),
        relation: &Relation,
        sink: Sink<'_>,
    ) -> Done<Flow> {
        let kinds: Vec<Type> = pattern
            .iter()
            .filter_map(|part| match part {
                ParsePart::Column(_, kind) => Some(*kind),
                _ => None,
            })
            .collect();
        self.run(input, &mut |chunk| {
            self.check()?;
            let texts = self.evaluate(value, &chunk);
            let mut made: Vec<Vec<Value>> = vec![Vec::with_capacity(chunk.rows); kinds.len()];
            for text in texts.iter() {
                let found = match text {
                    Value::String(text) => captures(text, pattern),
                    _ => None,
                };
                let values = found.and_then(|found| self.typed(&found, &kinds, relaxed));
                for (at, column) in made.iter_mut().enumerate() {
                    column.push(
                        values
                            .as_ref()
                            .map_or(Value::Null, |values| values[at].clone()),
                    );
                }
            }
            let mut columns = widened(&chunk, relation, targets);
            for ((values, target), kind) in made.into_iter().zip(targets).zip(&kinds) {
                columns[*target] = column(values, *kind);
            }
            sink(Chunk {
                columns,
                rows: chunk.rows,
            })
        })
    }

    /// The captured texts as the types asked for; none if one of them is not of its type, unless
    /// `relaxed`.
    fn typed(&self, found: &[&str], kinds: &[Type], relaxed: bool) -> Option<Vec<Value>> {
        found
            .iter()
            .zip(kinds)
            .map(|(text, kind)| {
                let text = Value::string(*text);
                let value = convert_to(*kind)(&self.context, &[&text]);
                (relaxed || !value.is_null()).then_some(value)
            })
            .collect()
    }
}

/// The chunk's columns in their places in `relation`, which has new ones before the arrival; those
/// that `set` names are left for the caller to set.
fn widened(chunk: &Chunk, relation: &Relation, set: &[usize]) -> Vec<Column> {
    use crate::kql::plan::Visibility;
    let width = relation.columns.len();
    let arrives = relation
        .columns
        .last()
        .is_some_and(|column| column.visibility == Visibility::Ingestion);
    let mut columns: Vec<Column> = chunk.columns.clone();
    let arrival = if arrives { columns.pop() } else { None };
    let body = width - usize::from(arrival.is_some());
    columns.resize(body, Column::Constant(Value::Null, chunk.rows));
    debug_assert!(set.iter().all(|at| *at < body));
    columns.extend(arrival);
    columns
}

#[allow(clippy::too_many_arguments)] // The parts of one expansion; they go nowhere else.
fn expand(
    chunk: &Chunk,
    arrays: &[Vec<Vec<Value>>],
    expanded: &[(usize, Expr, Type)],
    rows: &[u32],
    offsets: &[usize],
    index: bool,
    relation: &Relation,
    evaluator: &Evaluator<'_>,
) -> Chunk {
    let taken = chunk.take(rows.to_vec());
    let targets: Vec<usize> = expanded.iter().map(|(target, ..)| *target).collect();
    let mut columns = widened(&taken, relation, &targets);
    for ((target, _, kind), array) in expanded.iter().zip(arrays) {
        let values = rows
            .iter()
            .zip(offsets)
            .map(|(row, offset)| {
                let element = array[*row as usize].get(*offset).unwrap_or(&Value::Null);
                convert_to(*kind)(&evaluator.context, &[element])
            })
            .collect();
        columns[*target] = column(values, *kind);
    }
    if index {
        let arrives = relation
            .columns
            .last()
            .is_some_and(|last| last.visibility == crate::kql::plan::Visibility::Ingestion);
        let at = columns.len() - 1 - usize::from(arrives);
        let numbers = offsets.iter().map(|offset| Value::Long(*offset as i64));
        columns[at] = Column::Plain(numbers.collect());
    }
    Chunk {
        columns,
        rows: rows.len(),
    }
}

/// What a value expands to: an array's elements, a bag's properties as bags of one, itself
/// otherwise. Nothing, expanded, is one null.
fn elements(value: &Value) -> Vec<Value> {
    let wrap = |json: Json| match json {
        Json::Null => Value::Null,
        json => Value::Dynamic(Arc::new(json)),
    };
    let Value::Dynamic(json) = value else {
        return vec![value.clone()];
    };
    let found: Vec<Value> = match &**json {
        Json::Array(elements) => elements.iter().cloned().map(wrap).collect(),
        Json::Object(bag) => bag
            .iter()
            .map(|(key, value)| {
                wrap(Json::Object(
                    [(key.clone(), value.clone())].into_iter().collect(),
                ))
            })
            .collect(),
        _ => return vec![value.clone()],
    };
    if found.is_empty() {
        vec![Value::Null]
    } else {
        found
    }
}

/// What stands in the place of each column of the pattern; none if the text does not fit it.
fn captures<'t>(text: &'t str, pattern: &[ParsePart]) -> Option<Vec<&'t str>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut capturing = false;
    let mut loose = false;
    for part in pattern {
        match part {
            ParsePart::Skip => loose = true,
            ParsePart::Column(..) => {
                if capturing {
                    // Two columns side by side: nothing tells where the first one ends.
                    found.push("");
                }
                capturing = true;
                loose = true;
            }
            ParsePart::Text(wanted) => {
                let at = if loose {
                    rest.find(&**wanted)?
                } else if rest.starts_with(&**wanted) {
                    0
                } else {
                    return None;
                };
                if std::mem::take(&mut capturing) {
                    found.push(&rest[..at]);
                }
                rest = &rest[at + wanted.len()..];
                loose = false;
            }
        }
    }
    if capturing {
        found.push(rest);
    } else if !loose && !rest.is_empty() {
        return None;
    }
    Some(found)
}
