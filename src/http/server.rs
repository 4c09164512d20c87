//! Connections: how many, for how long, and how they end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::telemetry::SelfMetrics;
use crate::telemetry::events::ConnectionRefused;

/// Open at one time; more are closed at once, so that a flood costs a flood of handshakes.
const MAX_CONNECTIONS: usize = 512;
/// For a request's head, and so for an idle connection too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// For the answers that are under way when the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// After a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("address {0} is in use by another program; choose another with --web.listen-address")]
    InUse(SocketAddr),
    #[error("cannot listen on {address}")]
    Other {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// A bound listener. It accepts from now on; it answers once it serves.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// If the address is in use or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let other = |source| BindError::Other { address, source };
        let listener = match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(BindError::InUse(address));
            }
            bound => bound.map_err(other)?,
        };
        let address = listener.local_addr().map_err(other)?;
        Ok(Self { listener, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` ends, then lets the answers under way finish for a moment.
    pub async fn serve(
        self,
        router: Router,
        metrics: SelfMetrics,
        shutdown: impl Future<Output = ()>,
    ) {
        // HTTP/1 only: Prometheus speaks no HTTP/2 without TLS, and while the version is still open, no
        // time limit holds for a client that sends nothing.
        let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT);
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let service = TowerToHyperService::new(router);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(slot) = slots.clone().try_acquire_owned() else {
                let limit = MAX_CONNECTIONS;
                ConnectionRefused { limit }.emit(&metrics);
                continue;
            };
            let connection = http.serve_connection(TokioIo::new(stream), service.clone());
            let connection = graceful.watch(connection.into_owned());
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(error, "a connection ended early");
                }
                drop(slot);
            });
        }
        drop(self.listener);
        if tokio::time::timeout(GRACE, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::info!("some connections were still busy when the server stopped");
        }
    }
}
