//! Looks for workspaces again and again, beside the polls.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::azure::{Discovery, Found};
use crate::telemetry::error_chain;
use crate::telemetry::events::DiscoveryFailed;

/// After a failure the next try is this soon; each further failure doubles it, up to the interval.
const SOON: Duration = Duration::from_secs(10);

/// A running search. Dropping it ends it.
pub struct Seeker {
    lists: mpsc::Receiver<Vec<Found>>,
    _task: JoinSet<()>,
}

impl Seeker {
    /// Looks now, and then at this interval.
    pub fn start(discovery: Discovery, interval: Duration) -> Self {
        let (tell, lists) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(seek(discovery, interval, tell));
        Self { lists, _task: task }
    }

    /// The next list. One that cannot be had is logged, and not waited for here.
    pub async fn next(&mut self) -> Vec<Found> {
        match self.lists.recv().await {
            Some(list) => list,
            // Only with the runtime.
            None => std::future::pending().await,
        }
    }
}

async fn seek(discovery: Discovery, interval: Duration, tell: mpsc::Sender<Vec<Found>>) {
    let mut soon = SOON;
    loop {
        let wait = match discovery.find().await {
            Ok(found) => {
                if tell.send(found).await.is_err() {
                    return;
                }
                soon = SOON;
                interval
            }
            Err(error) => {
                let wait = soon.min(interval);
                soon = wait * 2;
                DiscoveryFailed {
                    error: &error_chain(&error),
                    hint: error.hint(),
                    again_in: wait,
                }
                .emit();
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}
