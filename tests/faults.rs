//! The exporter against a simulated workspace that goes wrong on demand: what each fault counts as,
//! what is said of it, and that the values come back.

#[path = "azure_client/catalogue.rs"]
mod catalogue;
#[path = "faults/documented.rs"]
mod documented;
#[path = "faults/matrix.rs"]
mod matrix;
#[path = "faults/program.rs"]
mod program;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vminsights_exporter::azure::{Answer, Environment, LogsClient, Query, QueryFailure};
use vminsights_exporter::config::{
    AzureSettings, BudgetSettings, CredentialChoice, Endpoints, SecretSource, Workspace,
};
use vminsights_exporter::exposition::Media;
use vminsights_exporter::ledger::Ledger;
use vminsights_exporter::poll::Poller;
use vminsights_exporter::simulator::{Clock, Faults, Scenario, Simulator, SimulatorOptions};
use vminsights_exporter::snapshot::{PollState, PollStatus, SnapshotStore};
use vminsights_exporter::table::Cell;
use vminsights_exporter::telemetry::{FailureReason, SelfMetrics};

/// Nothing waits for it unless a test has failed.
const PATIENT: Duration = Duration::from_secs(60);

/// A workspace with two VMs, and the files that lead to it.
struct Rig {
    simulator: Simulator,
    settings: AzureSettings,
    workspace: Workspace,
    _folder: TempDir,
}

impl Rig {
    async fn new(rules: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let faults = Faults::from_yaml(Path::new("faults.yaml"), rules).unwrap();
        let simulator = Simulator::start(SimulatorOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            vms: 2,
            scenario: Some(Scenario::Calm),
            clock: Clock::Real,
            faults,
            ..SimulatorOptions::default()
        })
        .await
        .unwrap();
        let access = simulator.access();
        let folder = tempfile::tempdir().unwrap();
        let (ca, secret) = (folder.path().join("ca.pem"), folder.path().join("secret"));
        std::fs::write(&ca, &access.ca_pem).unwrap();
        std::fs::write(&secret, access.client_secret.expose()).unwrap();
        let settings = AzureSettings {
            endpoints: Endpoints {
                logs: access.endpoint.parse().unwrap(),
                audience: access.audience.clone(),
                authority: access.authority.parse().unwrap(),
                resource_manager: "https://127.0.0.1:1".parse().unwrap(),
            },
            credential: CredentialChoice::ClientSecret {
                tenant_id: access.tenant_id.clone(),
                client_id: access.client_id.clone(),
                secret: SecretSource::File(secret),
            },
            ca_file: Some(ca),
            proxy: None,
            allow_http_on_loopback: false,
            budget: BudgetSettings::default(),
        };
        let workspace = Workspace {
            id: access.workspace_id.parse().unwrap(),
            name: "simulated".into(),
        };
        Self {
            simulator,
            settings,
            workspace,
            _folder: folder,
        }
    }

    fn client(&self) -> LogsClient {
        let metrics = SelfMetrics::new().unwrap();
        LogsClient::with_environment(
            &self.settings,
            metrics,
            Environment::of([("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")]),
        )
        .unwrap()
    }

    async fn ask(
        &self,
        client: &LogsClient,
        query: &str,
        timeout: Duration,
    ) -> Result<Answer, QueryFailure> {
        let query = Query {
            workspace: &self.workspace,
            kql: query,
            timeout,
            // A fault is to be seen: nothing is asked again.
            patience: Duration::ZERO,
            slow: false,
        };
        client.query(query).await
    }
}

fn seven(answer: &Answer) -> &Cell {
    &answer.table.rows().next().unwrap()[0]
}

#[tokio::test]
async fn a_throttled_query_knows_when_to_come_again() {
    let rig = Rig::new("rules: [{on: query, times: 1, status: 429, retry_after: 17}]").await;
    let client = rig.client();
    let failure = rig.ask(&client, "print n = 7", PATIENT).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Throttled);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(17)));
    // Until then nobody asks as this identity.
    let failure = rig.ask(&client, "print n = 7", PATIENT).await.unwrap_err();
    assert_eq!(failure.reason, FailureReason::Throttled);
    assert_eq!(failure.request_id, None);
    let answer = rig.ask(&rig.client(), "print n = 7", PATIENT).await;
    assert_eq!(seven(&answer.unwrap()), &Cell::Long(7));
}

#[tokio::test]
async fn a_refused_sign_in_is_told_apart_from_a_refused_query() {
    let rig = Rig::new("rules: [{on: token, times: 1, status: 400}]").await;
    let failure = rig
        .ask(&rig.client(), "print n = 7", PATIENT)
        .await
        .unwrap_err();
    assert_eq!(failure.reason, FailureReason::SignIn);
    let answer = rig.ask(&rig.client(), "print n = 7", PATIENT).await;
    assert_eq!(seven(&answer.unwrap()), &Cell::Long(7));
}

#[tokio::test]
async fn a_token_that_is_taken_back_is_forbidden() {
    let rig = Rig::new("rules: [{on: query, times: 1, answer: expired_token}]").await;
    let failure = rig
        .ask(&rig.client(), "print n = 7", PATIENT)
        .await
        .unwrap_err();
    assert_eq!(failure.reason, FailureReason::Forbidden);
    let answer = rig.ask(&rig.client(), "print n = 7", PATIENT).await;
    assert_eq!(seven(&answer.unwrap()), &Cell::Long(7));
}

#[tokio::test]
async fn a_stale_answer_is_the_one_before() {
    let rig = Rig::new("rules: [{on: query, after: 1, times: 1, answer: stale}]").await;
    let client = rig.client();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = rig.ask(&client, "print n = now()", PATIENT).await.unwrap();
        seen.push(seven(&answer).clone());
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[1], seen[2]);
}

#[tokio::test]
async fn a_poll_fails_for_each_fault_and_keeps_its_values() {
    let rules = "rules:
  - {on: query, contains: Heartbeat, after: 1, times: 1, answer: partial}
  - {on: query, contains: Heartbeat, after: 1, times: 1, answer: column_type}
";
    let rig = Rig::new(rules).await;
    let store: Arc<SnapshotStore> = Arc::default();
    let workspaces = [rig.workspace.clone()];
    let _poller = Poller::start(
        &catalogue::catalogue(""),
        &workspaces,
        &rig.client(),
        &store,
        &Ledger::in_memory(),
    );
    let until = async |condition: &dyn Fn(&PollStatus) -> bool| {
        let deadline = Instant::now() + PATIENT;
        loop {
            let status = store.current().polls().next().unwrap().1.clone();
            if condition(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let has = |status: &PollStatus, reason| status.failures.contains_key(&reason);
    let status = until(&|status| has(status, FailureReason::Partial)).await;
    assert_eq!(status.series, 2, "still up");
    until(&|status| has(status, FailureReason::Shape)).await;
    until(&|status| status.state == PollState::Ok).await;
    let page = store.current().page(Media::default()).pieces().concat();
    let page = String::from_utf8(page).unwrap();
    let values = page.lines().filter(|line| line.starts_with("x_rows{"));
    assert_eq!(values.count(), 2, "{page}");
    rig.simulator.stop().await;
}
