//! What is answered to which request.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;

use super::body::Pieces;
use super::landing;
use crate::exposition::{families_of, text};
use crate::snapshot::SnapshotStore;
use crate::telemetry::SelfMetrics;

/// All that the routes see.
#[derive(Clone)]
pub struct Site {
    pub store: Arc<SnapshotStore>,
    pub metrics: SelfMetrics,
    /// Where the metrics are, such as `/metrics`.
    pub telemetry_path: Arc<str>,
    /// What the landing page says the exporter publishes: the workspaces' names.
    pub workspaces: Arc<[Arc<str>]>,
}

impl Site {
    /// The routes. Methods other than GET and HEAD get 405, other paths 404.
    pub fn router(self) -> Router {
        Router::new()
            .route(&self.telemetry_path, get(page))
            .route("/", get(landing_page))
            .route("/-/healthy", get(healthy))
            .route("/-/ready", get(ready))
            .fallback(not_found)
            .layer(middleware::from_fn_with_state(self.clone(), count))
            .with_state(self)
    }
}

async fn page(State(site): State<Site>) -> Response {
    let snapshot = site.store.current();
    let page = snapshot.page();
    let mut own = Vec::with_capacity(4096);
    let families = families_of(&site.metrics.gather(), site.metrics.began());
    text::encode_families(&families, &mut own);
    let body = Pieces::new(page.pieces.clone(), page.bytes, own.into());
    (
        [(header::CONTENT_TYPE, text::CONTENT_TYPE)],
        Body::new(body),
    )
        .into_response()
}

async fn landing_page(State(site): State<Site>) -> Html<String> {
    let snapshot = site.store.current();
    Html(landing::render(
        &snapshot,
        &site.telemetry_path,
        &site.workspaces,
        Timestamp::now(),
    ))
}

async fn healthy() -> &'static str {
    "Healthy.\n"
}

async fn ready(State(site): State<Site>) -> (StatusCode, String) {
    let snapshot = site.store.current();
    let (tried, all) = snapshot.polls().fold((0, 0), |(tried, all), (_, status)| {
        (tried + usize::from(status.was_tried()), all + 1)
    });
    if tried == all {
        (StatusCode::OK, "Ready.\n".into())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("Not ready: {tried} of {all} queries have been tried.\n"),
        )
    }
}

async fn not_found() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "Nothing is here; / says what is.\n")
}

/// Counts each answer and adds the headers that keep a browser from guessing.
async fn count(State(site): State<Site>, request: Request, next: Next) -> Response {
    // The route's own text, never the path that a stranger sent: labels are bounded.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let handler = match route.as_ref().map(MatchedPath::as_str) {
        Some("/") => "landing",
        Some("/-/healthy") => "healthy",
        Some("/-/ready") => "ready",
        Some(_) => "metrics",
        None => "other",
    };
    site.metrics
        .count_http_request(handler, response.status().as_u16());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
