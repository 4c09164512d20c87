//! The lock on the door: TLS, users, headers and rate, from the web configuration file.
//!
//! [`Lock::refresh`] reads the file and what it names again. Something new and good is used from the
//! next handshake or request on, and ends the TLS connections that older files let in; something broken is told once, and the last good lock stays. No
//! request waits for a file.

mod client_certificate;
mod rate;
mod tls;
mod users;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use ring::digest;
use rustls::ServerConfig;
use tokio::sync::watch;

use crate::config::{Problem, Problems, WebSettings};
use crate::telemetry::SelfMetrics;
use crate::telemetry::events::{WebConfigRefused, WebConfigReloaded};
use rate::RateLimit;
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
    rate: Option<RateLimit>,
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
        let had_tls = self.has_tls();
        match rules {
            Ok(rules) if rules.tls.is_some() == had_tls => {
                self.rules.store(Arc::new(rules));
                self.reloads.send_replace(());
                WebConfigReloaded { file }.emit(&self.metrics);
            }
            Ok(_) => {
                let rule =
                    "whether there is TLS cannot change while the server runs: start it again";
                let problems = Problems(vec![Problem::new(file, None, rule)]);
                WebConfigRefused {
                    problems: &problems,
                }
                .emit(&self.metrics);
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
    pub async fn admit<B>(&self, request: &mut Request<B>) -> Result<(), Response<Body>> {
        let rules = self.rules.load_full();
        if rules.rate.as_ref().is_some_and(|rate| !rate.allows()) {
            let text = "Too many requests; the rate is limited.\n";
            return Err(refusal(StatusCode::TOO_MANY_REQUESTS, text));
        }
        let credentials = request.headers_mut().remove(header::AUTHORIZATION);
        let users = &rules.settings.users;
        if users.is_empty() {
            return Ok(());
        }
        match self.doorkeeper.judge(users, credentials).await {
            Verdict::Known => Ok(()),
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
            rate: settings.rate.map(RateLimit::new),
            settings,
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
        let text = read_file(file).map_err(|error| one(Problem::new(file, None, error)))?;
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

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
