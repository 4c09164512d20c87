//! `join` and `lookup`, by hash of the right side.

use std::collections::{HashMap, HashSet};

use super::chunk::{Chunk, gather};
use super::{CHUNK_ROWS, Done, Evaluator, Flow, Sink};
use crate::kql::order::Key;
use crate::kql::plan::{JoinNode, Relation};
use crate::kql::syntax::JoinKind;

/// A row of the result: of the left side, of the right side.
type Pair = (Option<u32>, Option<u32>);

impl Evaluator<'_> {
    pub(super) fn join(&self, join: &JoinNode, relation: &Relation, sink: Sink<'_>) -> Done<Flow> {
        let left = self.collect(&join.left)?;
        let right = self.collect(&join.right)?;
        // Each side's keys stand beside its rows.
        self.keep(left.rows, join.left_keys.len() + 1)?;
        self.keep(right.rows, join.right_keys.len() + 2)?;
        let left_keys = keys(&left, &join.left_keys);
        let right_keys = keys(&right, &join.right_keys);
        let mut out = Output {
            evaluator: self,
            join,
            relation,
            left: &left,
            right: &right,
            pairs: Vec::new(),
            sink,
            flow: Flow::More,
        };
        match join.kind {
            JoinKind::LeftAnti | JoinKind::LeftSemi => {
                let wanted = join.kind == JoinKind::LeftSemi;
                let others: HashSet<&Key> = right_keys.iter().flatten().collect();
                for (row, key) in (0..).zip(&left_keys) {
                    if key.as_ref().is_some_and(|key| others.contains(key)) == wanted {
                        out.push((Some(row), None))?;
                    }
                }
            }
            JoinKind::RightAnti | JoinKind::RightSemi => {
                let wanted = join.kind == JoinKind::RightSemi;
                let others: HashSet<&Key> = left_keys.iter().flatten().collect();
                for (row, key) in (0..).zip(&right_keys) {
                    if key.as_ref().is_some_and(|key| others.contains(key)) == wanted {
                        out.push((None, Some(row)))?;
                    }
                }
            }
            kind => matched(kind, &left_keys, &right_keys, &mut out)?,
        }
        out.flush()?;
        Ok(out.flow)
    }
}

fn matched(
    kind: JoinKind,
    left_keys: &[Option<Key>],
    right_keys: &[Option<Key>],
    out: &mut Output<'_, '_>,
) -> Done<()> {
    let mut places: HashMap<&Key, Vec<u32>> = HashMap::new();
    for (row, key) in (0..).zip(right_keys) {
        if let Some(key) = key {
            places.entry(key).or_default().push(row);
        }
    }
    let keep_left = matches!(kind, JoinKind::LeftOuter | JoinKind::FullOuter);
    let keep_right = matches!(kind, JoinKind::RightOuter | JoinKind::FullOuter);
    let mut seen: HashSet<&Key> = HashSet::new();
    let mut met = vec![false; right_keys.len()];
    for (row, key) in (0..).zip(left_keys) {
        if out.flow == Flow::Enough {
            return Ok(());
        }
        if kind == JoinKind::InnerUnique
            && let Some(key) = key
            && !seen.insert(key)
        {
            continue;
        }
        match key.as_ref().and_then(|key| places.get(key)) {
            Some(rows) => {
                for &other in rows {
                    met[other as usize] = true;
                    out.push((Some(row), Some(other)))?;
                }
            }
            None if keep_left => out.push((Some(row), None))?,
            None => {}
        }
    }
    if keep_right {
        for (row, met) in (0..).zip(met) {
            if !met {
                out.push((None, Some(row)))?;
            }
        }
    }
    Ok(())
}

/// Each row's key; none where a part of it is null, which matches nothing.
fn keys(chunk: &Chunk, at: &[usize]) -> Vec<Option<Key>> {
    (0..chunk.rows)
        .map(|row| {
            let values: Vec<_> = at
                .iter()
                .map(|&index| chunk.columns[index].value(row).clone())
                .collect();
            (!values.iter().any(crate::kql::Value::is_null)).then_some(Key(values))
        })
        .collect()
}

/// Hands the pairs on in chunks.
struct Output<'o, 's> {
    evaluator: &'o Evaluator<'o>,
    join: &'o JoinNode,
    relation: &'o Relation,
    left: &'o Chunk,
    right: &'o Chunk,
    pairs: Vec<Pair>,
    sink: Sink<'s>,
    flow: Flow,
}

impl Output<'_, '_> {
    fn push(&mut self, pair: Pair) -> Done<()> {
        if self.flow == Flow::Enough {
            return Ok(());
        }
        self.pairs.push(pair);
        if self.pairs.len() == CHUNK_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Done<()> {
        self.evaluator.check()?;
        if self.pairs.is_empty() || self.flow == Flow::Enough {
            return Ok(());
        }
        let (left_rows, right_rows): (Vec<_>, Vec<_>) = self.pairs.drain(..).unzip();
        let kinds = &self.relation.columns;
        let from_left = kinds.len() - self.join.right_columns.len();
        let mut columns = Vec::with_capacity(kinds.len());
        for (at, column) in self.left.columns.iter().take(from_left).enumerate() {
            columns.push(gather(column, &left_rows, kinds[at].kind));
        }
        for (at, &index) in (from_left..).zip(&self.join.right_columns) {
            columns.push(gather(
                &self.right.columns[index],
                &right_rows,
                kinds[at].kind,
            ));
        }
        self.flow = (self.sink)(Chunk {
            columns,
            rows: left_rows.len(),
        })?;
        Ok(())
    }
}
