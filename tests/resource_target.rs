//! A resource in a workspace's place: the exporter reads its rows by its ARM id alone.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use vminsights_exporter::azure::{Answer, LogsClient, Query, QueryFailure};
use vminsights_exporter::config::{Settings, Workspace};
use vminsights_exporter::simulator::{Simulator, SimulatorOptions};
use vminsights_exporter::table::Cell;
use vminsights_exporter::telemetry::SelfMetrics;

const PATIENT: Duration = Duration::from_secs(30);
const MACHINES: &str =
    "Heartbeat | where isnotempty(_ResourceId) | distinct _ResourceId | order by _ResourceId asc";

struct Rig {
    simulator: Simulator,
    folder: TempDir,
}

impl Rig {
    async fn new() -> Self {
        let simulator = Simulator::start(SimulatorOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            vms: 3,
            ..SimulatorOptions::default()
        })
        .await
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let access = simulator.access();
        std::fs::write(folder.path().join("ca.pem"), &access.ca_pem).unwrap();
        std::fs::write(folder.path().join("secret"), access.client_secret.expose()).unwrap();
        Self { simulator, folder }
    }

    /// The configuration that asks these.
    fn settings(&self, ids: &[&str]) -> Settings {
        let access = self.simulator.access();
        let mut text = format!(
            "azure:
  cloud: {{logs: '{0}', audience: '{1}', authority: '{0}'}}
  credential: {{client_secret: {{tenant_id: {2}, client_id: {3}, secret_file: secret}}}}
  ca_file: ca.pem
workspaces:
",
            access.endpoint, access.audience, access.tenant_id, access.client_id
        );
        for (number, id) in ids.iter().enumerate() {
            text.push_str(&format!("  - {{id: {id}, name: n{number}}}\n"));
        }
        let file = self.folder.path().join("exporter.yaml");
        std::fs::write(&file, text).unwrap();
        Settings::load(&file).unwrap()
    }
}

async fn ask(client: &LogsClient, workspace: &Workspace) -> Result<Answer, QueryFailure> {
    client
        .query(Query {
            workspace,
            kql: MACHINES,
            timeout: PATIENT,
            patience: PATIENT,
            slow: false,
        })
        .await
}

fn texts(answer: &Answer) -> Vec<String> {
    let rows = answer.table.rows();
    rows.map(|row| match &row[0] {
        Cell::String(text) => text.to_string(),
        other => panic!("{other:?}"),
    })
    .collect()
}

fn check(folder: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vminsights-exporter"))
        .current_dir(folder)
        .args(["check", "--config.file=exporter.yaml"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_gives_its_own_rows_and_the_workspace_all() {
    let rig = Rig::new().await;
    let all = rig.settings(&[&rig.simulator.access().workspace_id]);
    let client = LogsClient::new(&all.azure, SelfMetrics::new().unwrap()).unwrap();
    let machines = texts(&ask(&client, &all.workspaces[0]).await.unwrap());
    assert!(machines.len() >= 2, "{machines:?}");

    let machine = machines[0].as_str();
    let capitals = format!("/subscriptions{}", {
        machine
            .strip_prefix("/subscriptions")
            .unwrap()
            .to_uppercase()
    });
    let nobody = format!("{machine}0");
    let settings = rig.settings(&[&capitals, &nobody]);
    assert_eq!(settings.workspaces[0].id.to_string(), machine);
    let found = ask(&client, &settings.workspaces[0]).await.unwrap();
    assert_eq!(texts(&found), [machine]);
    let failure = ask(&client, &settings.workspaces[1]).await.unwrap_err();
    assert_eq!(failure.reason.as_str(), "not_found");

    let (code, text) = check(rig.folder.path());
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.starts_with("exporter.yaml: good: 2 workspaces, "),
        "{text}"
    );
    rig.simulator.stop().await;
}
