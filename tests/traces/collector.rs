//! A collector on loopback, the log, and polls that leave traces.

use std::convert::Infallible;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;
use vminsights_exporter::exposition::otlp;
use vminsights_exporter::ledger::Ledger;
use vminsights_exporter::poll::Poller;
use vminsights_exporter::snapshot::{PollStatus, SnapshotStore};
use vminsights_exporter::telemetry::SelfMetrics;
use vminsights_exporter::telemetry::traces::TraceExport;

use super::catalogue::catalogue;
use super::rig::{Rig, workspace};
use super::server::{Behaviour, Reply, Seen};

pub const SOON: Duration = Duration::from_secs(20);
pub const API_KEY: &str = "api-key~never.print.this";

/// A collector that takes everything.
pub struct Collector {
    pub address: String,
    pub received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    pub keys: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let keys = Arc::new(Mutex::new(Vec::new()));
        let (taken, seen) = (Arc::clone(&received), Arc::clone(&keys));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (taken, seen) = (Arc::clone(&taken), Arc::clone(&seen));
                let service = hyper::service::service_fn(move |request: Request<_>| {
                    let (taken, seen) = (Arc::clone(&taken), Arc::clone(&seen));
                    async move {
                        assert_eq!(request.uri().path(), "/v1/traces");
                        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                        let key = request.headers()["api-key"].to_str().unwrap().to_owned();
                        seen.lock().unwrap().push(key);
                        let body: hyper::body::Incoming = request.into_body();
                        let body = body.collect().await.unwrap().to_bytes();
                        let message = ExportTraceServiceRequest::decode(body).unwrap();
                        taken.lock().unwrap().push(message);
                        Ok::<_, Infallible>(Response::new(Full::<bytes::Bytes>::default()))
                    }
                });
                connections.spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            address,
            received,
            keys,
            task,
        }
    }

    /// The same over gRPC.
    pub async fn start_grpc() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let desk = Desk::default();
        let (received, keys) = (Arc::clone(&desk.received), Arc::clone(&desk.keys));
        let service = TraceServiceServer::new(desk).accept_compressed(CompressionEncoding::Gzip);
        let serving = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
        Self {
            address,
            received,
            keys,
            task: tokio::spawn(async move { serving.await.unwrap() }),
        }
    }

    pub fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let scopes = received
            .iter()
            .flat_map(|request| &request.resource_spans)
            .flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The traces, oldest first: each a root and its descendants by start.
    pub fn traces(&self) -> Vec<Vec<Span>> {
        let mut spans = self.spans();
        spans.sort_by_key(|span| (span.start_time_unix_nano, span.parent_span_id.len()));
        let roots: Vec<Span> = spans
            .iter()
            .filter(|span| span.parent_span_id.is_empty())
            .cloned()
            .collect();
        roots
            .into_iter()
            .map(|root| {
                let trace = spans.iter().filter(|span| span.trace_id == root.trace_id);
                trace.cloned().collect()
            })
            .collect()
    }
}

impl Collector {
    /// Ends it, its open connections too.
    pub async fn die(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes everything that comes over gRPC.
#[derive(Default)]
struct Desk {
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    keys: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl TraceService for Desk {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let key = request.metadata().get("api-key").unwrap();
        let key = key.to_str().unwrap().to_owned();
        self.keys.lock().unwrap().push(key);
        self.received.lock().unwrap().push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// What was logged.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }
}

impl Write for Log {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn export(endpoint: &str, ratio: f64) -> TraceExport {
    let mut key = HeaderValue::from_static(API_KEY);
    key.set_sensitive(true);
    TraceExport {
        endpoint: endpoint.parse().unwrap(),
        grpc: false,
        headers: HeaderMap::from_iter([("api-key".parse().unwrap(), key)]),
        gzip: false,
        timeout: Duration::from_secs(10),
        ca_pem: None,
        ratio,
        resource: otlp::attributes("host-1:10048", &[]),
    }
}

/// Answers with so many rows.
pub fn rows(count: usize) -> impl Behaviour {
    let rows: Vec<String> = (0..count).map(|n| format!("[\"vm-{n}\", {n}]")).collect();
    let body = format!(
        r#"{{"tables": [{{"name": "PrimaryResult", "columns": [{{"name": "Computer", "type": "string"}}, {{"name": "Rows", "type": "long"}}], "rows": [{}]}}]}}"#,
        rows.join(",")
    );
    move |_: &Seen| Reply::json(200, body.clone())
}

/// Polls until so many runs have ended.
pub async fn poll(rig: &Rig, runs: u64) {
    let store: Arc<SnapshotStore> = Arc::default();
    let poller = Poller::start(
        &catalogue(""),
        &[workspace()],
        &rig.client(),
        &store,
        &Ledger::in_memory(),
    );
    let status =
        |store: &SnapshotStore| -> PollStatus { store.current().polls().next().unwrap().1.clone() };
    let ended = |status: &PollStatus| {
        let failed: u64 = status.failures.values().sum();
        status.was_tried() && status.polls >= runs && failed <= status.polls
    };
    let deadline = tokio::time::Instant::now() + SOON;
    while !ended(&status(&store)) {
        assert!(tokio::time::Instant::now() < deadline, "no run has ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    poller.stop().await;
}

pub fn names(trace: &[Span]) -> Vec<&str> {
    trace.iter().map(|span| span.name.as_str()).collect()
}

pub fn lost(metrics: &SelfMetrics) -> f64 {
    let families = metrics.gather();
    let family = families
        .iter()
        .find(|family| family.name() == "vminsights_exporter_spans_lost_total");
    family.unwrap().get_metric()[0].get_counter().get_value()
}
