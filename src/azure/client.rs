//! The client: one query to one workspace, and what became of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::chain::SignIn;
use super::credential::host_of;
use super::environment::Environment;
use super::failure::{QueryFailure, Step};
use super::hints;
use super::token::{Counting, Token, TokenCache};
use super::transport::{ClientError, azure_client};
use super::verdict::Reply;
use super::wire::Decoded;
use crate::config::{AzureSettings, Workspace};
use crate::table::ResultTable;
use crate::telemetry::events::ApiRequest;
use crate::telemetry::{FailureReason, SelfMetrics, spans};

/// Azure runs five queries at a time for one identity and queues the others; one is left for the
/// people who use that identity too.
const CONCURRENT_REQUESTS: usize = 4;
/// Azure itself stops at about 100 MiB of raw data.
const BODY_CAP: usize = 256 * 1024 * 1024;
/// What takes longer to decode than a task may keep its thread.
const DECODE_ELSEWHERE: usize = 256 * 1024;
/// The longest time that the service can be asked to work on a query.
const LONGEST_WAIT: u64 = 600;

/// Asks workspaces through the Logs Query API. Cheap to clone; clones share connections, token and
/// slots.
#[derive(Clone)]
pub struct LogsClient(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    /// Without a slash at its end.
    address: String,
    host: String,
    tokens: TokenCache,
    slots: Semaphore,
    metrics: SelfMetrics,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub table: ResultTable,
    /// When the answer had come.
    pub received: Timestamp,
    /// The body's size, decompressed.
    pub body_bytes: u64,
    /// Rows that are not in the table because a cell was not of its column's type.
    pub unreadable_rows: u64,
}

impl LogsClient {
    /// Builds TLS, proxy and credential; asks nobody yet.
    ///
    /// # Errors
    /// If a setting cannot be used; the error names it.
    pub fn new(settings: &AzureSettings, metrics: SelfMetrics) -> Result<Self, ClientError> {
        Self::with_environment(settings, metrics, Environment::process())
    }

    /// The same, where the environment's variables are these.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_environment(
        settings: &AzureSettings,
        metrics: SelfMetrics,
        environment: Environment,
    ) -> Result<Self, ClientError> {
        let logs = &settings.endpoints.logs;
        Ok(Self(Arc::new(Inner {
            http: azure_client(settings)?,
            address: logs.as_str().trim_end_matches('/').to_owned(),
            host: host_of(logs),
            tokens: TokenCache::new(
                Box::new(SignIn::new(settings, environment)?),
                Counting::logs(&metrics),
            ),
            slots: Semaphore::new(CONCURRENT_REQUESTS),
            metrics,
        })))
    }

    /// Runs one query. `timeout` covers it all: sign-in, waiting for a slot, request and body.
    ///
    /// # Errors
    /// If there is no answer, or not a whole one.
    pub async fn query(
        &self,
        workspace: &Workspace,
        kql: &str,
        timeout: Duration,
    ) -> Result<Answer, QueryFailure> {
        let question = Question {
            client: &self.0,
            workspace,
            kql,
            timeout,
            started: Instant::now(),
        };
        question.ask().await
    }
}

impl fmt::Debug for LogsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogsClient").field(&self.0.address).finish()
    }
}

/// One call of [`LogsClient::query`].
struct Question<'a> {
    client: &'a Inner,
    workspace: &'a Workspace,
    kql: &'a str,
    timeout: Duration,
    started: Instant,
}

impl Question<'_> {
    async fn ask(&self) -> Result<Answer, QueryFailure> {
        let unsent = |failure: &QueryFailure| {
            self.report(self.started, None, Some(failure.reason));
        };
        let (mut token, _slot) = self.prepare().await.inspect_err(unsent)?;
        let mut resends = 0;
        loop {
            let (status, outcome) = self.send(&token, resends).await;
            resends += 1;
            if status != Some(401) {
                return outcome;
            }
            // The service does not take this token, whatever its expiry says. A new one may help if
            // this one was held for a while; if it was issued for this very query, it will not.
            self.client.tokens.discard(&token);
            if !token.older_than(self.started) {
                return outcome;
            }
            token = self.token().await.inspect_err(unsent)?;
        }
    }

    /// A token, then a slot: a slow sign-in keeps nobody from the slots.
    async fn prepare(
        &self,
    ) -> Result<(Arc<Token>, tokio::sync::SemaphorePermit<'_>), QueryFailure> {
        let token = self.token().await?;
        let slot = self
            .in_time(Step::Slot, self.client.slots.acquire())
            .await?
            .map_err(|_| QueryFailure::new(FailureReason::Internal, "the client is closed"))?;
        Ok((token, slot))
    }

    async fn token(&self) -> Result<Arc<Token>, QueryFailure> {
        self.in_time(Step::SignIn, self.client.tokens.token())
            .await?
            .map_err(QueryFailure::signing_in)
    }

    /// Sends the query and reports the request; the status is there if an answer began.
    async fn send(
        &self,
        token: &Token,
        resends: u32,
    ) -> (Option<u16>, Result<Answer, QueryFailure>) {
        let started = Instant::now();
        let request_id = Uuid::new_v4();
        let mut status = None;
        let url = format!(
            "{}/v1/workspaces/{}/query",
            self.client.address, self.workspace.id
        );
        let span = spans::query(&self.client.host, &url, resends);
        let fetched = self
            .fetch(&url, token, request_id, &mut status)
            .instrument(span.clone())
            .await;
        let fetched_whole = fetched.is_ok();
        let outcome = async { self.decode(fetched?).await }
            .await
            .map_err(|failure| {
                let mut failure = failure.scrubbed(token.expose());
                failure.request_id = Some(request_id);
                failure
            });
        let failure = outcome.as_ref().err().map(|failure| failure.reason);
        // What is wrong with a success is its decoding's affair.
        if let Some(reason) = failure
            && !(fetched_whole && status.is_some_and(is_success))
        {
            spans::failed(&span, reason);
        }
        self.report(started, status, failure);
        (status, outcome)
    }

    /// Sends one request and reads what comes, to its end.
    async fn fetch(
        &self,
        url: &str,
        token: &Token,
        request_id: Uuid,
        status: &mut Option<u16>,
    ) -> Result<Fetched, QueryFailure> {
        let client = self.client;
        let wait = self.timeout.as_secs().clamp(1, LONGEST_WAIT);
        let request = client
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, token.header())
            // Answers are cached for two minutes, and would be new only in name.
            .header(CACHE_CONTROL, "no-cache")
            .header("Prefer", format!("wait={wait}"))
            .header("x-ms-client-request-id", request_id.to_string())
            .body(serde_json::json!({ "query": self.kql }).to_string());
        let lost = |error| QueryFailure::network(&client.host, error);

        let mut response = self
            .in_time(Step::Answer, request.send())
            .await?
            .map_err(lost)?;
        let code = response.status().as_u16();
        *status = Some(code);
        spans::answered(&Span::current(), code);
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);

        let mut body = Vec::new();
        while let Some(chunk) = self
            .in_time(Step::Body, response.chunk())
            .await?
            .map_err(lost)?
        {
            append(&mut body, &chunk, BODY_CAP)?;
        }

        Ok(Fetched {
            status: code,
            retry_after,
            body,
            received: Timestamp::now(),
        })
    }

    async fn decode(&self, fetched: Fetched) -> Result<Answer, QueryFailure> {
        let received = fetched.received;
        let body_bytes = fetched.body.len() as u64;
        let span = if is_success(fetched.status) {
            spans::decode(body_bytes)
        } else {
            Span::none()
        };
        let judge = move || {
            let reply = Reply {
                status: fetched.status,
                retry_after: fetched.retry_after.as_deref(),
                body: &fetched.body,
            };
            span.in_scope(|| reply.judge(received))
                .inspect_err(|failure| spans::failed(&span, failure.reason))
        };
        let Decoded {
            table,
            unreadable_rows,
        } = if body_bytes > DECODE_ELSEWHERE as u64 {
            let decoding = tokio::task::spawn_blocking(judge);
            self.in_time(Step::Decode, decoding)
                .await?
                .map_err(|_| QueryFailure::new(FailureReason::Internal, "decoding broke off"))??
        } else {
            judge()?
        };
        Ok(Answer {
            table,
            received,
            body_bytes,
            unreadable_rows,
        })
    }

    /// Waits for one step, but not beyond the query's own timeout.
    async fn in_time<T>(
        &self,
        step: Step,
        work: impl Future<Output = T>,
    ) -> Result<T, QueryFailure> {
        let left = self.timeout.saturating_sub(self.started.elapsed());
        tokio::time::timeout(left, work)
            .await
            .map_err(|_| QueryFailure::out_of_time(self.timeout, step))
    }

    fn report(&self, started: Instant, status: Option<u16>, failure: Option<FailureReason>) {
        ApiRequest {
            workspace: &self.workspace.name,
            status,
            duration: started.elapsed(),
            failure,
        }
        .emit(&self.client.metrics);
    }
}

/// What came for one request.
struct Fetched {
    status: u16,
    retry_after: Option<String>,
    body: Vec<u8>,
    received: Timestamp,
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Adds to a body that may have `cap` bytes.
fn append(body: &mut Vec<u8>, chunk: &[u8], cap: usize) -> Result<(), QueryFailure> {
    if body.len() + chunk.len() > cap {
        let message = format!("the answer is larger than {cap} bytes");
        let failure = QueryFailure::new(FailureReason::Decode, message);
        return Err(failure.with_hint(Some(hints::TOO_LARGE)));
    }
    body.extend_from_slice(chunk);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_at_its_cap() {
        let mut body = Vec::new();
        append(&mut body, b"1234", 6).unwrap();
        append(&mut body, b"56", 6).unwrap();
        let failure = append(&mut body, b"7", 6).unwrap_err();
        assert_eq!(failure.reason, FailureReason::Decode);
        assert_eq!(failure.to_string(), "the answer is larger than 6 bytes");
        assert_eq!(body, b"123456");
    }
}
