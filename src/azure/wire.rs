//! The body of an answer: from JSON to a [`ResultTable`], in one pass.
//!
//! ```json
//! {"tables": [{"name": "PrimaryResult", "columns": [{"name": "a", "type": "int"}], "rows": [[1]]}],
//!  "statistics": {"query": …}, "error": {"code": "PartialError", …}}
//! ```
//!
//! Keys may come in any order and unknown ones are passed over. Rows go straight into the table;
//! only where `rows` stands before `columns` is their text set aside.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::cell::CellSeed;
use super::cost::Cost;
use super::texts::Texts;
use crate::table::{Cell, Column, ColumnType, ResultTable};

/// What a body holds.
#[derive(Debug, Default)]
pub(super) struct Body<'a> {
    /// The table called `PrimaryResult`, else the first.
    pub table: Option<Decoded>,
    /// Of `statistics`.
    pub cost: Cost,
    /// The JSON of `error`, unless it is null.
    pub error: Option<&'a RawValue>,
}

/// A table, and how many rows it lost.
#[derive(Debug)]
pub(super) struct Decoded {
    pub table: ResultTable,
    /// Rows left out because a cell was not of its column's type.
    pub unreadable_rows: u64,
}

const PRIMARY: &str = "PrimaryResult";

/// Reads a body.
///
/// # Errors
/// If it is not JSON, or not of the shape above: a row that is no array or not as wide as the
/// table, a column of an unknown type.
pub(super) fn read(body: &[u8]) -> Result<Body<'_>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_map(BodyVisitor)?;
    json.end()?;
    Ok(read)
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `tables`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut body = Body::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Tables => body.table = map.next_value_seed(Tables)?,
                Key::Statistics => body.cost = Cost::of(map.next_value()?),
                Key::Error => {
                    let error: &RawValue = map.next_value()?;
                    body.error = (error.get() != "null").then_some(error);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(body)
    }
}

/// The keys that mean something, at whichever level.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Tables,
    Statistics,
    Error,
    Name,
    Columns,
    Rows,
    #[serde(other)]
    Other,
}

struct Tables;

impl<'de> DeserializeSeed<'de> for Tables {
    type Value = Option<Decoded>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Tables {
    type Value = Option<Decoded>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of tables")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut first = None;
        while let Some((name, table)) = seq.next_element_seed(Table)? {
            if name == PRIMARY {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Some(table));
            }
            first.get_or_insert(table);
        }
        Ok(first)
    }
}

struct Table;

impl<'de> DeserializeSeed<'de> for Table {
    type Value = (String, Decoded);

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Table {
    type Value = (String, Decoded);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table: an object with `name`, `columns` and `rows`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut name = String::new();
        let mut columns: Option<Vec<Column>> = None;
        let mut rows_before_columns: Option<&RawValue> = None;
        let mut decoded = None;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Name => name = map.next_value()?,
                Key::Columns => {
                    let wire: Vec<WireColumn> = map.next_value()?;
                    let known: Result<Vec<_>, A::Error> =
                        wire.into_iter().map(WireColumn::known).collect();
                    columns = Some(known?);
                }
                Key::Rows => match columns.take() {
                    Some(columns) => decoded = Some(map.next_value_seed(Rows { columns })?),
                    None => rows_before_columns = Some(map.next_value()?),
                },
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if let Some(decoded) = decoded {
            return Ok((name, decoded));
        }
        let columns = columns.ok_or_else(|| A::Error::missing_field("columns"))?;
        let rows = rows_before_columns.ok_or_else(|| A::Error::missing_field("rows"))?;
        let mut json = serde_json::Deserializer::from_str(rows.get());
        let decoded = Rows { columns }
            .deserialize(&mut json)
            .map_err(A::Error::custom)?;
        Ok((name, decoded))
    }
}

#[derive(Deserialize)]
struct WireColumn {
    name: String,
    r#type: String,
}

impl WireColumn {
    fn known<E: Error>(self) -> Result<Column, E> {
        match ColumnType::from_wire(&self.r#type) {
            Some(kind) => Ok(Column::new(self.name, kind)),
            None => Err(E::custom(format_args!(
                "column {:?} has the unknown type {:?}",
                self.name, self.r#type
            ))),
        }
    }
}

struct Rows {
    columns: Vec<Column>,
}

impl<'de> DeserializeSeed<'de> for Rows {
    type Value = Decoded;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let kinds: Vec<ColumnType> = self.columns.iter().map(|column| column.kind).collect();
        let mut texts: Vec<Texts> = kinds.iter().map(|_| Texts::default()).collect();
        let mut row = Vec::with_capacity(kinds.len());
        let mut decoded = Decoded {
            table: ResultTable::new(self.columns),
            unreadable_rows: 0,
        };
        while let Some(readable) = seq.next_element_seed(Row {
            kinds: &kinds,
            texts: &mut texts,
            into: &mut row,
        })? {
            if !readable {
                decoded.unreadable_rows += 1;
                continue;
            }
            let pushed = decoded.table.push_row(row.drain(..));
            pushed.map_err(A::Error::custom)?;
        }
        Ok(decoded)
    }
}

/// One row, into a buffer that all rows share. Its value: whether every cell could be read.
struct Row<'a> {
    kinds: &'a [ColumnType],
    /// For each column.
    texts: &'a mut [Texts],
    into: &'a mut Vec<Cell>,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a row: an array of {} cells", self.kinds.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        self.into.clear();
        let mut readable = true;
        for (at, kind) in self.kinds.iter().enumerate() {
            match seq.next_element_seed(CellSeed(*kind, &mut self.texts[at]))? {
                Some(Some(cell)) => self.into.push(cell),
                Some(None) => readable = false,
                None => return Err(A::Error::invalid_length(at, &self)),
            }
        }
        if seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom(format_args!(
                "a row has more cells than the table's {} columns",
                self.kinds.len()
            )));
        }
        Ok(readable)
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
