//! `top-nested`: the top groups, and within each the top groups of the next level.

use indexmap::IndexMap;

use super::chunk::Chunk;
use super::{Done, Evaluator, Flow, Sink, column};
use crate::kql::batch::Column;
use crate::kql::order::{self, Key};
use crate::kql::plan::{NestedLevel, Relation};
use crate::kql::value::{Type, Value};

/// A level with what it looks at in every row.
struct Level<'l> {
    level: &'l NestedLevel,
    keys: Column,
    /// For each aggregate, its arguments and the condition.
    arguments: Vec<(Vec<Column>, Option<Column>)>,
}

impl Evaluator<'_> {
    pub(super) fn top_nested(
        &self,
        input: &Relation,
        levels: &[NestedLevel],
        relation: &Relation,
        sink: Sink<'_>,
    ) -> Done<Flow> {
        let all = self.collect(input)?;
        let levels: Vec<Level<'_>> = levels
            .iter()
            .map(|level| Level {
                level,
                keys: self.evaluate(&level.key, &all),
                arguments: level
                    .calls
                    .iter()
                    .map(|call| {
                        let condition = call.condition.as_ref();
                        (
                            self.columns(&call.arguments, &all),
                            condition.map(|condition| self.evaluate(condition, &all)),
                        )
                    })
                    .collect(),
            })
            .collect();
        let mut columns: Vec<Vec<Value>> = vec![Vec::new(); relation.columns.len()];
        // A chunk is far from 2^32 rows.
        let rows: Vec<u32> = (0..all.rows as u32).collect();
        self.nest(&levels, &rows, &mut Vec::new(), &mut columns)?;
        let rows = columns[0].len();
        if rows == 0 {
            return Ok(Flow::More);
        }
        let columns = columns
            .into_iter()
            .zip(&relation.columns)
            .map(|(values, planned)| column(values, planned.kind))
            .collect();
        sink(Chunk { columns, rows })
    }

    /// Adds a row to `columns` for each group of the last level; `above` is what stands before.
    fn nest(
        &self,
        levels: &[Level<'_>],
        rows: &[u32],
        above: &mut Vec<Value>,
        columns: &mut [Vec<Value>],
    ) -> Done<()> {
        let Some((level, below)) = levels.split_first() else {
            self.keep(1, columns.len())?;
            for (column, value) in columns.iter_mut().zip(above.iter()) {
                column.push(value.clone());
            }
            return Ok(());
        };
        self.check()?;
        let mut groups: IndexMap<Key, Vec<u32>> = IndexMap::new();
        for &row in rows {
            let key = level.keys.value(row as usize).clone();
            groups.entry(Key(vec![key])).or_default().push(row);
        }
        let mut groups: Vec<(Value, Value, Vec<u32>)> = groups
            .into_iter()
            .map(|(key, rows)| {
                let key = key.0.into_iter().next().unwrap_or(Value::Null);
                (key, self.aggregated(level, &rows), rows)
            })
            .collect();
        groups.sort_by(|left, right| {
            let order = order::sort_order(&left.1, &right.1);
            if level.level.descending {
                order.reverse()
            } else {
                order
            }
        });
        let count = level.level.count.unwrap_or(usize::MAX).min(groups.len());
        let rest: Vec<u32> = groups
            .split_off(count)
            .into_iter()
            .flat_map(|(.., rows)| rows)
            .collect();
        let mut add = |key: Value, value: Value, rows: &[u32]| {
            above.extend([key, value]);
            let added = self.nest(below, rows, above, columns);
            above.truncate(above.len() - 2);
            added
        };
        for (key, value, rows) in groups {
            add(key, value, &rows)?;
        }
        if let Some(others) = &level.level.others
            && !rest.is_empty()
        {
            add(others.clone(), self.aggregated(level, &rest), &rest)?;
        }
        Ok(())
    }

    fn aggregated(&self, level: &Level<'_>, rows: &[u32]) -> Value {
        let mut made = Vec::new();
        for (call, (arguments, condition)) in level.level.calls.iter().zip(&level.arguments) {
            let kind = arguments_kind(call);
            let mut state = (call.aggregate.start)(kind);
            for &row in rows {
                let row = row as usize;
                let holds = condition
                    .as_ref()
                    .is_none_or(|condition| condition.value(row) == &Value::Bool(true));
                if holds {
                    let values: Vec<&Value> = arguments.iter().map(|one| one.value(row)).collect();
                    state.add(&values);
                }
            }
            let mut values = state.finish();
            values.resize(call.width, Value::Null);
            made.extend(values);
        }
        let columns = made
            .into_iter()
            .map(|value| Column::Constant(value, 1))
            .collect();
        let value = self.evaluate(&level.level.value, &Chunk { columns, rows: 1 });
        value.value(0).clone()
    }
}

fn arguments_kind(call: &crate::kql::plan::AggregateCall) -> Type {
    call.arguments
        .first()
        .map_or(Type::Long, |argument| argument.kind)
}
