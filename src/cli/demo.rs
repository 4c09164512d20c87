//! `demo`: a simulated workspace and the exporter in one process.
//!
//! The two halves share nothing. The demo writes what a person would write, a configuration file, a
//! CA file and a secret file, and the exporter starts from that file as `serve` would.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::exporter::{Exporter, WebArguments};
use super::shard::Shard;
use super::shutdown::Shutdown;
use crate::simulator::{Access, Pace, Scenario, Simulator, SimulatorOptions};
use crate::telemetry::Traces;

#[derive(Args)]
pub struct DemoArguments {
    /// What happens in the simulated workspace.
    #[arg(long, default_value_t = Scenario::Mixed, value_parser = super::workspace::scenario)]
    scenario: Scenario,
    /// How many VMs it has.
    #[arg(long, default_value_t = 12, value_parser = super::workspace::vms)]
    vms: usize,
    /// How long a minute takes in the simulated workspace. 1s makes an hour pass in a minute.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = super::workspace::pace)]
    row_interval: Pace,
    /// The same seed gives the same fleet and the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    web: WebArguments,
}

pub async fn run(arguments: DemoArguments, traces: Traces) -> Result<(), Failure> {
    let mut shutdown = Shutdown::listen().map_err(Failure::failed)?;
    let simulator = Simulator::start(SimulatorOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        seed: arguments.seed,
        vms: arguments.vms,
        scenario: Some(arguments.scenario),
        pace: arguments.row_interval,
        ..SimulatorOptions::default()
    })
    .await
    .map_err(Failure::failed)?;
    // Gone when this function ends.
    let folder = tempfile::Builder::new()
        .prefix("vminsights-demo-")
        .tempdir()
        .map_err(Failure::failed)?;
    let config = write_configuration(folder.path(), simulator.access()).map_err(Failure::failed)?;
    let exporter = Exporter::prepare(&config, &arguments.web, Shard::default(), traces).await?;
    introduce(&arguments, simulator.access(), &exporter, &config);
    exporter.run(shutdown.requested(), None).await;
    simulator.stop().await;
    Ok(())
}

/// Writes the files that the exporter half starts from, and says where the configuration is.
fn write_configuration(folder: &Path, access: &Access) -> io::Result<PathBuf> {
    std::fs::write(folder.join("ca.pem"), &access.ca_pem)?;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(folder.join("client-secret"))?
        .write_all(access.client_secret.expose().as_bytes())?;
    let file = folder.join("exporter.yaml");
    std::fs::write(
        &file,
        format!(
            "azure:
  cloud:
    logs: {endpoint}
    audience: {audience}
    authority: {authority}
  credential:
    client_secret:
      tenant_id: {tenant}
      client_id: {client}
      secret_file: client-secret
  ca_file: ca.pem
workspaces:
  - {{id: {workspace}, name: demo}}
packs: [vm, threats, feed, connections]
",
            endpoint = access.endpoint,
            audience = access.audience,
            authority = access.authority,
            tenant = access.tenant_id,
            client = access.client_id,
            workspace = access.workspace_id,
        ),
    )?;
    Ok(file)
}

fn introduce(arguments: &DemoArguments, access: &Access, exporter: &Exporter, config: &Path) {
    let url = exporter.url();
    let root = url.rsplit_once('/').map_or(url.as_str(), |(root, _)| root);
    let text = format!(
        "A simulated Log Analytics workspace with {vms} VMs (scenario {scenario}, seed {seed}) runs at
  {endpoint}
and the exporter polls it over TLS, as it would poll Azure. Open
  {url}    the metrics, complete within 5 s
  {root}/    which queries run, and how they stand
Try
  curl -s {url} | grep -E 'disk_free_percent|threat_connections'
  the configuration that the exporter runs from: {config}
Ctrl-C ends it.
",
        vms = arguments.vms,
        scenario = arguments.scenario,
        seed = arguments.seed,
        endpoint = access.endpoint,
        config = config.display(),
    );
    // The demo is worth running for somebody who has closed stdout, too.
    let _ = io::stdout().write_all(text.as_bytes());
}
