//! Resource-centric queries: the workspace's tables as one Azure resource sees them.
//!
//! A query to a virtual machine reads the rows whose `_ResourceId` it is; one to a resource group or
//! a subscription, those of all that is in it; one to the workspace's own resource, all rows.

use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::Workspace;
use super::error::ApiError;
use super::query::{Parameters, get_from, post_to};
use crate::kql::{Batch, Column, Database, Schema, Value};
use crate::simulator::tables::Tables;

const COLUMN: &str = "_ResourceId";

/// `POST /v1/subscriptions/…/query`
pub async fn post(
    State(workspace): State<Arc<Workspace>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match workspace.admit_to_resource(&path, &headers) {
        Ok(resource) => post_to(workspace, resource, headers, body).await,
        Err(error) => error.into_response(),
    }
}

/// `GET /v1/subscriptions/…/query`
pub async fn get(
    State(workspace): State<Arc<Workspace>>,
    Path(path): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    match workspace.admit_to_resource(&path, &headers) {
        Ok(resource) => get_from(workspace, resource, headers, parameters).await,
        Err(error) => error.into_response(),
    }
}

impl Workspace {
    /// Which resource's rows the request may read; `None` for all.
    fn admit_to_resource(
        &self,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Option<String>, ApiError> {
        self.authorize(headers)?;
        let id = resource_id(path).ok_or(ApiError::PathNotFound)?;
        Ok((!id.eq_ignore_ascii_case(&self.resource_id())).then_some(id))
    }
}

/// The resource id in lower case, from what follows `/v1/subscriptions/`.
fn resource_id(path: &str) -> Option<String> {
    let id = path.strip_suffix("/query")?;
    let segments: Vec<_> = id.split('/').collect();
    // A subscription, and then pairs of a kind and a name; a provider's first kind stands between
    // it and the name, so that it makes four.
    let is_id =
        segments.len() % 2 == 1 && segments.iter().all(|segment| !segment.trim().is_empty());
    is_id.then(|| format!("/subscriptions/{}", id.to_ascii_lowercase()))
}

/// The rows that one resource may see.
pub struct Part<'a> {
    tables: &'a Tables,
    resource: &'a str,
}

impl<'a> Part<'a> {
    /// # Errors
    /// If no row is the resource's, or that of one in it: then there is no such resource here.
    pub fn of(tables: &'a Tables, resource: &'a str) -> Result<Self, ApiError> {
        let part = Self { tables, resource };
        let is_known = tables.schema().tables().any(|table| {
            table.column_index(COLUMN).is_some_and(|column| {
                let batches = tables.scan(&table.name);
                batches
                    .iter()
                    .any(|batch| part.sees_any(&batch.columns()[column]))
            })
        });
        is_known.then_some(part).ok_or(ApiError::ResourceNotFound)
    }

    fn sees(&self, id: &Value) -> bool {
        let Value::String(id) = id else {
            return false;
        };
        id.get(..self.resource.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(self.resource))
            && matches!(id.as_bytes().get(self.resource.len()), None | Some(b'/'))
    }

    fn sees_any(&self, ids: &Column) -> bool {
        match ids {
            Column::Constant(id, rows) => *rows > 0 && self.sees(id),
            Column::Dictionary { values: ids, .. } | Column::Plain(ids) => {
                ids.iter().any(|id| self.sees(id))
            }
        }
    }
}

impl Database for Part<'_> {
    fn schema(&self) -> &Schema {
        self.tables.schema()
    }

    fn scan(&self, table: &str) -> Vec<Arc<Batch>> {
        let column = self
            .schema()
            .table(table)
            .and_then(|table| table.column_index(COLUMN));
        let Some(column) = column else {
            return Vec::new();
        };
        let mut batches = self.tables.scan(table);
        batches.retain(|batch| self.sees_any(&batch.columns()[column]));
        for batch in &mut batches {
            let ids = &batch.columns()[column];
            if matches!(ids, Column::Constant(..)) {
                continue;
            }
            // A batch is far from 2^32 rows.
            let rows: Vec<_> = (0..batch.row_count())
                .filter(|row| self.sees(ids.value(*row)))
                .map(|row| row as u32)
                .collect();
            *batch = Arc::new(batch.take(&rows));
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kql::{BatchBuilder, DateTime};

    #[test]
    fn a_resource_id_has_a_name_for_each_kind() {
        for (path, id) in [
            ("S1/query", Some("/subscriptions/s1")),
            (
                "s1/resourceGroups/R/query",
                Some("/subscriptions/s1/resourcegroups/r"),
            ),
            (
                "s/resourcegroups/r/providers/Microsoft.Compute/virtualMachines/VM/query",
                Some(
                    "/subscriptions/s/resourcegroups/r/providers/microsoft.compute/virtualmachines/vm",
                ),
            ),
            ("s1/resourceGroups/query", None),
            ("s1/resourceGroups//query", None),
            ("s1/metadata", None),
            ("query", None),
        ] {
            assert_eq!(resource_id(path).as_deref(), id, "{path}");
        }
    }

    #[test]
    fn a_resource_sees_its_rows_and_those_within_it() {
        let schema = Schema::from_json(
            r#"{"T": {"_ResourceId": "string"}, "U": {"_ResourceId": "string"}, "V": {"A": "long"}}"#,
        )
        .unwrap();
        let tables = Tables::new(schema.clone());
        let fill = |name: &str, ids: &[&str]| {
            let mut builder = BatchBuilder::new(schema.table(name).unwrap().clone());
            for id in ids {
                builder.push(DateTime(0), vec![Value::string(*id)]).unwrap();
            }
            tables.append(name, builder.finish(), None);
        };
        fill(
            "T",
            &[
                "/subscriptions/s/a/vm1",
                "",
                "/Subscriptions/S/A/VM1",
                "/subscriptions/s/a/vm10",
            ],
        );
        fill("U", &["/subscriptions/s/a/vm10"]);
        let rows = |resource: &str, table: &str| -> usize {
            let part = Part::of(&tables, resource).unwrap();
            let batches = part.scan(table);
            batches.iter().map(|batch| batch.row_count()).sum()
        };
        assert_eq!(rows("/subscriptions/s/a/vm1", "T"), 2);
        assert_eq!(rows("/subscriptions/s/a/vm1", "U"), 0);
        assert_eq!(rows("/subscriptions/s/a/vm1", "V"), 0);
        assert_eq!(rows("/subscriptions/s", "T"), 3);
        assert_eq!(rows("/subscriptions/s", "U"), 1);
        assert!(matches!(
            Part::of(&tables, "/subscriptions/s/a/vm"),
            Err(ApiError::ResourceNotFound)
        ));
    }
}
