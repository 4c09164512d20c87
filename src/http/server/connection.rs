//! One connection from its first byte to its last.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::limits::Limits;
use super::parting::{Lent, Parting};
use super::places::{Place, Places, Progress};
use super::stream::Stream;
use super::watched::Watched;
use crate::http::lock::{Lock, Visitor, refusal};
use crate::telemetry::SelfMetrics;
use crate::telemetry::events::{ConnectionCut, CutReason};

/// All that a connection needs.
pub struct Door {
    pub router: Router,
    pub lock: Arc<Lock>,
    pub limits: Limits,
    pub places: Arc<Places>,
    pub metrics: SelfMetrics,
}

/// Serves one connection until it ends, yields, stalls, or the server stops.
pub async fn run(
    stream: Box<dyn Stream>,
    visitor: Arc<Visitor>,
    place: Place,
    door: Arc<Door>,
    stopped: watch::Receiver<bool>,
) {
    let stopping = stopped.clone();
    // The server waits until every receiver is gone: this one goes with the connection.
    let _held = stopped.clone();
    let unasked_at_the_end = async {
        stop_of(stopped).await;
        if place.was_asked() {
            std::future::pending::<()>().await;
        }
    };
    let parting = Parting::default();
    let stream = parting.lend(stream);
    let cut = |reason| ConnectionCut { reason }.emit(&door.metrics);
    let conversation = async {
        let cut_short = converse(stream, visitor, place.progress(), &door, stopping).await;
        cut_short.into_iter().for_each(cut);
        parting.farewell().await;
    };
    tokio::select! {
        () = conversation => {}
        // Counted where it was decided.
        () = place.is_cut() => {}
        () = place.is_stalled(&door.limits) => cut(CutReason::Stalled),
        // hyper would wait for a request that may never come.
        () = unasked_at_the_end => {}
    }
}

async fn converse(
    stream: Lent,
    visitor: Arc<Visitor>,
    progress: Progress,
    door: &Arc<Door>,
    stopping: watch::Receiver<bool>,
) -> Option<CutReason> {
    // Over plain TCP nothing settles the version, and waiting for a client to show which one it
    // speaks has no time limit; so it is HTTP/1.
    let Some(config) = door.lock.tls() else {
        http1(stream, visitor, progress, door, stop_of(stopping)).await;
        return None;
    };
    let handshake = TlsAcceptor::from(config.clone()).accept(stream);
    let stream = match tokio::time::timeout(door.limits.handshake, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "no TLS handshake");
            return Some(CutReason::Handshake);
        }
        Err(_) => {
            tracing::debug!("no TLS handshake in time");
            return Some(CutReason::Handshake);
        }
    };
    // A certificate that let the client in may be of no worth any more: it has to come again.
    let ending = async {
        tokio::select! {
            () = stop_of(stopping) => {}
            () = door.lock.is_replaced(&config) => {}
        }
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2(stream, visitor, progress, door, ending).await;
    } else {
        http1(stream, visitor, progress, door, ending).await;
    }
    None
}

async fn http1(
    stream: impl Stream + 'static,
    visitor: Arc<Visitor>,
    progress: Progress,
    door: &Arc<Door>,
    ending: impl Future<Output = ()>,
) {
    let door = door.clone();
    let limits = door.limits;
    let service =
        service_fn(move |request| answer(door.clone(), visitor.clone(), progress.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    to_the_end(connection, ending).await;
}

/// Floods of resets are bounded by hyper's own defaults.
async fn http2(
    stream: impl Stream + 'static,
    visitor: Arc<Visitor>,
    progress: Progress,
    door: &Arc<Door>,
    ending: impl Future<Output = ()>,
) {
    let door = door.clone();
    let limits = door.limits;
    let service =
        service_fn(move |request| answer(door.clone(), visitor.clone(), progress.clone(), request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.http2_ping)
        .keep_alive_timeout(limits.http2_ping)
        .serve_connection(TokioIo::new(stream), service);
    to_the_end(connection, ending).await;
}

/// Ends when the server stops.
pub async fn stop_of(mut stopping: watch::Receiver<bool>) {
    // Fails only when the server is gone.
    let _ = stopping.wait_for(|stops| *stops).await;
}

/// From the end of `ending` on, it takes no more requests, and ends with the answers under way.
async fn to_the_end<C>(connection: C, ending: impl Future<Output = ()>)
where
    C: GracefulConnection<Output = hyper::Result<()>, Error = hyper::Error>,
{
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ending => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The lock first, then the routes. A request's body is never read.
async fn answer(
    door: Arc<Door>,
    visitor: Arc<Visitor>,
    progress: Progress,
    mut request: Request<Incoming>,
) -> Result<Response<Watched>, Infallible> {
    let is_head = request.method() == Method::HEAD;
    let answer = progress.answer();
    let mut response = match admit(&door, &visitor, &mut request).await {
        Ok(()) => {
            TowerToHyperService::new(door.router.clone())
                .call(request)
                .await?
        }
        Err(refusal) => {
            let status = refusal.status().as_u16();
            door.metrics.count_http_request("refused", status);
            // The router does the same for its own answers; over HTTP/2 a body breaks the protocol.
            if is_head {
                without_body(refusal)
            } else {
                refusal
            }
        }
    };
    door.lock.set_headers(&mut response);
    Ok(response.map(|body| Watched::new(body, answer)))
}

/// The length is told all the same: it is that of the answer to GET.
fn without_body(mut response: Response<Body>) -> Response<Body> {
    if let Some(length) = response.body().size_hint().exact() {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    response.map(|_| Body::empty())
}

async fn admit(
    door: &Door,
    visitor: &Visitor,
    request: &mut Request<Incoming>,
) -> Result<(), Response<Body>> {
    let uri = request.uri().path_and_query();
    if uri.is_some_and(|uri| uri.as_str().len() > door.limits.uri_bytes) {
        return Err(refusal(StatusCode::URI_TOO_LONG, "The path is too long.\n"));
    }
    door.lock.admit(visitor, request).await
}
