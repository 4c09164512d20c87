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
    /// Whether the logs may be asked by plain http; their address is on this machine then.
    pub allow_http_on_loopback: bool,
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

/// The addresses of one Azure cloud. All `https`, but that of the logs may be `http` on this machine.
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

/// One Log Analytics workspace to ask, or an Azure resource in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    pub id: WorkspaceId,
    /// The `workspace` label: as configured, else the id.
    pub name: Arc<str>,
}

/// How Azure knows what is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkspaceId {
    /// A workspace's GUID (its `customerId`).
    Workspace(Uuid),
    /// An ARM id in lower case: of any resource, resource group or subscription whose rows are asked
    /// for, whichever workspaces they are in.
    Resource(Arc<str>),
}

/// What was given as a workspace id and is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "workspace id {0:?} must be a GUID like 00000000-0000-0000-0000-000000000000, or a resource id like /subscriptions/GUID/resourceGroups/NAME"
)]
pub struct WorkspaceIdError(String);

impl WorkspaceId {
    /// Its path in the Logs Query API, below the version; begins with a slash.
    pub fn path(&self) -> String {
        match self {
            Self::Workspace(_) => format!("/workspaces/{self}"),
            Self::Resource(id) => id.to_string(),
        }
    }
}

impl FromStr for WorkspaceId {
    type Err = WorkspaceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = guid(text).map(Self::Workspace);
        id.or_else(|| resource_id(text).map(Self::Resource))
            .ok_or_else(|| WorkspaceIdError(text.into()))
    }
}

/// Uuid would take other spellings too (braces, no hyphens); Azure's paths take this one.
fn guid(text: &str) -> Option<Uuid> {
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

/// A subscription, or what is in one: pairs of a kind and a name. A provider's first kind stands
/// between it and the name, so that it makes four.
fn resource_id(text: &str) -> Option<Arc<str>> {
    let segments: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
    let [first, subscription, ..] = segments[..] else {
        return None;
    };
    // It becomes part of a URL, where other characters, and names of dots alone, mean something else.
    let is_name = |segment: &&str| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || "-_.()".contains(c);
        segment.chars().all(is_known) && !segment.trim_matches('.').is_empty()
    };
    let is_id = first.eq_ignore_ascii_case("subscriptions")
        && guid(subscription).is_some()
        && segments.len().is_multiple_of(2)
        && segments.iter().all(is_name);
    is_id.then(|| text.to_ascii_lowercase().into())
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace(id) => fmt::Display::fmt(&id.hyphenated(), f),
            Self::Resource(id) => f.write_str(id),
        }
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
