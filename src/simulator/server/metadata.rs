//! `GET` and `POST /v1/workspaces/{id}/metadata`: which tables there are.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Workspace, headers};
use crate::kql::{Database, TableSchema};

/// Either method: a POST's body says nothing.
pub async fn get(
    State(workspace): State<Arc<Workspace>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = workspace.admit(&id, &headers) {
        return error.into_response();
    }
    let id = &workspace.id;
    let schema = workspace.tables.schema();
    let names: Vec<_> = schema.tables().map(|table| &*table.name).collect();
    let tables: Vec<_> = schema.tables().map(|table| describe(table, id)).collect();
    let body = json!({
        "tables": tables,
        "workspaces": [{
            "id": id,
            "resourceId": workspace.resource_id(),
            "name": super::NAME,
            "region": super::REGION,
            "related": {"tables": names},
        }],
    });
    headers::json(StatusCode::OK, body.to_string())
}

fn describe(table: &TableSchema, workspace: &str) -> Value {
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|column| json!({"name": &*column.name, "type": column.kind.as_str()}))
        .collect();
    let mut described = json!({
        "id": &*table.name,
        "name": &*table.name,
        "columns": columns,
        "related": {"workspaces": [workspace]},
    });
    if table.column_index("TimeGenerated").is_some() {
        described["timespanColumn"] = "TimeGenerated".into();
    }
    described
}
