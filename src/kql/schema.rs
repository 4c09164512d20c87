//! What tables there are, and their columns.

use std::sync::Arc;

use indexmap::IndexMap;

use super::value::Type;

/// A column: case-sensitive name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSchema {
    pub name: Arc<str>,
    pub kind: Type,
    /// Comes back only when a query names it, like `_BilledSize`.
    pub hidden: bool,
}

/// A table: name and columns in the order in which a bare query returns them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    pub name: Arc<str>,
    pub columns: Vec<ColumnSchema>,
}

impl TableSchema {
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| &*column.name == name)
    }
}

/// The tables of a workspace, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    tables: IndexMap<Arc<str>, Arc<TableSchema>>,
}

impl Schema {
    /// The tables that VM insights and its successor for threats write, as Microsoft documents them.
    pub fn vm_insights() -> Self {
        Self::from_json(include_str!("tables.json")).unwrap_or_default()
    }

    /// From `{"Table": {"Column": "type", …}, …}`. Columns that Azure returns only on request
    /// (`_SubscriptionId`, `_BilledSize`, `_IsBillable`, `_TimeReceived`) are hidden.
    ///
    /// # Errors
    /// If the text is no such JSON, or a type is none of KQL's; the error says where.
    pub fn from_json(text: &str) -> Result<Self, SchemaError> {
        let raw: IndexMap<String, IndexMap<String, String>> = serde_json::from_str(text)?;
        let mut schema = Self::default();
        for (table, columns) in raw {
            let columns = columns
                .into_iter()
                .map(|(column, kind)| {
                    let kind = Type::from_name(&kind).ok_or_else(|| SchemaError::Type {
                        table: table.clone(),
                        column: column.clone(),
                        kind,
                    })?;
                    Ok(ColumnSchema {
                        hidden: HIDDEN.contains(&column.as_str()),
                        name: column.into(),
                        kind,
                    })
                })
                .collect::<Result<_, SchemaError>>()?;
            schema.insert(TableSchema {
                name: table.into(),
                columns,
            });
        }
        Ok(schema)
    }

    /// Adds a table; one of the same name is replaced.
    pub fn insert(&mut self, table: TableSchema) {
        self.tables.insert(table.name.clone(), Arc::new(table));
    }

    /// The table with this exact name.
    pub fn table(&self, name: &str) -> Option<&Arc<TableSchema>> {
        self.tables.get(name)
    }

    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableSchema>> {
        self.tables.values()
    }
}

const HIDDEN: [&str; 4] = [
    "_SubscriptionId",
    "_BilledSize",
    "_IsBillable",
    "_TimeReceived",
];

/// Why a schema could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("not a JSON object of tables, each an object of column names and types: {0}")]
    Json(#[from] serde_json::Error),
    #[error(
        "column {column:?} of table {table:?} has type {kind:?}; a type is one of bool, int, long, real, decimal, string, datetime, timespan, guid, dynamic"
    )]
    Type {
        table: String,
        column: String,
        kind: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_tables_are_readable() {
        let schema = Schema::vm_insights();
        let metrics = schema.table("InsightsMetrics").unwrap();
        let val = &metrics.columns[metrics.column_index("Val").unwrap()];
        assert_eq!((val.kind, val.hidden), (Type::Real, false));
        assert!(metrics.columns[metrics.column_index("_BilledSize").unwrap()].hidden);
        assert!(schema.table("insightsmetrics").is_none());
    }
}
