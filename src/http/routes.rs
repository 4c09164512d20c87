//! What is answered to which request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;

use super::body::Pieces;
use super::maker::Maker;
use super::reload::Reload;
use super::status::{self, About, SECURITY_POLICY, Shared};
use crate::exposition::{Coding, Media, families_of, negotiate};
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
    pub about: Arc<ArcSwap<About>>,
    /// `None`: nobody may reload over HTTP.
    pub lifecycle: Option<Reload>,
}

impl Site {
    /// The routes. Methods other than GET and HEAD get 405 (but `/-/reload`), other paths 404.
    pub fn router(self) -> Router {
        let maker = Maker::default();
        let page = move |State(site): State<Self>, headers: HeaderMap| page(site, headers, maker);
        let was_ready = Arc::new(AtomicBool::new(false));
        let ready = move |State(site): State<Self>| ready(site, was_ready);
        let shared = Arc::new(Shared::default());
        let status_page = move |State(site): State<Self>| status_page(site, shared);
        Router::new()
            .route(&self.telemetry_path, get(page))
            .route("/", get(status_page))
            .route("/-/healthy", get(healthy))
            .route("/-/ready", get(ready))
            .route("/-/reload", post(reload).put(reload))
            .fallback(not_found)
            .layer(middleware::from_fn_with_state(self.clone(), count))
            .with_state(self)
    }
}

/// The page in the format and coding that the client likes best.
async fn page(site: Site, headers: HeaderMap, maker: Maker) -> Response {
    let asked = |name| -> Option<String> {
        let values = headers.get_all(&name).iter();
        let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        headers.contains_key(name).then(|| values.join(","))
    };
    let offer = negotiate::format(&asked(header::ACCEPT).unwrap_or_default());
    let media = Media {
        format: offer.format,
        coding: negotiate::coding(asked(header::ACCEPT_ENCODING).as_deref()),
    };
    let Some(page) = maker.page(site.store.current(), media).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    site.metrics
        .count_scrape(media.format.as_str(), media.coding.as_str());
    let tail = page.tail(&families_of(&site.metrics.gather(), site.metrics.began()));
    let body = Pieces::new(page.pieces().clone(), page.len(), tail);
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, offer.content_type),
        (header::VARY, "Accept, Accept-Encoding"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if media.coding == Coding::Gzip {
        let gzip = HeaderValue::from_static(media.coding.as_str());
        headers.insert(header::CONTENT_ENCODING, gzip);
    }
    response
}

async fn status_page(site: Site, shared: Arc<Shared>) -> Response {
    let rendered = shared.html(move || {
        let page = status::Page {
            snapshot: &site.store.current(),
            about: &site.about.load(),
            telemetry_path: &site.telemetry_path,
            began: site.metrics.began(),
            now: Timestamp::now(),
        };
        page.html()
    });
    match rendered.await {
        Some(html) => Html(html).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn healthy() -> &'static str {
    "Healthy.\n"
}

/// Queries that a reload adds do not take back that the exporter is ready: who scrapes it through a
/// Service would lose all series for the sake of the new ones.
async fn ready(site: Site, was_ready: Arc<AtomicBool>) -> (StatusCode, String) {
    // Before the snapshot: polls are in it before the search counts as done.
    let is_searching = site.about.load().is_searching;
    let snapshot = site.store.current();
    let (tried, all) = snapshot.polls().fold((0, 0), |(tried, all), (_, status)| {
        (tried + usize::from(status.was_tried()), all + 1)
    });
    if (tried == all && !is_searching) || was_ready.load(Ordering::Relaxed) {
        was_ready.store(true, Ordering::Relaxed);
        (StatusCode::OK, "Ready.\n".into())
    } else if is_searching {
        let text = "Not ready: the list of workspaces has not been had yet.\n";
        (StatusCode::SERVICE_UNAVAILABLE, text.into())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("Not ready: {tried} of {all} queries have been tried.\n"),
        )
    }
}

async fn reload(State(site): State<Site>) -> (StatusCode, String) {
    match site.lifecycle {
        Some(reload) => reload.answer().await,
        None => (
            StatusCode::FORBIDDEN,
            "Reloading over HTTP is off; --web.enable-lifecycle turns it on, and SIGHUP always works.\n"
                .into(),
        ),
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
        Some("/-/reload") => "reload",
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
