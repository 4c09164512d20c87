//! The configuration that is in use, and how another takes its place while the exporter runs.
//!
//! Asked by SIGHUP or `/-/reload`, one reload after the other. A configuration that `check` refuses
//! changes nothing. Lists of workspaces that are found take their turn with reloads, so that the polls
//! have one owner.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};

use super::Failure;
use super::about::about;
use super::demand::{Demand, EXPECTED_SECONDS};
use super::exporter::Checked;
use super::known::Known;
use super::roster::{roster, tell};
use super::seeker::Seeker;
use super::shard::Shard;
use crate::azure::{Discovery, Found, LogsClient};
use crate::catalogue::Catalogue;
use crate::config::{Settings, Workspace};
use crate::http::{About, ReloadRequest};
use crate::ledger::Ledger;
use crate::poll::{Changes, Poller};
use crate::snapshot::SnapshotStore;
use crate::telemetry::SelfMetrics;
use crate::telemetry::events::{ConfigRefused, ConfigReloaded};

/// What a reload cannot change, for the log and the answer.
const OTLP_NEEDS_RESTART: &str = "the otlp settings changed: they take effect with a restart";
const STATE_NEEDS_RESTART: &str = "state.path changed: it takes effect with a restart";

/// The running polls and what they were made from.
pub struct Live {
    config_file: PathBuf,
    shard: Shard,
    settings: Settings,
    catalogue: Catalogue,
    client: LogsClient,
    metrics: SelfMetrics,
    /// `None`: nothing is looked for.
    seeker: Option<Seeker>,
    /// The last list that was found; `None`: there was none yet.
    found: Option<Vec<Found>>,
    /// Those that are asked.
    workspaces: Vec<Workspace>,
    poller: Poller,
    about: Arc<ArcSwap<About>>,
}

impl Live {
    /// Starts to poll what is listed, and to look for more.
    pub fn start(
        (config_file, shard): (PathBuf, Shard),
        settings: Settings,
        catalogue: Catalogue,
        (client, discovery): (LogsClient, Option<Discovery>),
        metrics: SelfMetrics,
        store: &Arc<SnapshotStore>,
        ledger: &Ledger,
    ) -> Self {
        let workspaces = roster(shard, &settings.workspaces, &[]);
        let seeker = search(&settings, discovery);
        let about = about(&settings, &catalogue, &workspaces, seeker.is_some());
        let live = Self {
            poller: Poller::start(&catalogue, &workspaces, &client, store, ledger),
            about: Arc::new(ArcSwap::from_pointee(about)),
            config_file,
            shard,
            settings,
            catalogue,
            client,
            metrics,
            seeker,
            found: None,
            workspaces,
        };
        live.tell_what_is_known();
        live
    }

    /// What the status page says of the configuration, always that in use.
    pub fn about(&self) -> Arc<ArcSwap<About>> {
        self.about.clone()
    }

    /// Reloads when asked to and takes in what is found, until told to stop; then ends the polls. A
    /// reload that has begun is brought to its end.
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
            let found = async {
                match &mut self.seeker {
                    Some(seeker) => seeker.next().await,
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
                found = found => {
                    self.found = Some(found);
                    self.agree().await;
                }
            }
        }
        self.poller.stop().await;
    }

    /// Reads the configuration again and applies it, or says why not.
    async fn reload(&mut self) -> Result<String, Failure> {
        let (file, metrics) = (self.config_file.clone(), self.metrics.clone());
        let loading = tokio::task::spawn_blocking(move || {
            // The push goes on as it is: its counters are not added to ours a second time.
            let unused = SelfMetrics::new().map_err(Failure::failed)?;
            Checked::load(&file, &metrics, &unused)
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
            discovery,
            ..
        } = checked;
        if settings.azure != self.settings.azure || settings.discover != self.settings.discover {
            // Until the new search has a list, the old one is better than none.
            self.seeker = search(&settings, discovery);
        }
        if settings.discover.is_none() {
            self.found = None;
        }
        if settings.azure != self.settings.azure {
            self.client = client;
        }
        let notes = [
            (settings.otlp != self.settings.otlp).then_some(OTLP_NEEDS_RESTART),
            (settings.state != self.settings.state).then_some(STATE_NEEDS_RESTART),
        ];
        // What runs are still the old push and state: the next reload has to say so, too.
        let (otlp, state) = (self.settings.otlp.take(), self.settings.state.take());
        self.settings = Settings {
            otlp,
            state,
            ..settings
        };
        self.catalogue = catalogue;
        let changes = self.agree().await;
        let notes: Vec<&str> = notes.into_iter().flatten().collect();
        let note = notes.join("; ");
        ConfigReloaded {
            file: &self.config_file,
            changes: &changes,
            note: (!note.is_empty()).then_some(&note),
        }
        .emit(&self.metrics);
        let note = notes
            .iter()
            .map(|note| format!("; {note}"))
            .collect::<String>();
        format!("Reloaded: polls: {changes}{note}")
    }

    /// Makes the polls and the status page agree with the configuration and with what was found.
    async fn agree(&mut self) -> Changes {
        let found = self.found.iter().flatten();
        let found: Vec<Workspace> = found.map(|one| one.workspace.clone()).collect();
        let workspaces = roster(self.shard, &self.settings.workspaces, &found);
        let (poller, client) = (&mut self.poller, &self.client);
        let changes = poller.reconcile(&self.catalogue, &workspaces, client).await;
        if workspaces != self.workspaces {
            tell(&self.workspaces, &workspaces);
            self.warn_of_demand(workspaces.len());
            self.workspaces = workspaces;
        }
        self.tell_what_is_known();
        let is_searching = self.seeker.is_some() && self.found.is_none();
        let about = about(
            &self.settings,
            &self.catalogue,
            &self.workspaces,
            is_searching,
        );
        self.about.store(Arc::new(about));
        changes
    }

    fn tell_what_is_known(&self) {
        let found = self.found.as_deref().unwrap_or_default();
        let known = Known::of(&self.workspaces, found, self.settings.discover.as_ref());
        let labels: Vec<&str> = known.labels.iter().map(String::as_str).collect();
        if let Err(error) = self.metrics.set_workspaces(&labels, &known.rows) {
            tracing::error!(%error, "cannot publish what is known of the workspaces");
        }
    }

    /// `check` could not know how many are found.
    fn warn_of_demand(&self, workspaces: usize) {
        let intervals = self.catalogue.queries.iter().map(|query| query.interval);
        let demand = Demand::of(workspaces, intervals, EXPECTED_SECONDS);
        if let Err(error) = demand.fits(self.settings.azure.budget) {
            tracing::warn!(workspaces, "{error}");
        }
    }
}

fn search(settings: &Settings, discovery: Option<Discovery>) -> Option<Seeker> {
    let interval = settings.discover.as_ref()?.interval;
    Some(Seeker::start(discovery?, interval))
}
