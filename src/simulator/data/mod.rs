//! Tables from files: `<Table>.ndjson` or `<Table>.jsonl` (a JSON object a line) and `<Table>.csv`
//! (with a header row).
//!
//! The tables are those that VM insights writes and those of the folder's `schema.json`
//! (`{"Table": {"Column": "type"}}`); files of other names are ignored. `_IngestionTime` on a row is
//! when it arrived; absent, that is its TimeGenerated; with neither, the moment of loading.
//! TimeGenerated, where absent, is the moment of arrival, as in Azure; TenantId is the workspace's id,
//! Type the table's name.
//!
//! Loading is strict: a column that the table lacks, a value of the wrong type or a broken line is an
//! error, and all errors come at once.

mod cell;
mod rows;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::rows::RowReader;
use crate::kql::{Batch, DateTime, Schema, SchemaError, TableSchema};

/// Problems that are reported; further ones are only counted.
const MAX_PROBLEMS: usize = 20;

/// What is wrong at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataProblem {
    pub file: PathBuf,
    /// From 1.
    pub line: u64,
    /// The column it is about, if it is about one.
    pub column: Option<String>,
    /// What is expected, and what was found.
    pub rule: String,
}

impl fmt::Display for DataProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file.display(), self.line)?;
        if let Some(column) = &self.column {
            write!(f, "column {column:?}: ")?;
        }
        f.write_str(&self.rule)
    }
}

/// Why a folder of data could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error("could not read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no schema", path.display())]
    Schema {
        path: PathBuf,
        #[source]
        source: SchemaError,
    },
    #[error("{}", lines(problems, *more))]
    Rows {
        problems: Vec<DataProblem>,
        /// Problems beyond those listed.
        more: usize,
    },
}

fn lines(problems: &[DataProblem], more: usize) -> String {
    let mut lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

/// What a folder holds.
pub struct Loaded {
    /// Of all tables, those without a file included.
    pub schema: Schema,
    /// Each with its table's name.
    pub batches: Vec<(Arc<str>, Batch)>,
}

/// Loads a folder.
///
/// # Errors
/// If a file cannot be read or anything in one is not right.
pub fn load(folder: &Path, workspace_id: &str, now: DateTime) -> Result<Loaded, DataError> {
    let schema = load_schema(folder)?;
    let mut problems = Problems::default();
    let mut batches = Vec::new();
    for (path, table, format) in table_files(folder, &schema)? {
        let text = read(&path)?;
        let mut rows = RowReader::new(&table, &path, workspace_id, now, &mut problems);
        match format {
            Format::Ndjson => rows.read_ndjson(&text),
            Format::Csv => rows.read_csv(&text),
        }
        for batch in rows.finish() {
            batches.push((table.name.clone(), batch));
        }
    }
    if problems.listed.is_empty() {
        Ok(Loaded { schema, batches })
    } else {
        Err(DataError::Rows {
            problems: problems.listed,
            more: problems.more,
        })
    }
}

#[derive(Clone, Copy)]
enum Format {
    Ndjson,
    Csv,
}

fn read(path: &Path) -> Result<String, DataError> {
    fs::read_to_string(path)
        .map(|text| match text.strip_prefix('\u{feff}') {
            // Spreadsheets begin their files with a byte order mark.
            Some(rest) => rest.to_owned(),
            None => text,
        })
        .map_err(|source| DataError::Read {
            path: path.to_owned(),
            source,
        })
}

fn load_schema(folder: &Path) -> Result<Schema, DataError> {
    let mut schema = Schema::vm_insights();
    let path = folder.join("schema.json");
    if path.exists() {
        let own = Schema::from_json(&read(&path)?)
            .map_err(|source| DataError::Schema { path, source })?;
        for table in own.tables() {
            schema.insert(TableSchema::clone(table));
        }
    }
    Ok(schema)
}

/// The folder's files that are tables, in the order of their names.
fn table_files(
    folder: &Path,
    schema: &Schema,
) -> Result<Vec<(PathBuf, Arc<TableSchema>, Format)>, DataError> {
    let unreadable = |source| DataError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut paths = fs::read_dir(folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let format = match extension {
            Some("ndjson" | "jsonl") => Format::Ndjson,
            Some("csv") => Format::Csv,
            _ => continue,
        };
        let table = path
            .file_stem()
            .and_then(|stem| schema.table(stem.to_str()?));
        match table {
            Some(table) => files.push((path.clone(), table.clone(), format)),
            None => tracing::warn!(file = %path.display(), "ignored: no table has this name"),
        }
    }
    Ok(files)
}

#[derive(Default)]
struct Problems {
    listed: Vec<DataProblem>,
    more: usize,
}

impl Problems {
    fn add(&mut self, file: &Path, line: u64, column: Option<&str>, rule: String) {
        if self.listed.len() < MAX_PROBLEMS {
            self.listed.push(DataProblem {
                file: file.to_owned(),
                line,
                column: column.map(str::to_owned),
                rule,
            });
        } else {
            self.more += 1;
        }
    }
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
