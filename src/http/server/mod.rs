//! Connections: who may open one, how many, for how long, and how they end.
//!
//! One rule keeps slow clients from locking out honest ones: **who makes no progress yields**. A
//! connection makes progress when it is accepted, when a whole request head has come, and with each
//! piece of an answer that it takes; with several answers under way, it is as slow as the slowest of
//! them. When as many are open as may be, a new one is still accepted, and the one that has gone longest
//! without progress is cut: a crowd that sits on its connections loses them, a scraper that reads its
//! page does not. Limits by address would not help, as the crowd may share the scraper's.
//!
//! A connection is also cut when it makes no progress for a while, and when one of its answers takes too
//! long as a whole: whoever takes a page byte by byte holds an old page in memory.

mod connection;
mod limits;
mod listen;
mod parting;
mod places;
mod stream;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::lock::{Lock, Visitor};
use crate::telemetry::SelfMetrics;
use connection::Door;
pub use limits::Limits;
use listen::Listener;
pub use listen::{Address, AddressError, BindError, Endpoint};
use places::Places;

/// After a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bound listeners. They take connections from now on, which are answered once it serves.
pub struct Server {
    listeners: Vec<Listener>,
    limits: Limits,
}

impl Server {
    /// Binds all of `addresses`, or none; port 0 takes a free one.
    ///
    /// # Errors
    /// If an address is in use, not ours, or listed twice.
    pub async fn bind(addresses: &[Address], limits: Limits) -> Result<Self, BindError> {
        let mut listeners: Vec<Listener> = Vec::with_capacity(addresses.len());
        for address in addresses {
            let bound = Listener::bind(address).await;
            listeners.push(bound.map_err(|error| told_apart(error, &listeners))?);
        }
        Ok(Self { listeners, limits })
    }

    /// Where it listens, in the order of the addresses; with the port that it took.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.listeners.iter().map(Listener::endpoint)
    }

    /// Answers until `shutdown` ends. Then it takes no more connections or requests, and lets the
    /// answers under way come to their end, for a while.
    pub async fn serve(
        self,
        router: Router,
        lock: Arc<Lock>,
        metrics: SelfMetrics,
        shutdown: impl Future<Output = ()>,
    ) {
        let limits = self.limits;
        let (stop, stopped) = watch::channel(false);
        let exposed = self.endpoints().filter(|endpoint| endpoint.is_exposed());
        let exposed = exposed.cloned().collect();
        let reloads = tokio::spawn(refresh(lock.clone(), exposed, limits.reload));
        let door = Arc::new(Door {
            router,
            lock,
            limits,
            places: Places::new(limits.connections_of_this_process()),
            metrics,
        });
        let mut loops = JoinSet::new();
        for listener in self.listeners {
            loops.spawn(accept(listener, door.clone(), stopped.clone()));
        }
        drop(stopped);
        shutdown.await;
        stop.send_replace(true);
        while loops.join_next().await.is_some() {}
        reloads.abort();
        // Each connection holds a receiver.
        if tokio::time::timeout(limits.grace, stop.closed())
            .await
            .is_err()
        {
            tracing::info!("some connections were still busy when the server stopped");
        }
    }
}

/// An address in use may be our own.
fn told_apart(error: BindError, ours: &[Listener]) -> BindError {
    match error {
        BindError::InUse(endpoint) => {
            let mut held = ours.iter().map(Listener::endpoint);
            match held.find(|held| held.holds(&endpoint)).cloned() {
                Some(held) => BindError::Twice { endpoint, held },
                None => BindError::InUse(endpoint),
            }
        }
        other => other,
    }
}

async fn accept(listener: Listener, door: Arc<Door>, stopped: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            () = connection::stop_of(stopped.clone()) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let visitor = Arc::new(Visitor::new(peer));
                let place = door.places.take(&door.metrics);
                let (door, stopped) = (door.clone(), stopped.clone());
                tokio::spawn(connection::run(stream, visitor, place, door, stopped));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Looks for changed files, off the threads that serve. Warns when what it finds, at the start or
/// later, sends passwords over `exposed` endpoints as they are.
async fn refresh(lock: Arc<Lock>, exposed: Vec<Endpoint>, interval: Duration) {
    let mut were_plain = false;
    loop {
        let are_plain = lock.has_users() && !lock.has_tls();
        if are_plain && !were_plain {
            for endpoint in &exposed {
                tracing::warn!(
                    %endpoint,
                    "passwords travel unencrypted: the web configuration has users and no TLS"
                );
            }
        }
        were_plain = are_plain;
        tokio::time::sleep(interval).await;
        let lock = lock.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || lock.refresh()).await {
            tracing::error!(%error, "the web configuration could not be looked at");
        }
    }
}
