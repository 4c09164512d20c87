//! Faults, put between the connection and the routes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::error::ApiError;
use super::wire::partial_error;
use super::{MAX_BODY, Workspace, headers};
use crate::simulator::faults::{self, Answer, Fault, Injector, On};

/// Marks a response in whose place the connection is to end.
#[derive(Clone, Copy)]
pub struct Dropped;

/// What the middleware shares between requests.
pub struct Injection {
    injector: Injector,
    workspace: Arc<Workspace>,
    /// The last good answer to each query, for the stale ones.
    last: Mutex<HashMap<String, (Instant, Bytes)>>,
}

/// More queries than anybody's monitoring has.
const MAX_REMEMBERED: usize = 256;

impl Injection {
    pub fn new(faults: faults::Faults, workspace: Arc<Workspace>) -> Self {
        Self {
            injector: Injector::new(faults),
            workspace,
            last: Mutex::default(),
        }
    }
}

/// Lets a request through, or does to it what a rule says.
pub async fn inject(
    State(injection): State<Arc<Injection>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(on) = kind(request.uri().path()) else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return ApiError::BodyTooLarge.into_response();
    };
    let query = query_text(&body, parts.uri.query().unwrap_or_default());
    let fault = injection.injector.fault_for(&faults::Request {
        on,
        path: parts.uri.path(),
        query: &query,
    });
    let request = Request::from_parts(parts, Body::from(body));
    let Some(fault) = fault else {
        let response = next.run(request).await;
        return if on == On::Query {
            injection.remember(query, response).await
        } else {
            response
        };
    };
    tracing::info!(?on, ?fault, "a fault on demand");
    tokio::time::sleep(fault.delay).await;
    injection.apply(fault, on, &query, request, next).await
}

fn kind(path: &str) -> Option<On> {
    if path.ends_with("/oauth2/v2.0/token") {
        Some(On::Token)
    } else if !path.starts_with("/v1/") {
        None
    } else if path.ends_with("/query") {
        Some(On::Query)
    } else if path.ends_with("/metadata") {
        Some(On::Metadata)
    } else {
        None
    }
}

/// The query in a POST's body or a GET's parameters; empty if there is none.
fn query_text(body: &[u8], parameters: &str) -> String {
    let in_body = serde_json::from_slice::<Value>(body).ok();
    let in_body = in_body
        .as_ref()
        .and_then(|body| body.get("query")?.as_str());
    if let Some(query) = in_body {
        return query.to_owned();
    }
    url::form_urlencoded::parse(parameters.as_bytes())
        .find(|(name, _)| name == "query")
        .map(|(_, query)| query.into_owned())
        .unwrap_or_default()
}

impl Injection {
    async fn apply(
        &self,
        fault: Fault,
        on: On,
        query: &str,
        request: Request,
        next: Next,
    ) -> Response {
        if let Some((code, retry_after)) = fault.status {
            return refusal(on, code, retry_after);
        }
        let Some(answer) = fault.answer else {
            return next.run(request).await;
        };
        match answer {
            Answer::Drop => {
                let mut response = Response::new(Body::empty());
                response.extensions_mut().insert(Dropped);
                return response;
            }
            Answer::Silence => return std::future::pending().await,
            Answer::Empty => return headers::bare(StatusCode::OK, ""),
            Answer::NoContent => return headers::bare(StatusCode::NO_CONTENT, ""),
            Answer::ExpiredToken => {
                self.workspace.sign_in.expire_all();
                return next.run(request).await;
            }
            Answer::Stale => {
                if let Some(response) = self.stale(query) {
                    return response;
                }
            }
            Answer::Cut | Answer::BrokenJson | Answer::ColumnType | Answer::Partial => {}
        }
        alter(answer, next.run(request).await).await
    }

    async fn remember(&self, query: String, response: Response) -> Response {
        if response.status() != StatusCode::OK {
            return response;
        }
        let (parts, body) = response.into_parts();
        let Ok(body) = to_bytes(body, usize::MAX).await else {
            return ApiError::Internal.into_response();
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() < MAX_REMEMBERED || last.contains_key(&query) {
            last.insert(query, (Instant::now(), body.clone()));
        }
        Response::from_parts(parts, body.into())
    }

    fn stale(&self, query: &str) -> Option<Response> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (given, body) = last.get(query)?;
        let mut response = headers::json(StatusCode::OK, body.clone());
        let age = HeaderValue::from(given.elapsed().as_secs());
        response.headers_mut().insert(header::AGE, age);
        Some(response)
    }
}

/// A good answer made bad; another one stays as it is.
async fn alter(answer: Answer, response: Response) -> Response {
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return ApiError::Internal.into_response();
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    let half = body.slice(..body.len() / 2);
    let body = match answer {
        Answer::Cut => {
            let broken = std::io::Error::other("cut on demand");
            let chunks = [Ok(half), Err(broken)];
            Body::from_stream(futures_util::stream::iter(chunks))
        }
        Answer::BrokenJson => half.into(),
        Answer::ColumnType => rewritten(&body, as_text),
        Answer::Partial => rewritten(&body, in_part),
        _ => body.into(),
    };
    Response::from_parts(parts, body)
}

fn rewritten(body: &Bytes, change: fn(&mut Value)) -> Body {
    match serde_json::from_slice(body) {
        Ok(mut answer) => {
            change(&mut answer);
            answer.to_string().into()
        }
        Err(_) => body.clone().into(),
    }
}

/// All columns of type string, and their cells as text.
fn as_text(answer: &mut Value) {
    let tables = answer.get_mut("tables").and_then(Value::as_array_mut);
    for table in tables.into_iter().flatten() {
        let columns = table.get_mut("columns").and_then(Value::as_array_mut);
        for column in columns.into_iter().flatten() {
            column["type"] = "string".into();
        }
        let rows = table.get_mut("rows").and_then(Value::as_array_mut);
        let rows = rows.into_iter().flatten().filter_map(Value::as_array_mut);
        for cell in rows.flatten() {
            if !cell.is_string() && !cell.is_null() {
                *cell = cell.to_string().into();
            }
        }
    }
}

fn in_part(answer: &mut Value) {
    answer["error"] = partial_error(
        "-2133196797",
        "Query result set has exceeded the internal record count limit 500000 (E_QUERY_RESULT_SET_TOO_LARGE; see https://aka.ms/kustoquerylimits)",
    );
}

/// An error status in the shape of the service that was asked.
fn refusal(on: On, code: u16, retry_after: Option<u64>) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match (on, code) {
        (On::Token, _) => {
            let body = json!({
                "error": if code < 500 { "invalid_request" } else { "temporarily_unavailable" },
                "error_description": "AADSTS90033: A transient error has occurred. Please try again.",
                "error_codes": [90033],
            });
            headers::sign_in(status, body.to_string(), 90033)
        }
        (_, 401) => ApiError::MissingAuthorization.into_response(),
        (_, 403) => ApiError::InsufficientAccess.into_response(),
        (_, 404) => ApiError::PathNotFound.into_response(),
        (_, 429) => ApiError::Throttled(retry_after.unwrap_or(1)).into_response(),
        (_, 504) => ApiError::Timeout.into_response(),
        _ => {
            let message = status.canonical_reason().unwrap_or("Error on demand");
            let name: String = message.split(' ').collect();
            let body = json!({"error": {"message": message, "code": name}});
            headers::json(status, body.to_string())
        }
    };
    match retry_after {
        Some(seconds) => {
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        None => {
            response.headers_mut().remove(header::RETRY_AFTER);
        }
    }
    response
}
