//! The exporter's own traces: its spans, sent to a collector over OTLP.
//!
//! Logging starts before the configuration is read, so the layer that takes spans is there from the
//! start and takes none: [`layer`]. [`Traces::start`] turns it on.
//!
//! No poll waits for a collector. Ended spans go to a bounded queue; a thread sends them in batches,
//! each once: a lost batch of spans is worth less than a queue that stands still.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::trace::{SpanBuilder, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, Protocol, RetryPolicy, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};
use reqwest::header::HeaderMap;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, ClientTlsConfig};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use super::SelfMetrics;
use super::collector::{Collector, Counted, Trouble};

/// Where traces go, and how many.
pub struct TraceExport {
    /// For HTTP the whole address, path included: `https://collector.example:4318/v1/traces`; for gRPC
    /// without a path.
    pub endpoint: Url,
    /// Over gRPC, else HTTP.
    pub grpc: bool,
    /// Sent with each request; credentials among them must be marked as sensitive.
    pub headers: HeaderMap,
    pub gzip: bool,
    /// For one request, from connecting to the answer's last byte.
    pub timeout: Duration,
    /// Trust roots beside the system's, in PEM form.
    pub ca_pem: Option<Vec<u8>>,
    /// The share of polls that is traced, 0 to 1.
    pub ratio: f64,
    /// Who we are: `service.name` and the like.
    pub resource: Vec<(String, String)>,
}

/// Traces that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("traces: the collector's certificates must be in PEM form")]
    Ca(#[source] reqwest::Error),
    #[error("traces: no HTTP client can be built for the collector")]
    Client(#[source] reqwest::Error),
    #[error("traces: the exporter cannot be built")]
    Exporter(#[from] ExporterBuildError),
    #[error("traces: they are on already")]
    Twice,
}

/// The switch of a [`layer`]. Clones switch the same one.
#[derive(Clone)]
pub struct Traces(Arc<Switch>);

struct Switch {
    on: AtomicBool,
    tracer: OnceLock<SdkTracer>,
    /// What the layer's type asks for while there is none; it is never asked for a span.
    idle: SdkTracer,
}

/// The layer that makes traces of spans, and its switch, which is off.
pub fn layer<S>() -> (impl Layer<S> + Send + Sync, Traces)
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOff)
        .build();
    let switch = Arc::new(Switch {
        on: AtomicBool::new(false),
        tracer: OnceLock::new(),
        idle: provider.tracer(SCOPE),
    });
    let asked = Arc::clone(&switch);
    // Spans only: events are the log's, and a library's spans are its own affair.
    let ours = filter_fn(move |metadata| {
        metadata.is_span()
            && metadata.target().starts_with(SPANS)
            && asked.on.load(Ordering::Relaxed)
    })
    .with_max_level_hint(LevelFilter::INFO);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(SwitchedTracer(Arc::clone(&switch)))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(ours);
    (layer, Traces(switch))
}

const SCOPE: &str = "vminsights-exporter";
const SPANS: &str = "vminsights_exporter::telemetry::spans";
/// Spans that wait to be sent: some hundred polls.
const QUEUE: usize = 2_048;
/// How long the last spans may hold up the process' end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

impl Traces {
    /// Turns traces on. Asks nobody yet; whether the collector answers is seen in the metrics.
    /// Needs to be called within the runtime that requests to the collector will run on.
    ///
    /// # Errors
    /// If the export's settings cannot be used, or traces were on before.
    pub fn start(
        &self,
        export: TraceExport,
        metrics: &SelfMetrics,
    ) -> Result<TraceGuard, TraceError> {
        let (exporter, trouble) = match export.grpc {
            true => (over_grpc(&export)?, Trouble::default()),
            false => over_http(&export)?,
        };
        let counted = Counted::new(exporter, metrics.clone(), trouble);
        let batches = opentelemetry_sdk::trace::BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(
                opentelemetry_sdk::trace::BatchSpanProcessor::builder(counted)
                    .with_batch_config(batches)
                    .build(),
            )
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                export.ratio,
            ))))
            .with_resource(
                Resource::builder_empty()
                    .with_attributes(
                        export
                            .resource
                            .into_iter()
                            .map(|(key, value)| KeyValue::new(key, value)),
                    )
                    .build(),
            )
            .build();
        self.0
            .tracer
            .set(provider.tracer(SCOPE))
            .map_err(|_| TraceError::Twice)?;
        self.turn(true);
        Ok(TraceGuard {
            provider,
            traces: self.clone(),
        })
    }

    fn turn(&self, on: bool) {
        self.0.on.store(on, Ordering::Relaxed);
        // Each span's place remembers whether anybody wants it.
        tracing::callsite::rebuild_interest_cache();
    }
}

fn over_http(export: &TraceExport) -> Result<(SpanExporter, Trouble), TraceError> {
    let collector = Collector::new(export)?;
    let trouble = collector.trouble();
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_endpoint(export.endpoint.as_str())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(export.timeout)
        .with_retry_policy(RetryPolicy::disabled());
    if export.gzip {
        exporter = exporter.with_compression(Compression::Gzip);
    }
    Ok((exporter.build()?, trouble))
}

fn over_grpc(export: &TraceExport) -> Result<SpanExporter, TraceError> {
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(export.endpoint.as_str())
        .with_timeout(export.timeout)
        .with_metadata(MetadataMap::from_headers(export.headers.clone()))
        .with_retry_policy(RetryPolicy::disabled());
    if export.gzip {
        exporter = exporter.with_compression(Compression::Gzip);
    }
    if export.endpoint.scheme() == "https" {
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(pem) = &export.ca_pem {
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        exporter = exporter.with_tls_config(tls);
    }
    Ok(exporter.build()?)
}

/// Traces that are on.
pub struct TraceGuard {
    provider: SdkTracerProvider,
    traces: Traces,
}

impl TraceGuard {
    /// Sends what is left, which takes a few seconds at most, and turns traces off.
    pub async fn stop(self) {
        self.traces.turn(false);
        let provider = self.provider;
        // It waits for the sending thread, which waits for this runtime.
        let flushed =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT));
        if let Ok(Err(error)) = flushed.await {
            tracing::debug!(%error, "the last traces may be lost");
        }
    }

    /// Sends what has ended so far.
    pub async fn flush(&self) {
        let provider = self.provider.clone();
        let flushed = tokio::task::spawn_blocking(move || provider.force_flush());
        if let Ok(Err(error)) = flushed.await {
            tracing::debug!(%error, "traces were not sent");
        }
    }
}

/// The tracer of the moment.
struct SwitchedTracer(Arc<Switch>);

impl Tracer for SwitchedTracer {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        let tracer = self.0.tracer.get().unwrap_or(&self.0.idle);
        tracer.build_with_context(builder, parent)
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").field(&self.0.on).finish()
    }
}
