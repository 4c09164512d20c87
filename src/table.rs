//! The answer to one query: a table of typed cells, as the Logs Query API sent it.
//!
//! [`ResultTable`] is what `azure` makes of JSON and what `series` reads. It knows Kusto's types and
//! nothing of HTTP or metrics.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

/// A column's type, by the name the Logs Query API gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    Bool,
    Int,
    Long,
    Real,
    Decimal,
    String,
    DateTime,
    TimeSpan,
    Guid,
    Dynamic,
}

impl ColumnType {
    /// The type with this wire name, if there is one.
    pub fn from_wire(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "int" => Self::Int,
            "long" => Self::Long,
            "real" => Self::Real,
            "decimal" => Self::Decimal,
            "string" => Self::String,
            "datetime" => Self::DateTime,
            "timespan" => Self::TimeSpan,
            "guid" => Self::Guid,
            "dynamic" => Self::Dynamic,
            _ => return None,
        })
    }

    /// The wire name, e.g. `datetime`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Long => "long",
            Self::Real => "real",
            Self::Decimal => "decimal",
            Self::String => "string",
            Self::DateTime => "datetime",
            Self::TimeSpan => "timespan",
            Self::Guid => "guid",
            Self::Dynamic => "dynamic",
        }
    }

    /// Whether a cell of this type can be a sample's value: a number, a truth value (1 or 0),
    /// a moment (seconds since the Unix epoch) or a length of time (seconds).
    pub fn is_measurable(self) -> bool {
        !matches!(self, Self::String | Self::Guid | Self::Dynamic)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A column: its name as the query made it (case matters) and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: ColumnType,
}

impl Column {
    pub fn new(name: impl Into<String>, kind: ColumnType) -> Self {
        Self {
            name: name.into(),
            kind,
        }
    }
}

/// One value of a row.
///
/// Kusto has no null string: a missing one is `""`. Every other type may be [`Cell::Null`].
/// `guid` and `dynamic` (JSON text) arrive as strings and stay so; `decimal` is read as a double,
/// which is all that a sample can hold. Equal texts of a column may share their memory.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    Long(i64),
    Real(f64),
    String(Arc<str>),
    DateTime(Timestamp),
    TimeSpan(SignedDuration),
}

/// A table whose rows all have one cell per column, stored row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultTable {
    columns: Vec<Column>,
    cells: Vec<Cell>,
}

/// A row with more or fewer cells than the table has columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row has {found} cells where the table has {expected} columns")]
pub struct RowWidth {
    pub expected: usize,
    pub found: usize,
}

impl ResultTable {
    /// A table with these columns and no rows.
    pub fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            cells: Vec::new(),
        }
    }

    /// Adds a row; it must be as wide as the table.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = Cell>) -> Result<(), RowWidth> {
        let start = self.cells.len();
        self.cells.extend(row);
        let found = self.cells.len() - start;
        if found == self.columns.len() {
            return Ok(());
        }
        self.cells.truncate(start);
        Err(RowWidth {
            expected: self.columns.len(),
            found,
        })
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Where the column of this exact name stands.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The rows, each a slice with one cell per column. A table without columns has none.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[Cell]> {
        self.cells.chunks_exact(self.columns.len().max(1))
    }

    pub fn row_count(&self) -> usize {
        self.rows().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_another_width_is_refused_and_leaves_nothing_behind() {
        let mut table = ResultTable::new(vec![
            Column::new("Computer", ColumnType::String),
            Column::new("Val", ColumnType::Real),
        ]);
        let narrow = table.push_row([Cell::Real(1.0)]);
        assert_eq!(
            narrow.map_err(|e| e.to_string()),
            Err("a row has 1 cells where the table has 2 columns".into())
        );
        assert_eq!(table.row_count(), 0);
        table
            .push_row([Cell::String("vm".into()), Cell::Null])
            .unwrap();
        assert_eq!(table.rows().next().unwrap()[1], Cell::Null);
    }

    #[test]
    fn every_wire_name_reads_back() {
        for name in [
            "bool", "int", "long", "real", "decimal", "string", "datetime", "timespan", "guid",
            "dynamic",
        ] {
            assert_eq!(
                ColumnType::from_wire(name).map(ColumnType::as_str),
                Some(name)
            );
        }
        assert_eq!(ColumnType::from_wire("DateTime"), None);
    }
}
