use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::kql::text::format_value;
use crate::kql::{
    Batch, BatchBuilder, Budget, Database, DateTime, QueryError, QueryOptions, QueryResult, Schema,
    TimeSpan, Value, parse_datetime, run,
};

/// Tables of which each row names the columns it fills.
struct Tables {
    schema: Schema,
    batches: HashMap<String, Vec<Arc<Batch>>>,
}

impl Database for Tables {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, table: &str) -> Vec<Arc<Batch>> {
        self.batches.get(table).cloned().unwrap_or_default()
    }
}

fn now() -> DateTime {
    parse_datetime("2026-11-24T10:00:00Z").unwrap()
}

fn minutes_ago(minutes: i64) -> DateTime {
    DateTime(now().0 - TimeSpan::from_seconds(60 * minutes).0)
}

impl Tables {
    fn new() -> Self {
        Self {
            schema: Schema::vm_insights(),
            batches: HashMap::new(),
        }
    }

    /// A batch of one row, made and arrived so many minutes before now.
    fn row(
        &mut self,
        table: &str,
        (made, arrived): (i64, i64),
        cells: &[(&str, Value)],
    ) -> &mut Self {
        let columns = self.schema.table(table).unwrap().clone();
        let row = columns
            .columns
            .iter()
            .map(|column| {
                let given = cells.iter().find(|(name, _)| *name == &*column.name);
                match given {
                    Some((_, value)) => value.clone(),
                    None if &*column.name == "TimeGenerated" => Value::DateTime(minutes_ago(made)),
                    None => Value::Null,
                }
            })
            .collect();
        let mut builder = BatchBuilder::new(columns);
        builder.push(minutes_ago(arrived), row).unwrap();
        self.batches
            .entry(table.to_string())
            .or_default()
            .push(Arc::new(builder.finish()));
        self
    }
}

fn options<'a>() -> QueryOptions<'a> {
    QueryOptions {
        now: now(),
        timespan: None,
        max_rows: 1000,
        budget: Budget::default(),
        elapsed: &|| Duration::ZERO,
        cancelled: &|| false,
    }
}

fn answer(tables: &Tables, text: &str) -> QueryResult {
    run(tables, text, &options()).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// The rows, cells parted by `|`, null as `null`.
fn rows(result: &QueryResult) -> Vec<String> {
    (0..result.row_count)
        .map(|row| {
            result
                .data
                .iter()
                .map(|column| match column.value(row) {
                    Value::Null => "null".to_string(),
                    Value::Bool(truth) => truth.to_string(),
                    value => format_value(value).to_string(),
                })
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}

/// Queries that need no table, each with its rows.
fn check(cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        assert_eq!(&rows(&answer(&Tables::new(), text)), expected, "{text}");
    }
}

fn names(result: &QueryResult) -> Vec<&str> {
    result.columns.iter().map(|column| &*column.name).collect()
}

#[path = "tests/functions.rs"]
mod functions;
#[path = "tests/limits.rs"]
mod limits;
#[path = "tests/operators.rs"]
mod operators;
#[path = "tests/packs.rs"]
mod packs;
#[path = "tests/semantics.rs"]
mod semantics;
