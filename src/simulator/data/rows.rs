//! Reads the rows of one file, strictly.

use std::path::Path;
use std::sync::Arc;

use super::Problems;
use super::cell::{self, Rule};
use crate::kql::{Batch, BatchBuilder, DateTime, TableSchema, Type, Value};

/// The column that every row may have beside its table's.
const INGESTION_TIME: &str = "_IngestionTime";
/// Rows in a batch.
const BATCH: usize = 50_000;

/// Reads one file's rows into batches.
pub struct RowReader<'a> {
    table: &'a Arc<TableSchema>,
    path: &'a Path,
    workspace_id: Value,
    now: DateTime,
    problems: &'a mut Problems,
    builder: BatchBuilder,
    batches: Vec<Batch>,
}

/// Where a file's column goes.
enum Target {
    Column(usize, Type),
    Ingestion,
}

/// A row as far as it has been read.
struct Row {
    values: Vec<Value>,
    ingested: Option<DateTime>,
    /// Nothing of it is kept if something was wrong.
    is_right: bool,
}

impl<'a> RowReader<'a> {
    pub fn new(
        table: &'a Arc<TableSchema>,
        path: &'a Path,
        workspace_id: &str,
        now: DateTime,
        problems: &'a mut Problems,
    ) -> Self {
        Self {
            table,
            path,
            workspace_id: Value::string(workspace_id),
            now,
            problems,
            builder: BatchBuilder::new(table.clone()),
            batches: Vec::new(),
        }
    }

    /// A JSON object a line; blank lines are skipped.
    pub fn read_ndjson(&mut self, text: &str) {
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let object = match serde_json::from_str::<serde_json::Value>(line) {
                Ok(serde_json::Value::Object(object)) => object,
                Ok(_) => {
                    self.problem(number, None, "a line is one JSON object".into());
                    continue;
                }
                Err(error) => {
                    self.problem(number, None, format!("no JSON object: {error}"));
                    continue;
                }
            };
            let mut row = self.blank();
            for (name, value) in object {
                match self.target(&name) {
                    Some(target) => {
                        let kind = target.kind();
                        let value = cell::from_json(value, kind);
                        self.set(&mut row, number, &name, &target, value);
                    }
                    None => {
                        row.is_right = false;
                        self.problem(number, Some(&name), self.no_such_column());
                    }
                }
            }
            self.push(row, number);
        }
    }

    /// A header row, then a row of fields each.
    pub fn read_csv(&mut self, text: &str) {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut targets: Option<Vec<(String, Option<Target>)>> = None;
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(1, csv::Position::line);
                    self.problem(line, None, format!("no CSV: {error}"));
                    return;
                }
            };
            let line = record.position().map_or(1, csv::Position::line);
            let Some(targets) = &targets else {
                targets = Some(self.read_header(&record, line));
                continue;
            };
            if record.len() != targets.len() {
                let rule = format!(
                    "a row of {} fields under a header of {}",
                    record.len(),
                    targets.len()
                );
                self.problem(line, None, rule);
                continue;
            }
            let mut row = self.blank();
            for (field, (name, target)) in record.iter().zip(targets) {
                if let Some(target) = target {
                    let value = cell::from_text(field, target.kind());
                    self.set(&mut row, line, name, target, value);
                }
            }
            self.push(row, line);
        }
    }

    fn read_header(
        &mut self,
        header: &csv::StringRecord,
        line: u64,
    ) -> Vec<(String, Option<Target>)> {
        let mut targets: Vec<(String, Option<Target>)> = Vec::new();
        for name in header {
            let name = name.trim();
            let target = self.target(name);
            if target.is_none() {
                self.problem(line, Some(name), self.no_such_column());
            } else if targets.iter().any(|(other, _)| other == name) {
                self.problem(line, Some(name), "stands twice in the header".into());
            }
            targets.push((name.to_owned(), target));
        }
        targets
    }

    fn no_such_column(&self) -> String {
        format!("table {} has no such column", self.table.name)
    }

    fn target(&self, name: &str) -> Option<Target> {
        if name == INGESTION_TIME {
            return Some(Target::Ingestion);
        }
        let index = self.table.column_index(name)?;
        Some(Target::Column(index, self.table.columns[index].kind))
    }

    fn blank(&self) -> Row {
        Row {
            values: vec![Value::Null; self.table.columns.len()],
            ingested: None,
            is_right: true,
        }
    }

    fn set(
        &mut self,
        row: &mut Row,
        line: u64,
        name: &str,
        target: &Target,
        value: Result<Value, Rule>,
    ) {
        match (value, target) {
            (Ok(value), Target::Column(index, _)) => row.values[*index] = value,
            (Ok(Value::DateTime(moment)), Target::Ingestion) => row.ingested = Some(moment),
            (Ok(_), Target::Ingestion) => {}
            (Err(rule), _) => {
                row.is_right = false;
                self.problem(line, Some(name), rule);
            }
        }
    }

    fn push(&mut self, mut row: Row, line: u64) {
        if !row.is_right {
            return;
        }
        let generated = self.table.column_index("TimeGenerated");
        let generated_at = generated.and_then(|index| match row.values[index] {
            Value::DateTime(moment) => Some(moment),
            _ => None,
        });
        let ingested = row.ingested.or(generated_at).unwrap_or(self.now);
        self.fill_in(&mut row, "TimeGenerated", Value::DateTime(ingested));
        self.fill_in(&mut row, "TenantId", self.workspace_id.clone());
        self.fill_in(&mut row, "Type", Value::String(self.table.name.clone()));
        if let Err(error) = self.builder.push(ingested, row.values) {
            self.problem(line, None, error.to_string());
        }
        if self.builder.row_count() >= BATCH {
            let full = std::mem::replace(&mut self.builder, BatchBuilder::new(self.table.clone()));
            self.batches.push(full.finish());
        }
    }

    /// Sets a column that the row left out, if the table has it with this type.
    fn fill_in(&self, row: &mut Row, name: &str, value: Value) {
        if let Some(index) = self.table.column_index(name)
            && row.values[index].is_null()
            && value.kind() == Some(self.table.columns[index].kind)
        {
            row.values[index] = value;
        }
    }

    fn problem(&mut self, line: u64, column: Option<&str>, rule: String) {
        self.problems.add(self.path, line, column, rule);
    }

    /// The rows that were right.
    pub fn finish(mut self) -> Vec<Batch> {
        if self.builder.row_count() > 0 {
            self.batches.push(self.builder.finish());
        }
        self.batches
    }
}

impl Target {
    fn kind(&self) -> Type {
        match self {
            Self::Column(_, kind) => *kind,
            Self::Ingestion => Type::DateTime,
        }
    }
}
