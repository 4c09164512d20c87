//! Writes rows of the columns that the generator knows into batches of whatever columns the table
//! has.

use crate::kql::{Batch, BatchBuilder, DateTime, RowError, Schema, Value};

/// Collects rows of one table. `N` columns are given by name once, then by position in every row;
/// the table's other columns stay null, and a column that the table lacks is left out.
pub struct Writer<const N: usize> {
    table: &'static str,
    /// `None` if the schema has no such table: rows are then dropped.
    builder: Option<BatchBuilder>,
    positions: [Option<usize>; N],
    width: usize,
}

impl<const N: usize> Writer<N> {
    pub fn new(schema: &Schema, table: &'static str, columns: &[&str; N]) -> Self {
        let found = schema.table(table);
        Self {
            table,
            builder: found.map(|table| BatchBuilder::new(table.clone())),
            positions: columns.map(|name| found.and_then(|table| table.column_index(name))),
            width: found.map_or(0, |table| table.columns.len()),
        }
    }

    /// Adds a row that arrives at `arrival`, its values in the order of the columns given to `new`.
    ///
    /// # Errors
    /// If a value is not of its column's type, which only a schema other than the real one brings
    /// about.
    pub fn push(&mut self, arrival: DateTime, values: [Value; N]) -> Result<(), RowError> {
        let Some(builder) = &mut self.builder else {
            return Ok(());
        };
        let mut row = vec![Value::Null; self.width];
        for (position, value) in self.positions.iter().zip(values) {
            if let Some(position) = *position {
                row[position] = value;
            }
        }
        builder.push(arrival, row)
    }

    /// The table's name and its rows, if there are any.
    pub fn finish(self) -> Option<(&'static str, Batch)> {
        let batch = self.builder?.finish();
        (batch.row_count() > 0).then_some((self.table, batch))
    }
}
