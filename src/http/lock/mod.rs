//! The lock on the door: TLS, users, headers and rate, from the web configuration file.
//!
//! [`Lock::refresh`] reads the file and what it names again. Something new and good is used from the
//! next handshake or request on, and ends the TLS connections that older files let in; something broken
//! is told once, and the last good lock stays. So does it when the new one would not lock at all: only a
//! restart opens a door that was locked. No request waits for a file.

mod client_certificate;
mod rate;
mod tls;
mod users;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use ring::digest;
use rustls::ServerConfig;
use tokio::sync::watch;

use crate::config::{ClientPolicy, Problem, Problems, WebSettings};
use crate::telemetry::SelfMetrics;
use crate::telemetry::events::{WebConfigRefused, WebConfigReloaded};
use rate::RateLimit;
pub use users::Visitor;
use users::{Doorkeeper, Verdict};

/// No certificate, key or configuration is longer.
const MAX_BYTES: u64 = 1 << 20;

/// Who gets in, and how. One for all listeners.
pub struct Lock {
    /// `None`: open, for ever.
    file: Option<PathBuf>,
    rules: ArcSwap<Rules>,
    /// Told after each change of the rules.
    reloads: watch::Sender<()>,
    /// Of the newest files that were looked at, good or not.
    seen: Mutex<Fingerprint>,
    doorkeeper: Doorkeeper,
    metrics: SelfMetrics,
}

/// What one state of the files means.
struct Rules {
    tls: Option<Arc<ServerConfig>>,
    settings: WebSettings,
    headers: Vec<(HeaderName, HeaderValue)>,
    rate: Option<Arc<RateLimit>>,
}

type Fingerprint = [u8; 32];

impl Lock {
    /// No TLS, no users.
    pub fn open(metrics: SelfMetrics) -> Self {
        Self::of(
            None,
            Rules::new(WebSettings::open(), None),
            [0; 32],
            metrics,
        )
    }

    /// Reads a web configuration file and all that it names.
    ///
    /// # Errors
    /// All that is wrong with the file, or the first thing that is wrong with a certificate or key.
    pub fn load(file: &Path, metrics: SelfMetrics) -> Result<Self, Problems> {
        let (fingerprint, rules) = Rules::read(file);
        Ok(Self::of(Some(file.into()), rules?, fingerprint, metrics))
    }

    fn of(
        file: Option<PathBuf>,
        rules: Rules,
        fingerprint: Fingerprint,
        metrics: SelfMetrics,
    ) -> Self {
        Self {
            file,
            rules: ArcSwap::from_pointee(rules),
            reloads: watch::Sender::new(()),
            seen: Mutex::new(fingerprint),
            doorkeeper: Doorkeeper::new(),
            metrics,
        }
    }

    /// Looks whether the files have changed, and takes them if they are good. Blocks: it reads.
    pub fn refresh(&self) {
        let Some(file) = &self.file else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (fingerprint, rules) = Rules::read(file);
        if *seen == fingerprint {
            return;
        }
        *seen = fingerprint;
        let rules = rules.and_then(|rules| match self.rules.load().opened_by(&rules) {
            None => Ok(rules),
            Some(rule) => Err(Problems(vec![Problem::new(file, None, rule)])),
        });
        match rules {
            Ok(mut rules) => {
                rules.keep_tokens_of(&self.rules.load());
                self.rules.store(Arc::new(rules));
                self.reloads.send_replace(());
                WebConfigReloaded { file }.emit(&self.metrics);
            }
            Err(problems) => WebConfigRefused {
                problems: &problems,
            }
            .emit(&self.metrics),
        }
    }

    /// For the next handshake; `None` where the server speaks plain HTTP.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.rules.load().tls.clone()
    }

    /// Ends once handshakes use another configuration than `used`: what let a client in then may
    /// not let it in now.
    pub async fn is_replaced(&self, used: &Arc<ServerConfig>) {
        let replaced = |_: &()| !self.tls().is_some_and(|tls| Arc::ptr_eq(&tls, used));
        // Fails only when the lock is gone.
        let _ = self.reloads.subscribe().wait_for(replaced).await;
    }

    pub fn has_tls(&self) -> bool {
        self.rules.load().tls.is_some()
    }

    pub fn has_users(&self) -> bool {
        !self.rules.load().settings.users.is_empty()
    }

    /// Lets a request in, or says what it gets instead. The credentials are taken out of it.
    pub async fn admit<B>(
        &self,
        visitor: &Visitor,
        request: &mut Request<B>,
    ) -> Result<(), Response<Body>> {
        let rules = self.rules.load_full();
        let credentials = request.headers_mut().remove(header::AUTHORIZATION);
        let users = &rules.settings.users;
        let verdict = if users.is_empty() {
            Verdict::Known
        } else {
            self.doorkeeper.judge(visitor, users, credentials).await
        };
        match verdict {
            // Counted last: strangers do not use up what users may ask.
            Verdict::Known if rules.is_within_rate() => Ok(()),
            Verdict::Known => {
                let text = "Too many requests; the rate is limited.\n";
                Err(refusal(StatusCode::TOO_MANY_REQUESTS, text))
            }
            Verdict::Unknown => {
                let mut response = refusal(StatusCode::UNAUTHORIZED, "Who are you?\n");
                response.headers_mut().insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static(
                        "Basic realm=\"vminsights-exporter\", charset=\"UTF-8\"",
                    ),
                );
                Err(response)
            }
            Verdict::Busy => {
                let text = "Too many passwords are being checked; try again.\n";
                let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, text);
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                Err(response)
            }
        }
    }

    /// Sets the configured headers; they win over those that are there.
    pub fn set_headers<B>(&self, response: &mut Response<B>) {
        for (name, value) in &self.rules.load().headers {
            response.headers_mut().insert(name, value.clone());
        }
    }
}

/// An answer that no route gave.
pub fn refusal(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

impl Rules {
    fn new(settings: WebSettings, tls: Option<Arc<ServerConfig>>) -> Self {
        let headers = settings.headers.iter().filter_map(|(name, value)| {
            // Both are checked where the file is read.
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(value).ok()?))
        });
        Self {
            tls,
            headers: headers.collect(),
            rate: settings.rate.map(|rate| Arc::new(RateLimit::new(rate))),
            settings,
        }
    }

    /// Else each reload would be another burst.
    fn keep_tokens_of(&mut self, before: &Self) {
        if self.settings.rate == before.settings.rate {
            self.rate.clone_from(&before.rate);
        }
    }

    fn is_within_rate(&self) -> bool {
        self.rate.as_ref().is_none_or(|rate| rate.allows())
    }

    /// The rule that `next` breaks by asking for less than these do. A file that was read while it
    /// was written is often a good one, with less in it: it must not open the door.
    fn opened_by(&self, next: &Self) -> Option<&'static str> {
        // Ordered: no certificate needed, a verified one, a verified one with a listed name.
        let clients = |rules: &Self| {
            let clients = &rules.settings.tls.as_ref()?.clients;
            (clients.policy == ClientPolicy::RequireVerified)
                .then_some(clients.allowed_names.is_some())
        };
        if self.tls.is_some() != next.tls.is_some() {
            Some("whether there is TLS cannot change while the server runs: start it again")
        } else if !self.settings.users.is_empty() && next.settings.users.is_empty() {
            Some("the last of basic_auth_users cannot go while the server runs: start it again")
        } else if clients(self) > clients(next) {
            Some(
                "client_auth_type RequireAndVerifyClientCert and client_allowed_sans cannot go \
                 while the server runs: start it again",
            )
        } else {
            None
        }
    }

    /// Rules, and what tells this state of the files from another.
    fn read(file: &Path) -> (Fingerprint, Result<Self, Problems>) {
        let mut context = digest::Context::new(&digest::SHA256);
        let rules = Self::read_into(file, &mut context);
        if let Err(problems) = &rules {
            context.update(problems.to_string().as_bytes());
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        (fingerprint, rules)
    }

    fn read_into(file: &Path, context: &mut digest::Context) -> Result<Self, Problems> {
        let one = |problem| Problems(vec![problem]);
        let text = read_file(file).map_err(|error| {
            let rule = format!("cannot read it: {error}");
            one(Problem::new(file, None, rule))
        })?;
        context.update(&text);
        let text = std::str::from_utf8(&text)
            .map_err(|_| one(Problem::new(file, None, "must be UTF-8 text")))?;
        let settings = WebSettings::from_yaml(file, text)?;
        let tls = match &settings.tls {
            None => None,
            Some(tls) => {
                let material = tls::Material::read(file, tls).map_err(one)?;
                material.add_to(context);
                let config = material.config(file, tls, settings.http2).map_err(one)?;
                Some(Arc::new(config))
            }
        };
        Ok(Self::new(settings, tls))
    }
}

/// # Errors
/// If it cannot be read, is longer than [`MAX_BYTES`], or is no regular file: one of those may keep
/// its reader waiting for ever.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let mut file = std::fs::File::open(path)?.take(MAX_BYTES + 1);
    file.read_to_end(&mut bytes)?;
    // Cut, it might pass for a good one.
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok(bytes)
}
