//! Rows on their way: columns of one length.

use crate::kql::batch::{Column, ColumnBuilder};
use crate::kql::value::{Type, Value};

#[derive(Clone)]
pub struct Chunk {
    pub columns: Vec<Column>,
    pub rows: usize,
}

impl Chunk {
    /// The rows at these positions, in this order.
    pub fn take(&self, rows: Vec<u32>) -> Self {
        let all =
            rows.len() == self.rows && rows.iter().enumerate().all(|(at, row)| at == *row as usize);
        if all {
            return self.clone();
        }
        Self {
            columns: self
                .columns
                .iter()
                .map(|column| column.take(&rows))
                .collect(),
            rows: rows.len(),
        }
    }

    /// The first `count` rows, or all.
    pub fn head(self, count: usize) -> Self {
        if count >= self.rows {
            return self;
        }
        // A chunk is far from 2^32 rows.
        self.take((0..count as u32).collect())
    }

    /// The rows at these positions, with only the columns that `wanted` marks; the others are null.
    pub fn take_columns(&self, rows: &[u32], wanted: &[bool]) -> Self {
        let columns = self
            .columns
            .iter()
            .zip(wanted)
            .map(|(column, wanted)| match wanted {
                true if rows.len() == self.rows => column.clone(),
                true => column.take(rows),
                false => Column::Constant(Value::Null, rows.len()),
            })
            .collect();
        Self {
            columns,
            rows: rows.len(),
        }
    }
}

/// The chunks' rows in one; `kinds` are the columns' types.
pub fn concatenate(mut chunks: Vec<Chunk>, kinds: &[Type]) -> Chunk {
    if chunks.len() == 1
        && let Some(chunk) = chunks.pop()
    {
        return chunk;
    }
    let rows = chunks.iter().map(|chunk| chunk.rows).sum();
    let columns = kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| {
            let mut builder = ColumnBuilder::new(*kind);
            for chunk in &chunks {
                for value in chunk.columns[index].iter() {
                    builder.push(value.clone());
                }
            }
            builder.finish()
        })
        .collect();
    Chunk { columns, rows }
}

/// The column's values at these positions; null where there is none.
pub fn gather(column: &Column, rows: &[Option<u32>], kind: Type) -> Column {
    if let Some(rows) = rows.iter().copied().collect::<Option<Vec<u32>>>() {
        return column.take(&rows);
    }
    let mut builder = ColumnBuilder::new(kind);
    for row in rows {
        builder.push(row.map_or(Value::Null, |row| column.value(row as usize).clone()));
    }
    builder.finish()
}
