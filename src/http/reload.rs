//! `/-/reload`: asks whoever holds the configuration to read it again, and waits for what became of it.

use axum::http::StatusCode;
use tokio::sync::{mpsc, oneshot};

/// Where the outcome is awaited: what to say of it, good or bad, in text without secrets.
pub type ReloadRequest = oneshot::Sender<Result<String, String>>;

/// How many may wait; a reload takes a moment, and one is as good as ten.
const WAITING: usize = 8;

/// The way to the one who reloads. Requests are served one after the other.
#[derive(Clone, Debug)]
pub struct Reload(mpsc::Sender<ReloadRequest>);

impl Reload {
    /// A way, and where its requests come out.
    pub fn channel() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// 200 once the new configuration is in use, 500 with its problems, 503 while the exporter ends.
    pub(super) async fn answer(&self) -> (StatusCode, String) {
        let (done, outcome) = oneshot::channel();
        let ending = || {
            let text = "The exporter is ending.\n";
            (StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
        };
        if self.0.send(done).await.is_err() {
            return ending();
        }
        match outcome.await {
            Ok(Ok(text)) => (StatusCode::OK, format!("{text}\n")),
            Ok(Err(text)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{text}\n")),
            Err(_) => ending(),
        }
    }
}
