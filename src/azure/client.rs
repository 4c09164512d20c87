//! The client: one query to one workspace, and what became of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, DATE, RETRY_AFTER};
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::budget::{Budget, NoPlace, Place};
use super::chain::SignIn;
use super::cost::Cost;
use super::credential::host_of;
use super::environment::Environment;
use super::failure::{QueryFailure, Step};
use super::hints;
use super::token::{Counting, Token, TokenCache};
use super::transport::{ClientError, logs_client};
use super::verdict::Reply;
use super::wire::Decoded;
use crate::config::{AzureSettings, Workspace};
use crate::table::ResultTable;
use crate::telemetry::events::ApiRequest;
use crate::telemetry::{FailureReason, SelfMetrics, spans};

/// After 429 without a Retry-After: the service counts requests over this time.
const UNNAMED_WAIT: Duration = Duration::from_secs(30);
/// A query that keeps the service busy for so long is a slow one, and so is one that timed out.
const SLOW: Duration = Duration::from_secs(5);
/// Who has waited for its turn for so long asks for its token anew; as a rule it is the same one.
const LONG_WAIT: Duration = Duration::from_secs(10);
/// Between the attempts of one query: about 1, 2 and 4 seconds, spread so that queries which failed
/// together do not come back together.
const BACK_OFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_secs(1))
    .with_max_times(3)
    .with_jitter();
/// An answer that took longer measures no clock.
const LONGEST_MEASURE: Duration = Duration::from_secs(5);
/// Azure itself stops at about 100 MiB of raw data.
const BODY_CAP: usize = 256 * 1024 * 1024;
/// What takes longer to decode than a task may keep its thread.
const DECODE_ELSEWHERE: usize = 256 * 1024;
/// The longest time that the service can be asked to work on a query.
const LONGEST_WAIT: u64 = 600;

/// Asks workspaces through the Logs Query API. Cheap to clone; clones share connections, token and
/// budget.
#[derive(Clone)]
pub struct LogsClient(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    /// Without a slash at its end.
    address: String,
    host: String,
    tokens: TokenCache,
    budget: Arc<Budget>,
    metrics: SelfMetrics,
}

/// What to ask, and how long to wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    pub workspace: &'a Workspace,
    pub kql: &'a str,
    /// For the sign-in, and then once more for request and answer.
    pub timeout: Duration,
    /// For its turn among our other queries, and for asking again where that may help. Whatever is
    /// begun in this time may take `timeout` longer.
    pub patience: Duration,
    /// Whether it was slow the last time: see [`Answer::slow`] and [`QueryFailure::slow`].
    pub slow: bool,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub table: ResultTable,
    /// When the answer had come.
    pub received: Timestamp,
    /// When the service gave it, by the service's own clock.
    pub served: Option<Timestamp>,
    /// The body's size, decompressed.
    pub body_bytes: u64,
    /// Rows that are not in the table because a cell was not of its column's type.
    pub unreadable_rows: u64,
    /// What it cost the service, by its own account.
    pub cost: Cost,
    /// Whether it took the service so long that the query should not stand in the way of others.
    pub slow: bool,
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
        let budget = Budget::new(settings.budget);
        let watched = Arc::downgrade(&budget);
        metrics.watch_budget(move || watched.upgrade().map(|budget| budget.state()));
        Ok(Self(Arc::new(Inner {
            http: logs_client(settings)?,
            address: logs.as_str().trim_end_matches('/').to_owned(),
            host: host_of(logs),
            tokens: TokenCache::new(
                Box::new(SignIn::new(settings, environment)?),
                Counting::logs(&metrics),
            ),
            budget,
            metrics,
        })))
    }

    /// How long the identity's budget makes so many requests take at least.
    pub fn time_for(&self, requests: usize) -> Duration {
        self.0.budget.time_for(requests)
    }

    /// Whether both are clones of one client.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Runs one query.
    ///
    /// # Errors
    /// If there is no answer, or not a whole one.
    pub async fn query(&self, query: Query<'_>) -> Result<Answer, QueryFailure> {
        let question = Question {
            client: &self.0,
            query,
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
    query: Query<'a>,
    started: Instant,
}

impl Question<'_> {
    /// Asks until there is an answer, or asking again would not help or come too late.
    async fn ask(&self) -> Result<Answer, QueryFailure> {
        let mut resends = 0;
        let mut waits = BACK_OFF.build();
        loop {
            let failure = match self.attempt(&mut resends).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let Some(wait) = waits.next().filter(|_| failure.may_pass) else {
                return Err(failure);
            };
            let wait = failure.retry_after.map_or(wait, |asked| asked.max(wait));
            let again = Instant::now() + wait;
            if again >= self.deadline() {
                return Err(failure);
            }
            sleep_until(again).await;
        }
    }

    /// How old a cached answer may be: as old as values get between two polls.
    fn oldest(&self) -> Duration {
        self.query.patience.max(self.query.timeout)
    }

    /// When nothing more is begun.
    fn deadline(&self) -> Instant {
        self.started + self.query.patience
    }

    /// Waits for its turn and asks, once more if the token turns out to be of no use.
    async fn attempt(&self, resends: &mut u32) -> Result<Answer, QueryFailure> {
        let (mut token, _place) = self.prepare().await?;
        loop {
            let outcome = self.send(&token, *resends).await;
            *resends += 1;
            if let Err(failure) = &outcome
                && failure.reason == FailureReason::Throttled
            {
                // It is the identity that asked too much, not this query alone.
                let wait = failure.retry_after.unwrap_or(UNNAMED_WAIT);
                self.client.budget.close(wait);
            }
            if !matches!(&outcome, Err(failure) if failure.token_refused) {
                return outcome;
            }
            // The service does not take this token, whatever its expiry says. A new one may help if
            // this one was held for a while; if it was issued for this very query, it will not.
            self.client.tokens.discard(&token);
            if !token.older_than(self.started) {
                return outcome;
            }
            token = self.token().await?;
        }
    }

    /// A token, then a place: a slow sign-in keeps nobody from asking.
    async fn prepare(&self) -> Result<(Arc<Token>, Place), QueryFailure> {
        let token = self.token().await?;
        let Query {
            workspace,
            patience,
            slow,
            ..
        } = self.query;
        let client = self.client;
        let waiting = Instant::now();
        let entered = client
            .budget
            .enter(workspace.id.clone(), slow, self.deadline());
        let entered = entered.await;
        let waited = waiting.elapsed();
        client.metrics.count_budget_wait(waited);
        let place = entered.map_err(|none| match none {
            NoPlace::Closed(wait) => QueryFailure::not_asked(wait),
            NoPlace::Full => QueryFailure::out_of_time(patience, Step::Place),
        })?;
        // The token may have grown old in the queue.
        let token = match waited < LONG_WAIT {
            true => token,
            false => self.token().await?,
        };
        Ok((token, place))
    }

    async fn token(&self) -> Result<Arc<Token>, QueryFailure> {
        let started = Instant::now();
        let signing_in = self.client.tokens.token();
        in_time(Step::SignIn, self.query.timeout, started, signing_in)
            .await
            .and_then(|token| token.map_err(QueryFailure::signing_in))
            .inspect_err(|failure| self.report(started, None, Some(failure.reason)))
    }

    /// Sends the query and reports the request.
    async fn send(&self, token: &Token, resends: u32) -> Result<Answer, QueryFailure> {
        let started = Instant::now();
        let request_id = Uuid::new_v4();
        let mut status = None;
        let url = format!(
            "{}/v1{}/query",
            self.client.address,
            self.query.workspace.id.path()
        );
        let span = spans::query(&self.client.host, &url, resends);
        let fetched = self
            .fetch(&url, token, request_id, started, &mut status)
            .instrument(span.clone())
            .await;
        let fetched_whole = fetched.is_ok();
        let outcome = async { self.decode(fetched?, started).await }
            .await
            .map(|answer| Answer {
                slow: started.elapsed() >= SLOW,
                ..answer
            })
            .map_err(|failure| {
                let mut failure = failure.scrubbed(token.expose());
                failure.request_id = Some(request_id);
                failure.slow = started.elapsed() >= SLOW;
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
        outcome
    }

    /// Sends one request and reads what comes, to its end.
    async fn fetch(
        &self,
        url: &str,
        token: &Token,
        request_id: Uuid,
        started: Instant,
        status: &mut Option<u16>,
    ) -> Result<Fetched, QueryFailure> {
        let client = self.client;
        let timeout = self.query.timeout;
        let wait = timeout.as_secs().clamp(1, LONGEST_WAIT);
        let request = client
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, token.header())
            // Answers are cached for two minutes, and would be new only in name.
            .header(CACHE_CONTROL, "no-cache")
            .header("Prefer", format!("wait={wait},include-statistics=true"))
            .header("x-ms-client-request-id", request_id.to_string())
            .body(serde_json::json!({ "query": self.query.kql }).to_string());
        let lost = |error| QueryFailure::network(&client.host, error);

        let sent = (Instant::now(), Timestamp::now());
        let mut response = in_time(Step::Answer, timeout, started, request.send())
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

        let header = |name| response.headers().get(name)?.to_str().ok();
        let age = header(AGE).and_then(|age| age.trim().parse().ok());
        let served = header(DATE).and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        if let Some(served) = served.filter(|_| age.is_none())
            && let Some(skew) = clock_skew(sent.1, sent.0.elapsed(), served)
        {
            client.metrics.set_clock_skew(skew);
        }

        let mut body = Vec::new();
        while let Some(chunk) = in_time(Step::Body, timeout, started, response.chunk())
            .await?
            .map_err(lost)?
        {
            append(&mut body, &chunk, BODY_CAP)?;
        }

        Ok(Fetched {
            status: code,
            retry_after,
            age,
            served,
            body,
            received: Timestamp::now(),
        })
    }

    async fn decode(&self, fetched: Fetched, started: Instant) -> Result<Answer, QueryFailure> {
        let Fetched {
            received, served, ..
        } = fetched;
        let oldest = self.oldest();
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
                age: fetched.age,
                oldest,
                body: &fetched.body,
            };
            // A date to wait for is on the service's clock.
            span.in_scope(|| reply.judge(served.unwrap_or(received)))
                .inspect_err(|failure| spans::failed(&span, failure.reason))
        };
        let decoded = if body_bytes > DECODE_ELSEWHERE as u64 {
            let decoding = tokio::task::spawn_blocking(judge);
            in_time(Step::Decode, self.query.timeout, started, decoding)
                .await?
                .map_err(|_| QueryFailure::new(FailureReason::Internal, "decoding broke off"))??
        } else {
            judge()?
        };
        let (
            Decoded {
                table,
                unreadable_rows,
            },
            cost,
        ) = decoded;
        Ok(Answer {
            table,
            received,
            served,
            body_bytes,
            unreadable_rows,
            cost,
            slow: false,
        })
    }

    fn report(&self, started: Instant, status: Option<u16>, failure: Option<FailureReason>) {
        ApiRequest {
            workspace: &self.query.workspace.name,
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
    age: Option<u64>,
    served: Option<Timestamp>,
    body: Vec<u8>,
    received: Timestamp,
}

/// How many seconds our clock is ahead of the service's: half-way between sending and answer, it read
/// what the service's `Date` says. `None` where that took so long that it says too little.
fn clock_skew(sent: Timestamp, took: Duration, served: Timestamp) -> Option<f64> {
    if took > LONGEST_MEASURE {
        return None;
    }
    let half_way = sent.duration_since(served).as_secs_f64() + took.as_secs_f64() / 2.0;
    // `Date` is cut to the second, by half of one on average.
    Some(half_way - 0.5)
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Waits for one step, but not beyond `limit` since `started`.
async fn in_time<T>(
    step: Step,
    limit: Duration,
    started: Instant,
    work: impl Future<Output = T>,
) -> Result<T, QueryFailure> {
    tokio::time::timeout_at(started + limit, work)
        .await
        .map_err(|_| QueryFailure::out_of_time(limit, step))
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
    fn the_clock_is_compared_half_way() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let served = at("2026-11-24T08:00:00Z");
        let second = Duration::from_secs(1);
        let sent = at("2026-11-24T08:00:59Z");
        assert_eq!(clock_skew(sent, 3 * second, served), Some(60.0));
        let sent = at("2026-11-24T07:59:30.5Z");
        assert_eq!(clock_skew(sent, Duration::ZERO, served), Some(-30.0));
        assert_eq!(clock_skew(sent, 6 * second, served), None);
    }

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
