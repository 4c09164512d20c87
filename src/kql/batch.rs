//! Columns of values: what tables are stored in and what a query's operators hand on.

use std::collections::HashMap;
use std::sync::Arc;

use super::schema::TableSchema;
use super::value::{DateTime, Type, Value};

/// The values of one column, a row each.
///
/// A table of metrics repeats its strings and moments over and over; kept once each, they cost a
/// code a row, and a function of one column is worked out once per distinct value.
#[derive(Clone, Debug)]
pub enum Column {
    /// The same value in each of so many rows.
    Constant(Value, usize),
    /// Row *i* holds `values[codes[i]]`.
    Dictionary {
        values: Arc<[Value]>,
        codes: Arc<[u32]>,
    },
    /// A value per row.
    Plain(Arc<[Value]>),
}

impl Column {
    pub fn len(&self) -> usize {
        match self {
            Self::Constant(_, len) => *len,
            Self::Dictionary { codes, .. } => codes.len(),
            Self::Plain(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value in row `row`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn value(&self, row: usize) -> &Value {
        match self {
            Self::Constant(value, len) => {
                assert!(row < *len, "row {row} of {len}");
                value
            }
            Self::Dictionary { values, codes } => &values[codes[row] as usize],
            Self::Plain(values) => &values[row],
        }
    }

    /// The values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Value> {
        (0..self.len()).map(|row| self.value(row))
    }

    /// The rows at these positions, in this order.
    pub fn take(&self, rows: &[u32]) -> Self {
        match self {
            Self::Constant(value, _) => Self::Constant(value.clone(), rows.len()),
            Self::Dictionary { values, codes } => Self::Dictionary {
                values: values.clone(),
                codes: rows.iter().map(|&row| codes[row as usize]).collect(),
            },
            Self::Plain(values) => Self::Plain(
                rows.iter()
                    .map(|&row| values[row as usize].clone())
                    .collect(),
            ),
        }
    }
}

/// Rows of a table that arrived together, immutable. Column *i* is column *i* of the table.
#[derive(Clone, Debug)]
pub struct Batch {
    columns: Vec<Column>,
    ingested: Column,
    first_ingested: DateTime,
    last_ingested: DateTime,
}

impl Batch {
    pub fn row_count(&self) -> usize {
        self.ingested.len()
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The rows at these positions, in this order.
    pub fn take(&self, rows: &[u32]) -> Self {
        Self {
            columns: self
                .columns
                .iter()
                .map(|column| column.take(rows))
                .collect(),
            ingested: self.ingested.take(rows),
            // Bounds, still.
            first_ingested: self.first_ingested,
            last_ingested: self.last_ingested,
        }
    }

    /// When each row arrived: what `ingestion_time()` answers. All [`Value::DateTime`].
    pub fn ingested(&self) -> &Column {
        &self.ingested
    }

    /// The earliest arrival ([`DateTime::MAX`] without rows).
    pub fn first_ingested(&self) -> DateTime {
        self.first_ingested
    }

    /// The latest arrival ([`DateTime::MIN`] without rows).
    pub fn last_ingested(&self) -> DateTime {
        self.last_ingested
    }
}

/// A row that does not fit its table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("a row of {found} values where table {table} has {expected} columns")]
    Width {
        table: Arc<str>,
        expected: usize,
        found: usize,
    },
    #[error("column {column:?} is {expected}, the value given is {found}")]
    Type {
        column: Arc<str>,
        expected: Type,
        found: Type,
    },
}

/// Collects rows into a [`Batch`].
pub struct BatchBuilder {
    table: Arc<TableSchema>,
    columns: Vec<ColumnBuilder>,
    ingested: ColumnBuilder,
    first_ingested: DateTime,
    last_ingested: DateTime,
}

impl BatchBuilder {
    pub fn new(table: Arc<TableSchema>) -> Self {
        Self {
            columns: table
                .columns
                .iter()
                .map(|column| ColumnBuilder::new(column.kind))
                .collect(),
            ingested: ColumnBuilder::new(Type::DateTime),
            first_ingested: DateTime::MAX,
            last_ingested: DateTime::MIN,
            table,
        }
    }

    /// Adds a row that arrived at `ingested`, a value for each of the table's columns in order. A
    /// null string becomes `""`.
    ///
    /// # Errors
    /// If it has more or fewer values than the table has columns, or one of another type. The row
    /// is then left out as a whole.
    pub fn push(&mut self, ingested: DateTime, row: Vec<Value>) -> Result<(), RowError> {
        if row.len() != self.columns.len() {
            return Err(RowError::Width {
                table: self.table.name.clone(),
                expected: self.columns.len(),
                found: row.len(),
            });
        }
        for (value, column) in row.iter().zip(&self.table.columns) {
            match value.kind() {
                Some(found) if found != column.kind => {
                    return Err(RowError::Type {
                        column: column.name.clone(),
                        expected: column.kind,
                        found,
                    });
                }
                _ => {}
            }
        }
        for (value, column) in row.into_iter().zip(&mut self.columns) {
            column.push(value);
        }
        self.ingested.push(Value::DateTime(ingested));
        self.first_ingested = self.first_ingested.min(ingested);
        self.last_ingested = self.last_ingested.max(ingested);
        Ok(())
    }

    pub fn row_count(&self) -> usize {
        self.ingested.len
    }

    pub fn finish(self) -> Batch {
        Batch {
            columns: self
                .columns
                .into_iter()
                .map(ColumnBuilder::finish)
                .collect(),
            ingested: self.ingested.finish(),
            first_ingested: self.first_ingested,
            last_ingested: self.last_ingested,
        }
    }
}

/// Collects a column's values in the cheapest shape that holds them: one value while all are equal,
/// then a dictionary for strings and a value per row for the rest.
pub struct ColumnBuilder {
    kind: Type,
    len: usize,
    values: Vec<Value>,
    /// Set once a second string has come.
    dictionary: Option<Dictionary>,
}

#[derive(Default)]
struct Dictionary {
    codes: Vec<u32>,
    numbers: HashMap<Arc<str>, u32>,
}

impl ColumnBuilder {
    pub fn new(kind: Type) -> Self {
        Self {
            kind,
            len: 0,
            values: Vec::new(),
            dictionary: None,
        }
    }

    /// Adds a value, which must be null or of the column's type.
    pub fn push(&mut self, value: Value) {
        let value = match (value, self.kind) {
            (Value::Null, Type::String) => Value::string(""),
            (value, _) => value,
        };
        self.len += 1;
        if self.values.is_empty() {
            self.values.push(value);
            return;
        }
        if let (Value::String(text), Type::String) = (&value, self.kind) {
            if self.dictionary.is_none() {
                if self.values[0] == value {
                    return;
                }
                let mut dictionary = Dictionary::default();
                dictionary.codes.resize(self.len - 1, 0);
                if let Value::String(first) = &self.values[0] {
                    dictionary.numbers.insert(first.clone(), 0);
                }
                self.dictionary = Some(dictionary);
            }
            if let Some(dictionary) = &mut self.dictionary {
                let code = match dictionary.numbers.get(text) {
                    Some(&code) => code,
                    None => {
                        // A batch is far from 2^32 rows.
                        let code = self.values.len() as u32;
                        dictionary.numbers.insert(text.clone(), code);
                        self.values.push(value);
                        code
                    }
                };
                dictionary.codes.push(code);
            }
            return;
        }
        if self.values.len() == 1 && self.len > 1 {
            if self.values[0] == value {
                return;
            }
            let first = self.values[0].clone();
            self.values.resize(self.len - 1, first);
        }
        self.values.push(value);
    }

    pub fn finish(self) -> Column {
        match self.dictionary {
            Some(dictionary) => Column::Dictionary {
                values: self.values.into(),
                codes: dictionary.codes.into(),
            },
            None if self.values.len() == 1 || self.len == 0 => Column::Constant(
                self.values.into_iter().next().unwrap_or(Value::Null),
                self.len,
            ),
            None => repeated(&self.values).unwrap_or_else(|| Column::Plain(self.values.into())),
        }
    }
}

/// A dictionary of numbers or moments that come again and again, which takes a sixth of the room;
/// `None` if most come once, or are of a type whose equal values may still differ (`1.0`, `1.00`).
fn repeated(values: &[Value]) -> Option<Column> {
    let most = values.len() / 4;
    let mut numbers: HashMap<Option<u64>, u32> = HashMap::new();
    let mut distinct: Vec<Value> = Vec::new();
    let mut codes: Vec<u32> = Vec::with_capacity(values.len());
    for value in values {
        let bits = match value {
            Value::Null => None,
            Value::Bool(truth) => Some(u64::from(*truth)),
            Value::Int(number) => Some(i64::from(*number).cast_unsigned()),
            Value::Long(number) => Some(number.cast_unsigned()),
            Value::Real(number) => Some(number.to_bits()),
            Value::DateTime(moment) => Some(moment.0.cast_unsigned()),
            Value::TimeSpan(span) => Some(span.0.cast_unsigned()),
            _ => return None,
        };
        // A batch is far from 2^32 rows.
        let next = distinct.len() as u32;
        let code = *numbers.entry(bits).or_insert(next);
        if code == next {
            if distinct.len() == most {
                return None;
            }
            distinct.push(value.clone());
        }
        codes.push(code);
    }
    Some(Column::Dictionary {
        values: distinct.into(),
        codes: codes.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kql::Schema;

    #[test]
    fn every_shape_gives_back_what_was_pushed() {
        for values in [
            vec![],
            vec![Value::string("a")],
            vec![Value::string("a"), Value::string("a")],
            vec![
                Value::string("a"),
                Value::string("a"),
                Value::string("b"),
                Value::string("a"),
            ],
        ] {
            let mut builder = ColumnBuilder::new(Type::String);
            values.iter().cloned().for_each(|value| builder.push(value));
            assert_eq!(builder.finish().iter().cloned().collect::<Vec<_>>(), values);
        }
        for values in [
            vec![
                Value::Long(1),
                Value::Long(1),
                Value::Long(2),
                Value::Long(1),
            ],
            vec![Value::Null, Value::Null, Value::Long(1)],
            vec![Value::Long(7), Value::Null, Value::Null],
        ] {
            let mut builder = ColumnBuilder::new(Type::Long);
            values.iter().cloned().for_each(|value| builder.push(value));
            let column = builder.finish();
            assert_eq!(column.iter().cloned().collect::<Vec<_>>(), values);
            assert_eq!(column.take(&[2, 0]).value(1), &values[0]);
        }
    }

    #[test]
    fn a_row_of_the_wrong_type_is_refused_whole() {
        let schema = Schema::from_json(r#"{"T": {"A": "long", "B": "string"}}"#).unwrap();
        let mut builder = BatchBuilder::new(schema.table("T").unwrap().clone());
        let wrong = builder.push(DateTime(1), vec![Value::Long(1), Value::Bool(true)]);
        assert_eq!(
            wrong.unwrap_err().to_string(),
            "column \"B\" is string, the value given is bool"
        );
        builder
            .push(DateTime(2), vec![Value::Null, Value::Null])
            .unwrap();
        let batch = builder.finish();
        assert_eq!(
            (batch.row_count(), batch.first_ingested()),
            (1, DateTime(2))
        );
        assert_eq!(batch.columns()[1].value(0), &Value::string(""));
    }
}
