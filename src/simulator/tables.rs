//! The rows that the workspace holds: per table a list of batches, appended as minutes pass.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use crate::kql::{Batch, Database, DateTime, Schema};

/// Beyond so many cells in one table its oldest generated batches go, however young: a fleet of
/// thousands must not eat the machine. Twelve VMs never come near it.
const MAX_CELLS: usize = 50_000_000;

/// The live tables. Readers take a snapshot of the batches' handles, so a query never sees a table
/// change under it and never holds up the writer.
pub struct Tables {
    schema: Schema,
    batches: RwLock<HashMap<Arc<str>, VecDeque<Stored>>>,
}

struct Stored {
    batch: Arc<Batch>,
    /// When the rows are old enough to go; `None` for loaded data, which stays.
    expires: Option<DateTime>,
    cells: usize,
}

impl Tables {
    pub fn new(schema: Schema) -> Self {
        Self {
            schema,
            batches: RwLock::default(),
        }
    }

    /// Adds rows; an empty batch is dropped.
    pub fn append(&self, table: &str, batch: Batch, expires: Option<DateTime>) {
        if batch.row_count() == 0 {
            return;
        }
        let stored = Stored {
            cells: batch.row_count() * batch.columns().len(),
            batch: Arc::new(batch),
            expires,
        };
        self.batches
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(table.into())
            .or_default()
            .push_back(stored);
    }

    /// Drops what has expired by `now`, and the oldest generated batches of an overfull table.
    pub fn prune(&self, now: DateTime) {
        self.prune_to(now, MAX_CELLS);
    }

    fn prune_to(&self, now: DateTime, max_cells: usize) {
        let mut batches = self.batches.write().unwrap_or_else(PoisonError::into_inner);
        for table in batches.values_mut() {
            let mut cells: usize = table.iter().map(|stored| stored.cells).sum();
            table.retain(|stored| {
                let Some(expires) = stored.expires else {
                    return true;
                };
                let keep = expires > now && cells <= max_cells;
                if !keep {
                    cells -= stored.cells;
                }
                keep
            });
        }
    }

    /// Whether no table has ever had a row.
    pub fn is_empty(&self) -> bool {
        self.batches
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Rows over all tables, those that have not arrived yet included.
    pub fn row_count(&self) -> usize {
        self.batches
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .flatten()
            .map(|stored| stored.batch.row_count())
            .sum()
    }
}

impl Database for Tables {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, table: &str) -> Vec<Arc<Batch>> {
        self.batches
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(table)
            .map(|batches| batches.iter().map(|stored| stored.batch.clone()).collect())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kql::{BatchBuilder, Value};

    fn batch(schema: &Schema, rows: i64) -> Batch {
        let mut builder = BatchBuilder::new(schema.table("T").unwrap().clone());
        for row in 0..rows {
            builder.push(DateTime(row), vec![Value::Long(row)]).unwrap();
        }
        builder.finish()
    }

    fn sizes(tables: &Tables) -> Vec<usize> {
        let batches = tables.scan("T");
        batches.iter().map(|batch| batch.row_count()).collect()
    }

    #[test]
    fn old_rows_go_and_loaded_ones_stay() {
        let schema = Schema::from_json(r#"{"T": {"A": "long"}}"#).unwrap();
        let tables = Tables::new(schema.clone());
        assert!(tables.is_empty());
        tables.append("T", batch(&schema, 0), None);
        assert!(tables.is_empty());
        tables.append("T", batch(&schema, 1), None);
        tables.append("T", batch(&schema, 2), Some(DateTime(100)));
        tables.append("T", batch(&schema, 3), Some(DateTime(101)));
        let before = tables.scan("T");
        tables.prune(DateTime(100));
        assert_eq!(sizes(&tables), [1, 3]);
        assert_eq!(before.len(), 3, "a snapshot keeps what it saw");
        assert_eq!(tables.row_count(), 4);
        assert!(tables.scan("U").is_empty());
    }

    #[test]
    fn an_overfull_table_loses_its_oldest_generated_rows() {
        let schema = Schema::from_json(r#"{"T": {"A": "long"}}"#).unwrap();
        let tables = Tables::new(schema.clone());
        tables.append("T", batch(&schema, 5), None);
        for rows in 1..=4 {
            tables.append("T", batch(&schema, rows), Some(DateTime::MAX));
        }
        tables.prune_to(DateTime(0), 12);
        assert_eq!(sizes(&tables), [5, 3, 4]);
    }
}
