//! A client, the sign-in it uses, and the workspace it asks, all on loopback.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;
use vminsights_exporter::azure::{Answer, Environment, LogsClient, Query, QueryFailure};
use vminsights_exporter::config::{
    AzureSettings, CredentialChoice, Endpoints, SecretSource, Workspace,
};
use vminsights_exporter::telemetry::{SelfMetrics, error_chain};

use super::server::{Authority, Behaviour, Reply, Seen, Server};

pub const WORKSPACE: &str = "0a1f6b9a-caa1-4e5a-ac9a-54aa9b2fb131";
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub const SECRET: &str = "hunter2~never.print.this";
pub const AUDIENCE: &str = "https://api.loganalytics.io";
/// Where the metadata service is, if not at its usual address.
pub const METADATA_ADDRESS: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
/// Long enough for a busy machine; nothing waits for it unless a test has failed.
pub const PATIENT: Duration = Duration::from_secs(60);

/// Microsoft Entra ID, working: hands out `token-1`, `token-2`, …
pub struct HonestTokenEndpoint {
    pub lives_for: u64,
    issued: Mutex<u32>,
}

impl HonestTokenEndpoint {
    pub fn new() -> Self {
        Self::with_life(3_600)
    }

    pub fn with_life(seconds: u64) -> Self {
        Self {
            lives_for: seconds,
            issued: Mutex::new(0),
        }
    }
}

impl Behaviour for HonestTokenEndpoint {
    fn reply(&self, _: &Seen) -> Reply {
        let mut issued = self.issued.lock().unwrap();
        *issued += 1;
        let token = format!(
            r#"{{"token_type": "Bearer", "expires_in": {0}, "ext_expires_in": {0}, "access_token": "token-{issued}"}}"#,
            self.lives_for
        );
        Reply::json(200, token)
    }
}

/// A workspace that answers each query with one row.
pub struct HonestWorkspace;

pub const ONE_ROW: &str = r#"{"tables": [{"name": "PrimaryResult",
    "columns": [{"name": "n", "type": "int"}], "rows": [[7]]}]}"#;

impl Behaviour for HonestWorkspace {
    fn reply(&self, _: &Seen) -> Reply {
        Reply::json(200, ONE_ROW)
    }
}

/// The servers and the settings that lead to them.
pub struct Rig {
    pub folder: TempDir,
    pub entra: Server,
    pub logs: Server,
    pub settings: AzureSettings,
    pub environment: Environment,
    pub metrics: SelfMetrics,
}

impl Rig {
    pub async fn new(entra: impl Behaviour, logs: impl Behaviour) -> Self {
        let ca = Authority::new();
        let entra = Server::tls(ca.acceptor("127.0.0.1"), entra).await;
        let logs = Server::tls(ca.acceptor("127.0.0.1"), logs).await;
        Self::of(&ca, entra, logs)
    }

    /// Signing in works; the workspace is what matters.
    pub async fn asking(logs: impl Behaviour) -> Self {
        Self::new(HonestTokenEndpoint::new(), logs).await
    }

    /// The workspace works; signing in is what matters.
    pub async fn signing_in_at(entra: impl Behaviour) -> Self {
        Self::new(entra, HonestWorkspace).await
    }

    pub fn of(ca: &Authority, entra: Server, logs: Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let settings = AzureSettings {
            endpoints: Endpoints {
                logs: logs.address.parse().unwrap(),
                audience: AUDIENCE.into(),
                authority: entra.address.parse().unwrap(),
                resource_manager: "https://127.0.0.1:1".parse().unwrap(),
            },
            credential: CredentialChoice::ClientSecret {
                tenant_id: TENANT.into(),
                client_id: "client".into(),
                secret: SecretSource::File(write("secret", &format!("{SECRET}\n"))),
            },
            ca_file: Some(write("ca.pem", &ca.pem())),
            proxy: None,
            allow_http_on_loopback: false,
            budget: Default::default(),
        };
        Self {
            folder,
            entra,
            logs,
            settings,
            // No test asks the metadata service of the machine that it runs on.
            environment: Environment::of([(METADATA_ADDRESS, "http://127.0.0.1:1")]),
            metrics: SelfMetrics::new().unwrap(),
        }
    }

    pub fn client(&self) -> LogsClient {
        let (metrics, environment) = (self.metrics.clone(), self.environment.clone());
        LogsClient::with_environment(&self.settings, metrics, environment).unwrap()
    }

    /// One query by a new client.
    pub async fn ask(&self) -> Result<Answer, QueryFailure> {
        ask(&self.client(), PATIENT).await
    }

    /// A failure that must be one, as a person sees it: its reason, its causes, its hint.
    pub async fn failure(&self) -> Told {
        Told::of(&self.ask().await.unwrap_err())
    }

    /// How many requests were counted under this outcome.
    pub fn counted(&self, outcome: &str) -> f64 {
        let families = self.metrics.gather();
        let family = families
            .iter()
            .find(|family| family.name() == "vminsights_exporter_api_requests_total")
            .unwrap();
        let metric = family
            .get_metric()
            .iter()
            .find(|metric| metric.get_label()[0].value() == outcome)
            .unwrap();
        metric.get_counter().get_value()
    }
}

pub fn workspace() -> Workspace {
    Workspace {
        id: WORKSPACE.parse().unwrap(),
        name: "prod".into(),
    }
}

pub async fn ask(client: &LogsClient, timeout: Duration) -> Result<Answer, QueryFailure> {
    let workspace = workspace();
    let query = Query {
        workspace: &workspace,
        kql: "Heartbeat | take 1",
        timeout,
        // Its turn comes at once or not at all, and nothing is asked again.
        patience: Duration::ZERO,
        slow: false,
    };
    client.query(query).await
}

/// Asks with so much time for its turn and for asking again.
pub async fn ask_patiently(
    client: &LogsClient,
    patience: Duration,
) -> Result<Answer, QueryFailure> {
    let workspace = workspace();
    let query = Query {
        workspace: &workspace,
        kql: "Heartbeat | take 1",
        timeout: PATIENT,
        patience,
        slow: false,
    };
    client.query(query).await
}

/// A failure in words.
#[derive(Debug)]
pub struct Told {
    pub reason: &'static str,
    pub text: String,
    pub hint: String,
    pub retry_after: Option<Duration>,
}

impl Told {
    /// Also makes sure that nothing about it gives the secret or a token away.
    pub fn of(failure: &QueryFailure) -> Self {
        let told = Self {
            reason: failure.reason.as_str(),
            text: error_chain(failure),
            hint: failure.hint().unwrap_or_default().to_owned(),
            retry_after: failure.retry_after,
        };
        let everything = format!("{told:?} {failure:?} {failure:#?}");
        for secret in [SECRET, "token-1", "token-2", "assertion-"] {
            assert!(!everything.contains(secret), "{everything}");
        }
        told
    }
}
