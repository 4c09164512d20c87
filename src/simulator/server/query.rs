//! The query route: a request becomes a run of the engine, and its result a response.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::cache::Key;
use super::error::ApiError;
use super::extras::Metered;
use super::request::{Preferences, QueryRequest, cache_age, is_json};
use super::resource::Part;
use super::wire::{self, Body, Extras};
use super::{Workspace, headers, timespan};
use crate::kql::{self, Budget, Database, QueryError, QueryOptions};

/// Rows beyond which the service cuts a result.
const MAX_ROWS: usize = 500_000;

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// `POST /v1/workspaces/{id}/query`
pub async fn post(
    State(workspace): State<Arc<Workspace>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match workspace.admit(&id, &headers) {
        Ok(()) => post_to(workspace, None, headers, body).await,
        Err(error) => error.into_response(),
    }
}

/// Answers an admitted POST, over all rows or those of one resource.
pub async fn post_to(
    workspace: Arc<Workspace>,
    resource: Option<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return ApiError::BodyTooLarge.into_response();
        }
        Err(rejection) => return ApiError::InvalidBody(rejection.to_string()).into_response(),
    };
    if body.is_empty() || !is_json(&headers) {
        // So does the live service.
        return headers::bare(StatusCode::OK, "");
    }
    workspace
        .answer(QueryRequest::from_json(&body), resource, &headers)
        .await
}

/// The same as parameters.
#[derive(Deserialize)]
pub struct Parameters {
    query: Option<String>,
    timespan: Option<String>,
    workspaces: Option<String>,
}

/// `GET /v1/workspaces/{id}/query`
pub async fn get(
    State(workspace): State<Arc<Workspace>>,
    Path(id): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    match workspace.admit(&id, &headers) {
        Ok(()) => get_from(workspace, None, headers, parameters).await,
        Err(error) => error.into_response(),
    }
}

/// Answers an admitted GET, over all rows or those of one resource.
pub async fn get_from(
    workspace: Arc<Workspace>,
    resource: Option<String>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Response {
    let request =
        QueryRequest::from_parameters(parameters.query, parameters.timespan, parameters.workspaces);
    workspace.answer(request, resource, &headers).await
}

impl Workspace {
    /// A response to an admitted request, `Preference-Applied` in every case.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Result<QueryRequest, ApiError>,
        resource: Option<String>,
        headers: &HeaderMap,
    ) -> Response {
        let preferences = Preferences::of(headers);
        let answer = match request {
            Ok(request) => {
                let max_age = cache_age(headers);
                self.run(request, resource, &preferences, max_age).await
            }
            Err(error) => Err(error),
        };
        let mut response = answer.unwrap_or_else(IntoResponse::into_response);
        if let Ok(applied) = HeaderValue::from_str(&preferences.applied)
            && !applied.is_empty()
        {
            response.headers_mut().insert(PREFERENCE_APPLIED, applied);
        }
        response
    }

    async fn run(
        self: Arc<Self>,
        request: QueryRequest,
        resource: Option<String>,
        preferences: &Preferences,
        max_age: Duration,
    ) -> Result<Response, ApiError> {
        for name in &request.workspaces {
            self.check_other(name)?;
        }
        let now = self.clock.now();
        let bounds = request
            .timespan
            .as_deref()
            .map(|text| timespan::parse(text, now))
            .transpose()
            .map_err(ApiError::InvalidProperty)?;
        if self.tables.is_empty() {
            return Ok(headers::bare(StatusCode::NO_CONTENT, ""));
        }
        let key = Key {
            resource,
            query: request.query,
            timespan: request.timespan,
            statistics: preferences.statistics,
            render: preferences.render,
        };
        if let Some((body, age)) = self.cache.get(&key, max_age, Instant::now()) {
            let mut response = headers::json(StatusCode::OK, body);
            response
                .headers_mut()
                .insert(header::AGE, HeaderValue::from(age.as_secs()));
            return Ok(response);
        }
        let permit = self.throttle.start_query().await?;
        let started = Instant::now();
        let run = Run {
            workspace: self.clone(),
            key: key.clone(),
            bounds,
            permit,
            cancelled: Arc::default(),
        };
        let body = run.within(preferences.wait).await?;
        let json = Bytes::from(body.json);
        if body.is_complete {
            self.cache.put(key, &json, started);
        }
        Ok(headers::json(StatusCode::OK, json))
    }
}

/// One run of the engine.
struct Run {
    workspace: Arc<Workspace>,
    key: Key,
    bounds: Option<timespan::Bounds>,
    /// Held until the engine has really stopped, not only until nobody waits any more.
    permit: OwnedSemaphorePermit,
    cancelled: Arc<AtomicBool>,
}

/// Tells the engine to stop when it goes: the wait is over, or the client has gone and hyper dropped
/// the request.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Run {
    async fn within(self, wait: Duration) -> Result<Body, ApiError> {
        let _guard = CancelOnDrop(self.cancelled.clone());
        let running = tokio::task::spawn_blocking(move || self.blocking());
        match tokio::time::timeout(wait, running).await {
            Err(_) => Err(ApiError::Timeout),
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => {
                tracing::error!(error = %panic, "the query engine failed");
                Err(ApiError::Internal)
            }
        }
    }

    fn blocking(self) -> Result<Body, ApiError> {
        let _permit = self.permit;
        let started = Instant::now();
        let cancelled = self.cancelled;
        let options = QueryOptions {
            now: self.workspace.clock.now(),
            timespan: self.bounds,
            max_rows: MAX_ROWS,
            budget: Budget::default(),
            elapsed: &|| started.elapsed(),
            cancelled: &|| cancelled.load(Ordering::Relaxed),
        };
        let tables = &*self.workspace.tables;
        let part = match &self.key.resource {
            Some(resource) => Some(Part::of(tables, resource)?),
            None => None,
        };
        let database: &dyn Database = match &part {
            Some(part) => part,
            None => tables,
        };
        let metered = Metered::new(database);
        let result = kql::run(&metered, &self.key.query, &options);
        match result {
            Ok(result) => {
                let took = started.elapsed();
                tracing::debug!(rows = result.row_count, ?took, "answered a query");
                let extras = Extras {
                    statistics: self.key.statistics.then(|| metered.cost(took)),
                    render: self.key.render.then_some(self.key.query.as_str()),
                };
                Ok(wire::encode(&result, extras))
            }
            Err(QueryError::Cancelled) => Err(ApiError::Timeout),
            Err(error) => {
                tracing::debug!(%error, "refused a query");
                Err(ApiError::Query(error))
            }
        }
    }
}
