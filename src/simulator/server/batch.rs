//! `POST /v1/$batch`: several queries in one request, each with its own status.
//!
//! The service ends it in 2028; Microsoft's clients still offer it.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::request::QueryRequest;
use super::{Workspace, headers};

#[derive(Deserialize)]
struct Batch {
    requests: Vec<Member>,
}

/// One of the queries.
#[derive(Deserialize)]
struct Member {
    id: Value,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    body: Value,
    /// Without, it is a GET.
    method: Option<String>,
    path: String,
    workspace: String,
}

/// `POST /v1/$batch`
pub async fn post(
    State(workspace): State<Arc<Workspace>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if let Err(error) = workspace.authorize(&headers) {
        return error.into_response();
    }
    let batch = match body {
        Ok(body) => serde_json::from_slice(&body).map_err(|error| error.to_string()),
        Err(rejection) => Err(rejection.to_string()),
    };
    let batch: Batch = match batch {
        Ok(batch) => batch,
        Err(what) => return ApiError::InvalidBody(what).into_response(),
    };
    let mut answers = Vec::with_capacity(batch.requests.len());
    for member in batch.requests {
        answers.push(workspace.clone().member(member).await);
    }
    let body = format!(r#"{{"responses":[{}]}}"#, answers.join(","));
    headers::json(StatusCode::OK, body)
}

impl Workspace {
    /// One query's answer as JSON.
    async fn member(self: Arc<Self>, member: Member) -> String {
        let id = member.id.clone();
        let request = self.member_request(&member);
        let headers = header_map(member.headers.unwrap_or_default());
        let response = self.answer(request, None, &headers).await;
        let status = response.status();
        // A body of ours is in memory already.
        let body = to_bytes(response.into_body(), usize::MAX).await;
        let body = body.unwrap_or_default();
        let body = match status {
            StatusCode::NO_CONTENT => r#"{"error":{"code":"WorkspaceNotPlacedError"}}"#.into(),
            _ => String::from_utf8_lossy(&body),
        };
        format!(
            r#"{{"id":{id},"status":{},"body":{body}}}"#,
            status.as_u16()
        )
    }

    fn member_request(&self, member: &Member) -> Result<QueryRequest, ApiError> {
        if member.path != "/query" {
            return Err(ApiError::PathNotFound);
        }
        self.check_own(&member.workspace)?;
        let is_post = member
            .method
            .as_deref()
            .is_some_and(|method| method.eq_ignore_ascii_case("POST"));
        match is_post {
            true => QueryRequest::from_json(member.body.to_string().as_bytes()),
            // Its parameters would be in the path.
            false => QueryRequest::from_parameters(None, None, None),
        }
    }
}

/// Those that can be headers.
fn header_map(given: Map<String, Value>) -> HeaderMap {
    let headers = given.iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::try_from(value.as_str()?).ok()?))
    });
    headers.collect()
}
