//! The configuration as typed: serde's shapes, nothing checked beyond them.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde_saphyr::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub azure: Option<Azure>,
    #[serde(default)]
    pub workspaces: Vec<Workspace>,
    pub discover: Option<Discover>,
    pub packs: Option<Vec<Spanned<String>>>,
    pub queries_dir: Option<Spanned<PathBuf>>,
    pub state: Option<State>,
    pub limits: Option<Limits>,
    pub filters: Option<Filters>,
    pub otlp: Option<Otlp>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Azure {
    pub cloud: Option<Cloud>,
    pub credential: Option<Credential>,
    pub ca_file: Option<PathBuf>,
    pub proxy: Option<Spanned<String>>,
    #[serde(default)]
    pub allow_http_on_loopback: bool,
    pub requests_per_30s: Option<Spanned<i64>>,
    pub concurrent_requests: Option<Spanned<i64>>,
}

pub enum Cloud {
    Named(CloudName),
    Custom(Box<CustomCloud>),
}

impl<'de> Deserialize<'de> for Cloud {
    /// A text or a map. Serde's own `untagged` would lose the lines.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;

        impl<'de> Visitor<'de> for TextOrMap {
            type Value = Cloud;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("public, usgov, china or a map of logs, audience, authority")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Cloud, E> {
                CloudName::deserialize(name.into_deserializer()).map(Cloud::Named)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Cloud, A::Error> {
                let custom = CustomCloud::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Cloud::Custom(Box::new(custom)))
            }
        }

        deserializer.deserialize_any(TextOrMap)
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudName {
    Public,
    Usgov,
    China,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomCloud {
    pub logs: Spanned<String>,
    pub audience: Spanned<String>,
    pub authority: Spanned<String>,
    pub resource_manager: Option<Spanned<String>>,
}

/// `default`, `azure_cli`, `azure_developer_cli`, or a map with one key.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    Default,
    AzureCli,
    AzureDeveloperCli,
    ManagedIdentity(ManagedIdentity),
    WorkloadIdentity(WorkloadIdentity),
    ClientSecret(ClientSecret),
    ClientCertificate(ClientCertificate),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedIdentity {
    pub client_id: Option<Spanned<String>>,
    pub object_id: Option<Spanned<String>>,
    pub resource_id: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadIdentity {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSecret {
    pub tenant_id: Spanned<String>,
    pub client_id: Spanned<String>,
    pub secret_file: Option<PathBuf>,
    pub secret_env: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    pub tenant_id: Spanned<String>,
    pub client_id: Spanned<String>,
    pub certificate_file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    pub id: Spanned<String>,
    pub name: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discover {
    pub subscriptions: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    pub include: Vec<Choice>,
    #[serde(default)]
    pub exclude: Vec<Choice>,
    pub interval: Option<Spanned<String>>,
    #[serde(default)]
    pub allow_empty: bool,
    #[serde(default)]
    pub tag_labels: Vec<Spanned<String>>,
}

/// A map with one key.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    Name(Spanned<String>),
    Id(Spanned<String>),
    ResourceGroup(Spanned<String>),
    Tag(Tag),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    pub name: Spanned<String>,
    pub value: Spanned<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub max_series: Option<Spanned<i64>>,
    pub stale_after: Option<Spanned<String>>,
    pub expire_after: Option<Spanned<String>>,
    pub catch_up: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Filters {
    pub min_severity: Option<Spanned<i64>>,
    pub min_confidence_percent: Option<Spanned<i64>>,
    pub allowed_addresses: Option<Spanned<Vec<Spanned<String>>>>,
    pub exclude_disks: Option<Spanned<Vec<Spanned<String>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    pub path: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    pub endpoint: Option<Spanned<String>>,
    pub protocol: Option<Spanned<String>>,
    pub interval: Option<Spanned<String>>,
    pub compression: Option<Spanned<String>>,
    pub timeout: Option<Spanned<String>>,
    pub headers_file: Option<Spanned<PathBuf>>,
    pub ca_file: Option<PathBuf>,
    pub traces: Option<Traces>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    pub ratio: Spanned<f64>,
}
