//! What the configuration means: every value here has passed its rule, so nothing downstream checks
//! again.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use uuid::Uuid;

use super::discover::DiscoverSettings;
use super::filters::FilterSettings;
use super::otlp::OtlpSettings;

/// A whole valid configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    pub azure: AzureSettings,
    /// At least one, unless more are found; ids and names are unique.
    pub workspaces: Vec<Workspace>,
    /// `None`: no workspace is looked for.
    pub discover: Option<DiscoverSettings>,
    /// Names of built-in packs, as written; the catalogue knows which exist.
    pub packs: Vec<Located<String>>,
    /// The folder of the user's own definitions, relative to the configuration file's folder.
    pub queries_dir: Option<Located<PathBuf>>,
    /// The directory of the counters' state; `None`: they begin anew with each start.
    pub state: Option<PathBuf>,
    pub limits: Limits,
    pub filters: FilterSettings,
    /// `None`: nothing is sent over OTLP.
    pub otlp: Option<OtlpSettings>,
}

/// A value and the place that it was written at, for errors that only a later stage can find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    pub value: T,
    /// `None` for a default.
    pub line: Option<u32>,
}

impl<T> Located<T> {
    pub fn new(value: T, line: Option<u32>) -> Self {
        Self { value, line }
    }
}

/// Which Azure is asked, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureSettings {
    pub endpoints: Endpoints,
    pub credential: CredentialChoice,
    /// One more trust root (PEM), beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Overrides the usual environment variables.
    pub proxy: Option<Url>,
    pub budget: BudgetSettings,
}

/// How much of what Azure allows one identity is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Requests in any 30 seconds, from 1.
    pub requests_per_30s: usize,
    /// Requests at once, from 1.
    pub concurrent_requests: usize,
}

impl Default for BudgetSettings {
    /// Azure takes 200 requests in 30 seconds and runs five queries at a time; some of each is left
    /// for the people who use the identity too.
    fn default() -> Self {
        Self {
            requests_per_30s: 180,
            concurrent_requests: 4,
        }
    }
}

/// The addresses of one Azure cloud. All `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Of the Logs Query API, without a path.
    pub logs: Url,
    /// What tokens are asked for; the scope is this and `/.default`.
    pub audience: String,
    /// Of Microsoft Entra ID.
    pub authority: Url,
    /// Of Azure Resource Manager.
    pub resource_manager: Url,
}

impl Endpoints {
    /// Azure's public cloud.
    pub fn public() -> Self {
        Self::of(
            "https://api.loganalytics.azure.com",
            "https://api.loganalytics.io",
            "https://login.microsoftonline.com",
            "https://management.azure.com",
        )
    }

    /// Azure for the US government.
    pub fn us_government() -> Self {
        Self::of(
            "https://api.loganalytics.us",
            "https://api.loganalytics.us",
            "https://login.microsoftonline.us",
            "https://management.usgovcloudapi.net",
        )
    }

    /// Azure in China, run by 21Vianet.
    pub fn china() -> Self {
        Self::of(
            "https://api.loganalytics.azure.cn",
            "https://api.loganalytics.azure.cn",
            "https://login.chinacloudapi.cn",
            "https://management.chinacloudapi.cn",
        )
    }

    fn of(logs: &str, audience: &str, authority: &str, resource_manager: &str) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the addresses above are constants, and a test reads each"
        )]
        let url = |text: &str| Url::parse(text).expect("a constant URL");
        Self {
            logs: url(logs),
            audience: audience.into(),
            authority: url(authority),
            resource_manager: url(resource_manager),
        }
    }
}

/// How the exporter signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialChoice {
    /// The documented chain: the first that is configured in the environment and works.
    Default,
    AzureCli,
    /// `azd`.
    AzureDeveloperCli,
    ManagedIdentity(MachineIdentity),
    /// From `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_FEDERATED_TOKEN_FILE`.
    WorkloadIdentity,
    ClientSecret {
        tenant_id: String,
        client_id: String,
        secret: SecretSource,
    },
    ClientCertificate {
        tenant_id: String,
        client_id: String,
        /// PEM: the certificate and its private key.
        file: PathBuf,
    },
}

/// Which of a machine's managed identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineIdentity {
    System,
    /// A user-assigned one by its client id; the other two name the same thing otherwise.
    ClientId(String),
    ObjectId(String),
    ResourceId(String),
}

/// Where a secret is read from; never the configuration itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    File(PathBuf),
    /// The name of an environment variable.
    Env(String),
}

/// One Log Analytics workspace to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    pub id: WorkspaceId,
    /// The `workspace` label: as configured, else the id.
    pub name: Arc<str>,
}

/// A workspace's GUID (its `customerId`, not its ARM id).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkspaceId(Uuid);

/// What was given as a workspace id and is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("workspace id {0:?} must be a GUID like 00000000-0000-0000-0000-000000000000")]
pub struct WorkspaceIdError(String);

impl FromStr for WorkspaceId {
    type Err = WorkspaceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Uuid would take other spellings too (braces, no hyphens); Azure's path takes this one.
        (text.len() == 36)
            .then(|| Uuid::try_parse(text).ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| WorkspaceIdError(text.into()))
    }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

/// Defaults that hold for every definition which does not say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub max_series: Option<usize>,
    pub stale_after: Option<Duration>,
    pub expire_after: Option<Duration>,
    pub catch_up: Option<Duration>,
}
