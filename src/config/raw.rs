//! The configuration as typed: serde's shapes, nothing checked beyond them.

use std::path::PathBuf;

use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub azure: Option<Azure>,
    #[serde(default)]
    pub workspaces: Vec<Workspace>,
    pub packs: Option<Vec<Spanned<String>>>,
    pub queries_dir: Option<Spanned<PathBuf>>,
    pub limits: Option<Limits>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Azure {
    pub cloud: Option<Cloud>,
    pub credential: Option<Credential>,
    pub ca_file: Option<PathBuf>,
    pub proxy: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "cloud must be public, usgov, china or a map of logs, audience, authority, resource_manager"
)]
pub enum Cloud {
    Named(CloudName),
    Custom(CustomCloud),
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
    pub logs: String,
    pub audience: String,
    pub authority: String,
    pub resource_manager: Option<String>,
}

/// `default`, `azure_cli`, or a map with one key.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    Default,
    AzureCli,
    ManagedIdentity(ManagedIdentity),
    WorkloadIdentity(WorkloadIdentity),
    ClientSecret(ClientSecret),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedIdentity {
    pub client_id: Option<String>,
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
pub struct Workspace {
    pub id: Spanned<String>,
    pub name: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub max_series: Option<Spanned<i64>>,
    pub stale_after: Option<Spanned<String>>,
}
