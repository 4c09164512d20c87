//! `sort` and `top`.

use std::cmp::Ordering;

use super::chunk::Chunk;
use super::{Done, Evaluator};
use crate::kql::order;
use crate::kql::plan::{OrderBy, Relation};

impl Evaluator<'_> {
    /// Rows that are equal keep their order.
    pub(super) fn sort(
        &self,
        input: &Relation,
        keys: &[OrderBy],
        limit: Option<usize>,
    ) -> Done<Chunk> {
        let all = self.collect(input)?;
        if all.rows == 0 {
            return Ok(all);
        }
        let columns: Vec<_> = keys
            .iter()
            .map(|key| self.evaluate(&key.value, &all))
            .collect();
        let compare = |left: &u32, right: &u32| {
            for (key, column) in keys.iter().zip(&columns) {
                let (left, right) = (column.value(*left as usize), column.value(*right as usize));
                let order = match (left.is_null(), right.is_null()) {
                    (true, true) => Ordering::Equal,
                    (true, false) if key.nulls_first => Ordering::Less,
                    (true, false) => Ordering::Greater,
                    (false, true) if key.nulls_first => Ordering::Greater,
                    (false, true) => Ordering::Less,
                    (false, false) if key.descending => order::sort_order(right, left),
                    (false, false) => order::sort_order(left, right),
                };
                if order != Ordering::Equal {
                    return order;
                }
            }
            Ordering::Equal
        };
        // A chunk is far from 2^32 rows.
        let mut rows: Vec<u32> = (0..all.rows as u32).collect();
        rows.sort_by(compare);
        rows.truncate(limit.unwrap_or(usize::MAX));
        Ok(all.take(rows))
    }
}
