//! The web configuration file (`--web.config.file`): TLS, users, headers and rate of the exporter's
//! own server, in the format that Prometheus' exporters share. [`raw`](self) shapes as typed,
//! [`WebSettings`] as meant. No certificate is read here: that is for whoever serves.

mod load;
mod raw;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Located, Secret};

/// A whole valid web configuration file.
#[derive(Debug)]
pub struct WebSettings {
    /// `None`: plain HTTP.
    pub tls: Option<TlsSettings>,
    /// Offered over TLS only.
    pub http2: bool,
    /// Name and value; they win over the exporter's own headers.
    pub headers: Vec<(&'static str, String)>,
    /// Each user's bcrypt hash. Empty: anybody may ask.
    pub users: HashMap<String, Secret>,
    pub rate: Option<Rate>,
}

/// How the server shows itself, and whom it lets in.
#[derive(Debug)]
pub struct TlsSettings {
    pub certificate: Pem,
    pub key: Pem,
    pub clients: Clients,
    /// From the oldest to the newest; one or both of 1.2 and 1.3.
    pub versions: Vec<TlsVersion>,
    /// Names of suites as IANA has them, all of which rustls has; empty for its own choice.
    pub cipher_suites: Vec<&'static str>,
    /// The first that both sides have is taken; empty for rustls' own choice.
    pub curves: Vec<Curve>,
    /// Whether the server's order of suites counts, not the client's.
    pub prefer_server_order: bool,
}

/// Where certificates or a key are. A place, not the bytes: files change while the server runs.
#[derive(Debug)]
pub enum Pem {
    /// The key that names it, the file, and the line that it was written on.
    File(&'static str, Located<PathBuf>),
    Inline(&'static str, Located<Secret>),
}

/// What is asked of a client's certificate.
#[derive(Debug)]
pub struct Clients {
    pub policy: ClientPolicy,
    /// The authorities; there is one exactly where the policy verifies.
    pub authorities: Option<Pem>,
    /// A certificate must bear one of these names; only with `RequireVerified`. `None`: any will do.
    pub allowed_names: Option<Vec<String>>,
}

/// `client_auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPolicy {
    /// `NoClientCert`
    Ignore,
    /// `RequestClientCert`: whatever it is
    Request,
    /// `RequireAnyClientCert`: whoever signed it
    RequireAny,
    /// `VerifyClientCertIfGiven`: who has none gets in
    VerifyIfGiven,
    /// `RequireAndVerifyClientCert`
    RequireVerified,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    X25519,
    P256,
    P384,
}

/// One request each `interval`, and up to `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub interval: Duration,
    pub burst: u32,
}

#[cfg(test)]
mod tests;
