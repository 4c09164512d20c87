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
use super::status::{About, Page, SECURITY_POLICY};
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
    /// What the status page says beside the snapshot.
    pub about: Arc<About>,
}

impl Site {
    /// The routes. Methods other than GET and HEAD get 405, other paths 404.
    pub fn router(self) -> Router {
        Router::new()
            .route(&self.telemetry_path, get(page))
            .route("/", get(status_page))
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

/// Off the async threads: a page reads each series of the snapshot once.
async fn status_page(State(site): State<Site>) -> Response {
    let rendered = tokio::task::spawn_blocking(move || {
        let page = Page {
            snapshot: &site.store.current(),
            about: &site.about,
            telemetry_path: &site.telemetry_path,
            began: site.metrics.began(),
            now: Timestamp::now(),
        };
        page.html()
    });
    match rendered.await {
        Ok(html) => Html(html).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
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
        (header::CONTENT_SECURITY_POLICY, SECURITY_POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
