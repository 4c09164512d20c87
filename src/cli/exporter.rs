//! The exporter itself, as `serve` and `demo` both run it: from a configuration file, with no other
//! way in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::Signal;
use tokio::sync::oneshot;

use super::live::Live;
use super::roster::roster;
use super::shard::Shard;
use super::{Failure, configuration, state};
use crate::azure::{Discovery, Environment, LogsClient};
use crate::catalogue::Catalogue;
use crate::config::Settings;
use crate::exposition::otlp;
use crate::http::{Address, Endpoint, Limits, Lock, Reload, Server, Site};
use crate::push::{self, Pusher};
use crate::snapshot::SnapshotStore;
use crate::telemetry::traces::{TraceExport, TraceGuard};
use crate::telemetry::{SelfMetrics, Traces};

#[derive(Args)]
pub struct WebArguments {
    /// Where to listen: ADDRESS:PORT, :PORT for all addresses, or unix:/PATH. May be repeated.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:10048"
    )]
    listen_addresses: Vec<Address>,
    /// TLS, users and headers, in the format that Prometheus' exporters share.
    #[arg(long = "web.config.file", value_name = "FILE")]
    web_config_file: Option<PathBuf>,
    /// The path of the metrics.
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    telemetry_path: String,
    /// Read the configuration again at POST /-/reload, for whoever may read the metrics.
    #[arg(long = "web.enable-lifecycle")]
    enable_lifecycle: bool,
}

impl WebArguments {
    /// Reads the web configuration file, if there is one, and all that it names, off the async threads.
    pub async fn lock(&self, metrics: &SelfMetrics) -> Result<Lock, Failure> {
        let metrics = metrics.clone();
        let Some(file) = self.web_config_file.clone() else {
            return Ok(Lock::open(metrics));
        };
        let loading = tokio::task::spawn_blocking(move || Lock::load(&file, metrics));
        Ok(loading.await.map_err(Failure::failed)??)
    }
}

fn telemetry_path(path: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_.".contains(&b);
    if !path.starts_with('/') || path == "/" || !path.bytes().all(plain) {
        return Err("must begin with / and hold only letters, digits, / - _ and .".into());
    }
    if path.starts_with("/-/") {
        return Err("paths under /-/ are the exporter's own".into());
    }
    Ok(path.into())
}

/// A configuration that has been found good and a bound port: nothing runs yet.
pub struct Exporter {
    config_file: PathBuf,
    shard: Shard,
    enable_lifecycle: bool,
    settings: Settings,
    catalogue: Catalogue,
    client: LogsClient,
    discovery: Option<Discovery>,
    pusher: Option<Pusher>,
    metrics: SelfMetrics,
    server: Server,
    lock: Arc<Lock>,
    telemetry_path: Arc<str>,
    traces: Option<TraceGuard>,
}

impl Exporter {
    /// Reads the configuration, then binds: a bad configuration binds nothing.
    pub async fn prepare(
        config_file: &Path,
        web: &WebArguments,
        shard: Shard,
        traces: Traces,
    ) -> Result<Self, Failure> {
        let metrics = SelfMetrics::new().map_err(Failure::failed)?;
        metrics.set_shard(shard.index(), shard.count());
        let checked = Checked::load(config_file, &metrics, &metrics)?;
        let lock = Arc::new(web.lock(&metrics).await?);
        let server = Server::bind(&web.listen_addresses, Limits::default())
            .await
            .map_err(Failure::failed)?;
        let mut exporter = Self {
            config_file: config_file.into(),
            shard,
            enable_lifecycle: web.enable_lifecycle,
            settings: checked.settings,
            catalogue: checked.catalogue,
            client: checked.client,
            discovery: checked.discovery,
            pusher: checked.pusher,
            metrics,
            server,
            lock,
            telemetry_path: web.telemetry_path.as_str().into(),
            traces: None,
        };
        if let Some(mut export) = checked.traces {
            export.resource = exporter.resource();
            let guard = traces.start(export, &exporter.metrics);
            exporter.traces = Some(guard.map_err(Failure::configuration)?);
        }
        Ok(exporter)
    }

    /// Where the metrics are; the first address, if there are several.
    pub fn url(&self) -> String {
        let scheme = if self.lock.has_tls() { "https" } else { "http" };
        match self.server.endpoints().next() {
            Some(Endpoint::Tcp(address)) => format!("{scheme}://{address}{}", self.telemetry_path),
            Some(endpoint @ Endpoint::Unix(_)) => format!("{endpoint} {}", self.telemetry_path),
            None => String::new(),
        }
    }

    /// Who we are, for a receiver of metrics or traces.
    fn resource(&self) -> Vec<(String, String)> {
        let overrides = self.settings.otlp.as_ref().map(|otlp| &*otlp.resource);
        otlp::attributes(&push::instance(&self.url()), overrides.unwrap_or_default())
    }

    /// Polls and serves until `shutdown` ends; reads the configuration again at each `hangup`.
    pub async fn run(self, shutdown: impl Future<Output = ()>, hangup: Option<Signal>) {
        let store = Arc::new(SnapshotStore::default());
        let workspaces = roster(self.shard, &self.settings.workspaces, &[]);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            workspaces = workspaces.len(),
            queries = self.catalogue.queries.len(),
            metrics = self.url(),
            "serving"
        );
        let instance = push::instance(&self.url());
        let ledger = state::open(self.settings.state.clone(), &self.metrics).await;
        let keeping = tokio::spawn(state::keep(ledger.clone(), self.metrics.clone()));
        let live = Live::start(
            (self.config_file, self.shard),
            self.settings,
            self.catalogue,
            (self.client, self.discovery),
            self.metrics.clone(),
            &store,
            &ledger,
        );
        let about = live.about();
        let (reload, asked) = Reload::channel();
        let (stop, stopped) = oneshot::channel();
        let live = tokio::spawn(live.run(hangup, asked, stopped));
        let push = self
            .pusher
            .map(|pusher| pusher.start(store.clone(), &instance));
        let site = Site {
            store,
            metrics: self.metrics.clone(),
            telemetry_path: self.telemetry_path,
            about,
            lifecycle: self.enable_lifecycle.then_some(reload),
        };
        self.server
            .serve(site.router(), self.lock, self.metrics, shutdown)
            .await;
        // Without a receiver it has ended already.
        let _ = stop.send(());
        let _ = live.await;
        keeping.abort();
        if let Some(push) = push {
            push.stop().await;
        }
        if let Some(traces) = self.traces {
            traces.stop().await;
        }
        tracing::info!("ended");
    }
}

/// Everything that can be known of a configuration without a network.
pub struct Checked {
    pub settings: Settings,
    pub catalogue: Catalogue,
    pub client: LogsClient,
    pub discovery: Option<Discovery>,
    pusher: Option<Pusher>,
    traces: Option<TraceExport>,
}

impl Checked {
    /// Reads the configuration and all that it names. Warnings are logged. The push's counters go to
    /// `push_metrics`, all others to `metrics`.
    pub fn load(
        config_file: &Path,
        metrics: &SelfMetrics,
        push_metrics: &SelfMetrics,
    ) -> Result<Self, Failure> {
        let (settings, catalogue) = configuration::load(config_file)?;
        for warning in &catalogue.warnings {
            tracing::warn!("{warning}");
        }
        let client =
            LogsClient::new(&settings.azure, metrics.clone()).map_err(Failure::configuration)?;
        let discovery = settings.discover.as_ref().map(|discover| {
            Discovery::new(
                &settings.azure,
                discover.clone(),
                metrics,
                Environment::process(),
            )
        });
        let discovery = discovery.transpose().map_err(Failure::configuration)?;
        let otlp = settings.otlp.as_ref();
        let pusher = otlp.map(|otlp| Pusher::new(otlp, push_metrics)).transpose();
        let pusher = pusher.map_err(Failure::configuration)?.flatten();
        let traces = otlp.and_then(|otlp| otlp.traces.as_ref());
        let traces = traces.map(super::traces::export).transpose();
        let traces = traces.map_err(Failure::configuration)?;
        Ok(Self {
            settings,
            catalogue,
            client,
            discovery,
            pusher,
            traces,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_telemetry_path_is_a_plain_path_that_is_free() {
        assert_eq!(telemetry_path("/metrics/vm"), Ok("/metrics/vm".into()));
        for bad in ["metrics", "/", "/-/ready", "/{id}", "/a?b"] {
            assert!(telemetry_path(bad).is_err(), "{bad}");
        }
    }
}
