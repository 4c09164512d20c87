//! Which polls run: one for each query and workspace, made to agree with a new configuration without
//! disturbing those that stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{AbortOnDrop, Poll, Schedule};
use crate::azure::LogsClient;
use crate::catalogue::{Catalogue, QueryDefinition};
use crate::config::Workspace;
use crate::ledger::Ledger;
use crate::snapshot::{PollKey, SnapshotStore};

/// The running polls. Dropping it ends them.
pub struct Poller {
    store: Arc<SnapshotStore>,
    ledger: Ledger,
    polls: BTreeMap<PollKey, Running>,
}

/// How many polls [`Poller::reconcile`] left alone, began, began anew and ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub kept: usize,
    pub started: usize,
    pub restarted: usize,
    pub removed: usize,
}

/// A poll's task, and what it was started with.
struct Running {
    query: Arc<QueryDefinition>,
    workspace: Workspace,
    client: LogsClient,
    stop: oneshot::Sender<()>,
    task: AbortOnDrop<Poll>,
}

impl Running {
    fn start(poll: Poll) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self {
            query: poll.query.clone(),
            workspace: poll.workspace.clone(),
            client: poll.client.clone(),
            stop,
            task: AbortOnDrop(tokio::spawn(poll.keep_running(stopped))),
        }
    }

    fn is_of(&self, query: &QueryDefinition, workspace: &Workspace, client: &LogsClient) -> bool {
        self.client.is_same(client) && self.workspace == *workspace && *self.query == *query
    }

    /// Ends the task, which publishes nothing from now on. What it asked is given up. `None` if it
    /// had ended by itself, which it never should.
    async fn stop(mut self) -> Option<Poll> {
        // Without a receiver the task has ended, and awaiting it says how.
        let _ = self.stop.send(());
        (&mut self.task.0).await.ok()
    }
}

impl Poller {
    /// Starts a poll for each of the catalogue's queries and each workspace. Their runs are spread;
    /// each is on the page as pending from now on.
    pub fn start(
        catalogue: &Catalogue,
        workspaces: &[Workspace],
        client: &LogsClient,
        store: &Arc<SnapshotStore>,
        ledger: &Ledger,
    ) -> Self {
        let mut polls: Vec<Poll> = wanted(catalogue, workspaces, client, store).collect();
        let rush = client.time_for(polls.len());
        for poll in &mut polls {
            poll.starts_in_a_rush(rush);
            poll.begin(ledger, None);
        }
        let polls = polls
            .into_iter()
            .map(|poll| (poll.key.clone(), Running::start(poll)))
            .collect();
        Self {
            store: store.clone(),
            ledger: ledger.clone(),
            polls,
        }
    }

    /// Makes the polls those of this catalogue and these workspaces.
    ///
    /// - One whose query, workspace and client are the same goes on undisturbed.
    /// - One of the same workspace whose definition or client is another begins anew. It keeps its
    ///   counts, and until its first answer the series of those families that the definition still
    ///   has with the same type, help and labels.
    /// - One that is not wanted any more ends, and its series and status leave the snapshot. A
    ///   workspace of the same name with another id counts as another workspace.
    ///
    /// Await it to its end: polls that it has stopped are lost if it is dropped before.
    pub async fn reconcile(
        &mut self,
        catalogue: &Catalogue,
        workspaces: &[Workspace],
        client: &LogsClient,
    ) -> Changes {
        let mut changes = Changes::default();
        let mut starting = Vec::new();
        let mut all = BTreeSet::new();
        for poll in wanted(catalogue, workspaces, client, &self.store) {
            all.insert(poll.key.clone());
            let running = self.polls.get(&poll.key);
            if running.is_some_and(|old| old.is_of(&poll.query, &poll.workspace, client)) {
                changes.kept += 1;
            } else {
                starting.push(poll);
            }
        }
        let gone: Vec<PollKey> = self.polls.keys().cloned().collect();
        for key in gone.into_iter().filter(|key| !all.contains(key)) {
            if let Some(running) = self.polls.remove(&key) {
                running.stop().await;
                self.store.remove(&key);
                changes.removed += 1;
            }
        }
        let rush = client.time_for(starting.len());
        for poll in &mut starting {
            poll.starts_in_a_rush(rush);
        }
        // All stop before the first begins: two definitions of one family never meet on the page.
        for poll in &mut starting {
            let Some(running) = self.polls.remove(&poll.key) else {
                changes.started += 1;
                poll.begin(&self.ledger, None);
                continue;
            };
            changes.restarted += 1;
            let before = running.stop().await;
            if let Some(before) = &before {
                poll.take_over(before);
            }
            poll.begin(&self.ledger, before.and_then(|poll| poll.tally).as_ref());
        }
        for poll in starting {
            self.polls.insert(poll.key.clone(), Running::start(poll));
        }
        changes
    }

    /// Ends all polls; what they asked is given up.
    pub async fn stop(self) {
        futures_util::future::join_all(self.polls.into_values().map(Running::stop)).await;
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kept, {} started, {} restarted, {} removed",
            self.kept, self.started, self.restarted, self.removed
        )
    }
}

/// The polls of these queries and workspaces, none of which runs yet.
fn wanted<'a>(
    catalogue: &'a Catalogue,
    workspaces: &'a [Workspace],
    client: &'a LogsClient,
    store: &'a Arc<SnapshotStore>,
) -> impl Iterator<Item = Poll> + 'a {
    let start = Instant::now();
    let total = catalogue.queries.len() * workspaces.len();
    let pairs = workspaces.iter().flat_map(|workspace| {
        let queries = catalogue.queries.iter();
        queries.map(move |query| (query, workspace))
    });
    pairs.enumerate().map(move |(index, (query, workspace))| {
        let place = index as f64 / total as f64;
        Poll::new(
            query.clone(),
            workspace.clone(),
            client.clone(),
            store.clone(),
            Schedule::new(start, query.interval, place),
        )
    })
}
