//! The web configuration as typed: serde's shapes, nothing checked beyond them.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    pub tls_server_config: Option<Spanned<Tls>>,
    #[serde(default)]
    pub http_server_config: Http,
    #[serde(default)]
    pub basic_auth_users: IndexMap<String, Spanned<String>>,
    pub rate_limit: Option<Rate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub cert: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
    pub client_ca: Option<Spanned<String>>,
    pub cert_file: Option<Spanned<String>>,
    pub key_file: Option<Spanned<String>>,
    pub client_ca_file: Option<Spanned<String>>,
    pub client_auth_type: Option<Spanned<String>>,
    pub client_allowed_sans: Option<Spanned<Vec<String>>>,
    pub min_version: Option<Spanned<String>>,
    pub max_version: Option<Spanned<String>>,
    #[serde(default)]
    pub cipher_suites: Vec<Spanned<String>>,
    #[serde(default)]
    pub curve_preferences: Vec<Spanned<String>>,
    pub prefer_server_cipher_suites: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub http2: Option<bool>,
    #[serde(default)]
    pub headers: IndexMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub interval: Option<Spanned<String>>,
    pub burst: Option<Spanned<i64>>,
}
