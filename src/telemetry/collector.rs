//! The way to the collector that takes our traces: an HTTP client, and who counts what got lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use reqwest::Certificate;
use tokio::runtime::Handle;

use super::events::SpansLost;
use super::traces::{TraceError, TraceExport};
use super::{SelfMetrics, error_chain};

/// A collector's answer is a few bytes.
const BODY_CAP: usize = 64 * 1024;
/// A collector that stays away is worth a log line this often.
const SPACING: Duration = Duration::from_secs(5 * 60);

/// Sends requests on the runtime: the thread that asks it to has none.
#[derive(Debug)]
pub(super) struct Collector {
    client: reqwest::Client,
    runtime: Handle,
    trouble: Trouble,
}

/// Why the last request got no answer; the exporter's own error does not say.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn set(&self, text: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Collector {
    pub fn new(export: &TraceExport) -> Result<Self, TraceError> {
        // As in `azure::transport`: whoever uses the library alone gets the provider here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("vminsights-exporter/", env!("CARGO_PKG_VERSION")))
            // Credentials must not travel where an answer points to.
            .redirect(reqwest::redirect::Policy::none())
            // The export library never sees these, so that it cannot print them.
            .default_headers(export.headers.clone())
            .timeout(export.timeout);
        if let Some(pem) = &export.ca_pem {
            let certificates = Certificate::from_pem_bundle(pem).map_err(TraceError::Ca)?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self {
            client: builder.build().map_err(TraceError::Client)?,
            runtime: Handle::current(),
            trouble: Trouble::default(),
        })
    }

    pub fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let request = request.try_into()?;
        let sent = self.runtime.spawn(exchange(client, request)).await?;
        self.trouble
            .set(sent.as_ref().err().map(|error| error_chain(error.as_ref())));
        sent
    }
}

async fn exchange(
    client: reqwest::Client,
    request: reqwest::Request,
) -> Result<Response<Bytes>, HttpError> {
    let mut response = client
        .execute(request)
        .await
        .map_err(reqwest::Error::without_url)?;
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)?
    {
        if body.len() + chunk.len() > BODY_CAP {
            return Err("the collector's answer is too long".into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response::builder()
        .status(response.status())
        .body(body.into())?)
}

/// An exporter whose losses are counted, and logged once in a while.
#[derive(Debug)]
pub(super) struct Counted<E> {
    exporter: E,
    metrics: SelfMetrics,
    trouble: Trouble,
    logged: Mutex<Option<Instant>>,
}

impl<E> Counted<E> {
    pub fn new(exporter: E, metrics: SelfMetrics, trouble: Trouble) -> Self {
        Self {
            exporter,
            metrics,
            trouble,
            logged: Mutex::default(),
        }
    }

    /// Whether it is time for a line again.
    fn may_log(&self) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let due = logged.is_none_or(|last| last.elapsed() >= SPACING);
        if due {
            *logged = Some(Instant::now());
        }
        due
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let outcome = self.exporter.export(batch).await;
        if let Err(error) = &outcome {
            let error = self.trouble.take().unwrap_or_else(|| error.to_string());
            let lost = SpansLost {
                spans,
                error: &error,
            };
            lost.emit(&self.metrics, self.may_log());
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
