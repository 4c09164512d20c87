//! The configuration that is in use, and how another takes its place while the exporter runs.
//!
//! Asked by SIGHUP or `/-/reload`, one reload after the other. A configuration that `check` refuses
//! changes nothing.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};

use super::Failure;
use super::about::about;
use super::exporter::Checked;
use super::shard::Shard;
use crate::azure::LogsClient;
use crate::catalogue::Catalogue;
use crate::config::Settings;
use crate::http::{About, ReloadRequest};
use crate::ledger::Ledger;
use crate::poll::Poller;
use crate::snapshot::SnapshotStore;
use crate::telemetry::SelfMetrics;
use crate::telemetry::events::{ConfigRefused, ConfigReloaded};

/// What a reload cannot change, for the log and the answer.
const OTLP_NEEDS_RESTART: &str = "the otlp settings changed: they take effect with a restart";

/// The running polls and what they were made from.
pub struct Live {
    config_file: PathBuf,
    shard: Shard,
    settings: Settings,
    client: LogsClient,
    metrics: SelfMetrics,
    poller: Poller,
    about: Arc<ArcSwap<About>>,
}

impl Live {
    /// Starts to poll.
    pub fn start(
        (config_file, shard): (PathBuf, Shard),
        settings: Settings,
        catalogue: &Catalogue,
        client: LogsClient,
        metrics: SelfMetrics,
        store: &Arc<SnapshotStore>,
        ledger: &Ledger,
    ) -> Self {
        Self {
            poller: Poller::start(catalogue, &settings.workspaces, &client, store, ledger),
            about: Arc::new(ArcSwap::from_pointee(about(&settings, catalogue))),
            config_file,
            shard,
            settings,
            client,
            metrics,
        }
    }

    /// What the status page says of the configuration, always that in use.
    pub fn about(&self) -> Arc<ArcSwap<About>> {
        self.about.clone()
    }

    /// Reloads when asked to, until told to stop; then ends the polls. A reload that has begun is
    /// brought to its end.
    pub async fn run(
        mut self,
        mut hangup: Option<Signal>,
        mut asked: mpsc::Receiver<ReloadRequest>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        loop {
            let hung_up = async {
                match &mut hangup {
                    // None ends only with the runtime.
                    Some(signal) => signal.recv().await.unwrap_or(()),
                    None => std::future::pending().await,
                }
            };
            let requested = async {
                match asked.recv().await {
                    Some(request) => request,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                () = hung_up => {
                    // The log has it.
                    let _ = self.reload().await;
                }
                request = requested => {
                    let outcome = self.reload().await;
                    // Whoever asked may have gone.
                    let _ = request.send(outcome.map_err(|failure| failure.to_string()));
                }
            }
        }
        self.poller.stop().await;
    }

    /// Reads the configuration again and applies it, or says why not.
    async fn reload(&mut self) -> Result<String, Failure> {
        let (file, metrics, shard) = (self.config_file.clone(), self.metrics.clone(), self.shard);
        let loading = tokio::task::spawn_blocking(move || {
            // The push goes on as it is: its counters are not added to ours a second time.
            let unused = SelfMetrics::new().map_err(Failure::failed)?;
            Checked::load(&file, shard, &metrics, &unused)
        });
        let loaded = loading.await.map_err(Failure::failed).flatten();
        match loaded {
            Ok(checked) => Ok(self.apply(checked).await),
            Err(failure) => {
                ConfigRefused { problems: &failure }.emit(&self.metrics);
                Err(failure)
            }
        }
    }

    async fn apply(&mut self, checked: Checked) -> String {
        let Checked {
            settings,
            catalogue,
            client,
            ..
        } = checked;
        if settings.azure != self.settings.azure {
            self.client = client;
        }
        let changes = self
            .poller
            .reconcile(&catalogue, &settings.workspaces, &self.client)
            .await;
        self.about.store(Arc::new(about(&settings, &catalogue)));
        let otlp_changed = settings.otlp != self.settings.otlp;
        // What runs is still the old push: the next reload has to say so, too.
        let otlp = self.settings.otlp.take();
        self.settings = Settings { otlp, ..settings };
        let note = otlp_changed.then_some(OTLP_NEEDS_RESTART);
        ConfigReloaded {
            file: &self.config_file,
            changes: &changes,
            note,
        }
        .emit(&self.metrics);
        let note = note.map(|note| format!("; {note}")).unwrap_or_default();
        format!("Reloaded: polls: {changes}{note}")
    }
}
