//! `mv-apply` and `partition`: operators over parts of the rows, one part at a time.

use indexmap::IndexMap;

use super::chunk::{Chunk, concatenate};
use super::{Done, Evaluator, Flow, Sink};
use crate::kql::batch::Column;
use crate::kql::order::Key;
use crate::kql::plan::{ApplyNode, Expr, Relation};
use crate::kql::value::{Type, Value};

impl Evaluator<'_> {
    pub(super) fn apply(
        &self,
        apply: &ApplyNode,
        relation: &Relation,
        sink: Sink<'_>,
    ) -> Done<Flow> {
        let kinds: Vec<Type> = apply.expanded_columns.iter().map(|one| one.kind).collect();
        debug_assert_eq!(
            relation.columns.len(),
            apply.outer.len() + apply.inner.len()
        );
        self.run(&apply.input, &mut |chunk| {
            // A chunk is far from 2^32 rows.
            for row in 0..chunk.rows as u32 {
                self.check()?;
                let flow = self.meter().passing(|| {
                    let one = chunk.take(vec![row]);
                    let within = Chunk {
                        columns: one.columns[..apply.input.columns.len()].to_vec(),
                        rows: 1,
                    };
                    let mut expanded = Vec::new();
                    self.expand_chunk(
                        &within,
                        &apply.expansion,
                        &apply.expanded_columns,
                        &mut |chunk| {
                            // Gone with the row.
                            self.meter().make(chunk.rows * size_of::<Value>());
                            self.meter().check()?;
                            expanded.push(chunk);
                            Ok(Flow::More)
                        },
                    )?;
                    let rows = concatenate(expanded, &kinds);
                    self.with_applied(apply.slot, rows, |evaluator| {
                        evaluator.run(&apply.body, &mut |made| {
                            let outer = apply.outer.iter().map(|&index| {
                                Column::Constant(one.columns[index].value(0).clone(), made.rows)
                            });
                            let inner =
                                apply.inner.iter().map(|&index| made.columns[index].clone());
                            sink(Chunk {
                                columns: outer.chain(inner).collect(),
                                rows: made.rows,
                            })
                        })
                    })
                })?;
                if flow == Flow::Enough {
                    return Ok(flow);
                }
            }
            Ok(Flow::More)
        })
    }

    pub(super) fn partition(
        &self,
        input: &Relation,
        key: &Expr,
        slot: usize,
        body: &Relation,
        sink: Sink<'_>,
    ) -> Done<Flow> {
        let all = self.collect(input)?;
        let keys = self.evaluate(key, &all);
        let mut parts: IndexMap<Key, Vec<u32>> = IndexMap::new();
        for (row, value) in (0..).zip(keys.iter()) {
            parts.entry(Key(vec![value.clone()])).or_default().push(row);
        }
        for rows in parts.into_values() {
            self.check()?;
            let flow =
                self.with_applied(slot, all.take(rows), |evaluator| evaluator.run(body, sink))?;
            if flow == Flow::Enough {
                return Ok(flow);
            }
        }
        Ok(Flow::More)
    }

    /// Runs `work` with these rows in the slot.
    fn with_applied(
        &self,
        slot: usize,
        rows: Chunk,
        work: impl FnOnce(&Self) -> Done<Flow>,
    ) -> Done<Flow> {
        self.applied.borrow_mut().insert(slot, rows);
        let flow = work(self);
        self.applied.borrow_mut().remove(&slot);
        flow
    }
}
