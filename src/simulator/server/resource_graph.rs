//! Azure Resource Graph: KQL over the Azure resources that the workspace knows of, which are itself
//! and those that have sent rows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::BytesRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::resource_manager::{ManagerError, WORKSPACE_TYPE};
use super::{NAME, REGION, RESOURCE_GROUP, SUBSCRIPTION, Workspace, headers, wire};
use crate::kql::{
    self, Batch, BatchBuilder, Budget, Column, Database, DateTime, QueryError, QueryOptions,
    QueryResult, Schema, Type, Value,
};

/// The most rows in one page, and those of a request that says nothing.
const PAGE_ROWS: usize = 1_000;
/// The engine's own limit; nobody has so many resources here.
const MAX_ROWS: usize = 1_000_000;
/// Both spellings are in use; our engine tells the case of a table's name.
const TABLES: [&str; 2] = ["resources", "Resources"];
/// Each table's columns, as JSON.
const COLUMNS: &str = r#"{"id": "string", "name": "string", "type": "string", "tenantId": "string",
    "kind": "string", "location": "string", "resourceGroup": "string", "subscriptionId": "string",
    "managedBy": "string", "sku": "dynamic", "plan": "dynamic", "properties": "dynamic",
    "tags": "dynamic", "identity": "dynamic", "zones": "dynamic", "extendedLocation": "dynamic"}"#;

const ASK_SUPPORT: &str = "Please provide below info when asking for support";

#[derive(Deserialize)]
struct Request {
    /// Without, all that the client may see.
    subscriptions: Option<Vec<String>>,
    query: String,
    #[serde(default)]
    options: Options,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    #[serde(rename = "$top")]
    top: Option<usize>,
    #[serde(rename = "$skip")]
    skip: Option<usize>,
    #[serde(rename = "$skipToken")]
    skip_token: Option<String>,
    #[serde(default)]
    result_format: Format,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Format {
    #[default]
    ObjectArray,
    Table,
}

/// `POST /providers/Microsoft.ResourceGraph/resources`
pub async fn post(
    State(workspace): State<Arc<Workspace>>,
    Query(parameters): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if let Err(error) = workspace.admit_to_manager(&headers, &parameters) {
        return error.into_response();
    }
    let request = match body {
        Ok(body) => serde_json::from_slice(&body).map_err(|error| error.to_string()),
        Err(rejection) => Err(rejection.to_string()),
    };
    let request: Request = match request {
        Ok(request) => request,
        Err(what) => return ManagerError::content(&what).into_response(),
    };
    let answering = tokio::task::spawn_blocking(move || answer(&workspace, &request)).await;
    match answering {
        Ok(Ok(page)) => headers::manager(StatusCode::OK, page.to_string()),
        Ok(Err(error)) => error.into_response(),
        Err(panic) => {
            tracing::error!(error = %panic, "the resource graph failed");
            ManagerError::internal().into_response()
        }
    }
}

fn answer(workspace: &Workspace, request: &Request) -> Result<Json, ManagerError> {
    let (skip, top) = request.options.bounds()?;
    let graph = Graph::of(workspace, request.subscriptions.as_deref())?;
    let started = Instant::now();
    let options = QueryOptions {
        now: workspace.clock.now(),
        timespan: None,
        max_rows: MAX_ROWS,
        budget: Budget::default(),
        elapsed: &|| started.elapsed(),
        cancelled: &|| false,
    };
    let result = kql::run(&graph, &request.query, &options).map_err(query_error)?;
    Ok(page(&result, skip, top, request.options.result_format))
}

impl Options {
    /// How many rows to leave out, and how many to give.
    fn bounds(&self) -> Result<(usize, usize), ManagerError> {
        let wrong = |code: &str, message: String| {
            let detail = json!({"code": code, "message": message});
            ManagerError::bad_request(ASK_SUPPORT, vec![detail])
        };
        let top = self.top.unwrap_or(PAGE_ROWS);
        if !(1..=PAGE_ROWS).contains(&top) {
            let message = format!("$top {top} must be from 1 to {PAGE_ROWS}.");
            return Err(wrong("InvalidTop", message));
        }
        let skip = match self.skip_token.as_deref().filter(|token| !token.is_empty()) {
            None => self.skip.unwrap_or(0),
            Some(token) => token
                .strip_prefix(TOKEN)
                .and_then(|skip| skip.parse().ok())
                .ok_or_else(|| wrong("InvalidSkipToken", "The $skipToken is not ours.".into()))?,
        };
        Ok((skip, top))
    }
}

/// Stands before the number of rows that were given; nobody should read it.
const TOKEN: &str = "simulated-";

/// A page of the result. As in the live service, another follows only where the rows have an `id`.
fn page(result: &QueryResult, skip: usize, top: usize, format: Format) -> Json {
    let rows = skip.min(result.row_count)..skip.saturating_add(top).min(result.row_count);
    let cells = |row: usize| {
        result
            .data
            .iter()
            .map(move |column| cell(column.value(row)))
    };
    let data = match format {
        Format::ObjectArray => rows
            .clone()
            .map(|row| {
                let names = result.columns.iter().map(|column| column.name.to_string());
                Json::Object(names.zip(cells(row)).collect::<Map<_, _>>())
            })
            .collect(),
        Format::Table => {
            let columns: Vec<_> = result
                .columns
                .iter()
                .map(|column| json!({"name": &*column.name, "type": kind(column.kind)}))
                .collect();
            let rows: Vec<Json> = rows.clone().map(|row| cells(row).collect()).collect();
            json!({"columns": columns, "rows": rows})
        }
    };
    let is_whole = rows.end == result.row_count;
    let has_id = result.columns.iter().any(|column| &*column.name == "id");
    let mut page = json!({
        "totalRecords": result.row_count,
        "count": rows.len(),
        "data": data,
        "facets": [],
        "resultTruncated": if is_whole || has_id { "false" } else { "true" },
    });
    if !is_whole && has_id {
        page["$skipToken"] = format!("{TOKEN}{}", rows.end).into();
    }
    page
}

/// Unlike the Logs Query API, it writes dynamic values as they are.
fn cell(value: &Value) -> Json {
    if let Value::Dynamic(json) = value {
        return Json::clone(json);
    }
    let mut text = String::new();
    wire::write_value(&mut text, value);
    serde_json::from_str(&text).unwrap_or_default()
}

fn kind(kind: Type) -> &'static str {
    match kind {
        Type::Bool => "boolean",
        Type::Int | Type::Long => "integer",
        Type::Real | Type::Decimal => "number",
        Type::Dynamic => "object",
        _ => "string",
    }
}

fn query_error(error: QueryError) -> ManagerError {
    let (code, message) = match &error {
        QueryError::Syntax(found) => ("ParserFailure", found.message.to_string()),
        QueryError::Semantic(found) => (found.code, found.message.to_string()),
        other => ("InvalidQuery", other.to_string()),
    };
    let mut detail = json!({"code": code, "message": message});
    if let QueryError::Syntax(found) = &error {
        detail["line"] = found.line.into();
        detail["characterPositionInLine"] = found.pos.into();
        detail["token"] = found.token.as_str().into();
    }
    let invalid = json!({
        "code": "InvalidQuery",
        "message": "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and fix the error before retrying.",
    });
    ManagerError::bad_request(ASK_SUPPORT, vec![invalid, detail])
}

/// The resources as a database of one table.
struct Graph {
    schema: Schema,
    batch: Arc<Batch>,
}

impl Graph {
    /// # Errors
    /// If the client may see none of the subscriptions.
    fn of(workspace: &Workspace, subscriptions: Option<&[String]>) -> Result<Self, ManagerError> {
        let mut resources = vec![Resource::workspace(workspace)];
        resources.extend(
            senders(workspace)
                .iter()
                .filter_map(|id| Resource::sender(id)),
        );
        if let Some(wanted) = subscriptions {
            let is_wanted = |resource: &Resource| {
                let id = resource.subscription.as_str();
                wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(id))
            };
            resources.retain(is_wanted);
            if resources.is_empty() {
                let detail = json!({
                    "code": "NoValidSubscriptionsInQueryRequest",
                    "message": format!(
                        "There must be at least one subscription that is eligible to contain resources. Given: '{}'.",
                        wanted.join("','")
                    ),
                });
                return Err(ManagerError::bad_request(ASK_SUPPORT, vec![detail]));
            }
        }
        Self::filled(workspace, resources).map_err(|error| {
            tracing::error!(error, "could not make the resource graph");
            ManagerError::internal()
        })
    }

    fn filled(workspace: &Workspace, resources: Vec<Resource>) -> Result<Self, String> {
        let tables = TABLES.map(|table| format!("\"{table}\": {COLUMNS}"));
        let schema = Schema::from_json(&format!("{{{}}}", tables.join(", ")))
            .map_err(|error| error.to_string())?;
        let table = schema.table(TABLES[0]).ok_or("there is no table")?;
        let mut batch = BatchBuilder::new(table.clone());
        for resource in resources {
            let row = resource.row(&workspace.sign_in.tenant_id);
            batch
                .push(DateTime::MIN, row)
                .map_err(|error| error.to_string())?;
        }
        let batch = Arc::new(batch.finish());
        Ok(Self { schema, batch })
    }
}

impl Database for Graph {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn scan(&self, _: &str) -> Vec<Arc<Batch>> {
        vec![self.batch.clone()]
    }
}

/// The ids of all that has sent rows.
fn senders(workspace: &Workspace) -> BTreeSet<Arc<str>> {
    let tables = &workspace.tables;
    let mut ids = BTreeSet::new();
    for table in tables.schema().tables() {
        let Some(column) = table.column_index("_ResourceId") else {
            continue;
        };
        for batch in tables.scan(&table.name) {
            match &batch.columns()[column] {
                Column::Constant(Value::String(id), _) => {
                    ids.insert(id.clone());
                }
                Column::Constant(..) => {}
                Column::Dictionary { values, .. } | Column::Plain(values) => {
                    ids.extend(values.iter().filter_map(|id| match id {
                        Value::String(id) => Some(id.clone()),
                        _ => None,
                    }));
                }
            }
        }
    }
    ids
}

struct Resource {
    id: String,
    name: String,
    /// In lower case.
    kind: String,
    group: String,
    subscription: String,
    properties: Json,
}

impl Resource {
    fn workspace(workspace: &Workspace) -> Self {
        Self {
            id: workspace.resource_id(),
            name: NAME.into(),
            kind: WORKSPACE_TYPE.to_ascii_lowercase(),
            group: RESOURCE_GROUP.into(),
            subscription: SUBSCRIPTION.to_string(),
            properties: workspace.properties(),
        }
    }

    /// From the id in a row; `None` where that is no resource of a group.
    fn sender(id: &str) -> Option<Self> {
        let segments: Vec<_> = id.split('/').collect();
        let ["", _, subscription, _, group, _, namespace, kind, name] = segments[..] else {
            return None;
        };
        Some(Self {
            id: id.to_owned(),
            name: name.to_owned(),
            kind: format!("{namespace}/{kind}").to_ascii_lowercase(),
            group: group.to_owned(),
            subscription: subscription.to_owned(),
            properties: json!({}),
        })
    }

    /// In the order of [`COLUMNS`].
    fn row(self, tenant: &str) -> Vec<Value> {
        let dynamic = |json: Json| Value::Dynamic(Arc::new(json));
        vec![
            Value::string(self.id),
            Value::string(self.name),
            Value::string(self.kind),
            Value::string(tenant),
            Value::string(""),
            Value::string(REGION),
            Value::string(self.group),
            Value::string(self.subscription),
            Value::string(""),
            Value::Null,
            Value::Null,
            dynamic(self.properties),
            dynamic(json!({})),
            Value::Null,
            Value::Null,
            Value::Null,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_a_resource_of_a_group() {
        let vm = Resource::sender(
            "/subscriptions/s/resourcegroups/g/providers/microsoft.compute/virtualMachines/vm-1",
        )
        .unwrap();
        assert_eq!(
            (&*vm.name, &*vm.kind, &*vm.group, &*vm.subscription),
            ("vm-1", "microsoft.compute/virtualmachines", "g", "s")
        );
        assert!(Resource::sender("").is_none());
        assert!(Resource::sender("/subscriptions/s").is_none());
    }
}
