//! `workspace`: the simulated workspace alone, for anybody's client.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::shutdown::Shutdown;
use crate::config::{Problem, Problems};
use crate::simulator::{
    Clock, Faults, Limits, Pace, Scenario, Simulator, SimulatorError, SimulatorOptions,
};

#[derive(Args)]
pub struct WorkspaceArguments {
    /// Where the workspace and its token endpoint answer.
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:10049"
    )]
    listen_address: SocketAddr,
    /// A folder of tables: <Table>.ndjson or <Table>.csv, and schema.json for tables that are not
    /// known. Without --scenario nothing else is in the workspace.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What happens: calm, attack, disk-filling, silent-feed or mixed; mixed without --data.
    #[arg(long, value_name = "NAME", value_parser = scenario)]
    scenario: Option<Scenario>,
    /// How many VMs a scenario has.
    #[arg(long, default_value_t = 12, value_parser = super::workspace::vms)]
    vms: usize,
    /// The same seed gives the same fleet and the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long a minute takes in a scenario, and so how often a counter has a row. 1s makes an hour
    /// pass in a minute.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = pace)]
    row_interval: Pace,
    /// The fixed clock of the queries, such as 2026-11-24T08:00:00Z.
    #[arg(long, value_name = "RFC3339")]
    now: Option<jiff::Timestamp>,
    /// Where the certificate that clients need to trust is written.
    #[arg(long, value_name = "OUT", conflicts_with = "no_tls")]
    ca_file: Option<PathBuf>,
    /// A file of what goes wrong, and when: statuses, delays, cut answers (docs/simulator.md).
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Refuse requests beyond Azure's limits: 200 in 30 s, 5 queries at a time.
    #[arg(long)]
    limits: bool,
    /// Plain HTTP; on a loopback address only.
    #[arg(long)]
    no_tls: bool,
}

pub fn scenario(name: &str) -> Result<Scenario, String> {
    name.parse().map_err(|_| {
        let names: Vec<String> = Scenario::ALL.iter().map(Scenario::to_string).collect();
        format!("the scenarios are {}", names.join(", "))
    })
}

/// As many as one machine can simulate.
pub fn vms(text: &str) -> Result<usize, String> {
    let vms = text.parse().ok().filter(|vms| (1..=20_000).contains(vms));
    vms.ok_or_else(|| "a fleet has 1 to 20000 VMs".into())
}

pub fn pace(text: &str) -> Result<Pace, String> {
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    Pace::new(interval).map_err(|error| error.to_string())
}

pub async fn run(arguments: WorkspaceArguments) -> Result<(), Failure> {
    if arguments.no_tls && !arguments.listen_address.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--no-tls needs a loopback address, {} is none",
            arguments.listen_address
        )));
    }
    let mut shutdown = Shutdown::listen().map_err(Failure::failed)?;
    let faults = arguments.faults.as_deref().map(read_faults).transpose()?;
    let mut limits = if arguments.limits {
        Limits::default()
    } else {
        Limits::OFF
    };
    // Whose minutes are shorter asks more often in the same share of them.
    let minute = arguments.row_interval.interval();
    limits.window = limits.window.mul_f64(minute.as_secs_f64() / 60.0);
    let generated = arguments.data.is_none().then_some(Scenario::Mixed);
    let simulator = Simulator::start(SimulatorOptions {
        listen: arguments.listen_address,
        tls: !arguments.no_tls,
        seed: arguments.seed,
        vms: arguments.vms,
        scenario: arguments.scenario.or(generated),
        data: arguments.data,
        pace: arguments.row_interval,
        limits,
        clock: arguments.now.map_or(Clock::Real, Clock::Fixed),
        faults: faults.unwrap_or_default(),
        ..SimulatorOptions::default()
    })
    .await
    .map_err(|error| match error {
        SimulatorError::Data(_) => Failure::configuration(error),
        error => Failure::failed(error),
    })?;

    let mut access = simulator.access().clone();
    // Gone when this function ends.
    let folder = tempfile::tempdir().map_err(Failure::failed)?;
    if !arguments.no_tls {
        let file = arguments
            .ca_file
            .unwrap_or_else(|| folder.path().join("ca.pem"));
        std::fs::write(&file, &access.ca_pem).map_err(|error| {
            Failure::failed(io::Error::new(
                error.kind(),
                format!("--ca-file {}: {error}", file.display()),
            ))
        })?;
        access.ca_file = Some(file);
    }
    announce(&access).map_err(Failure::failed)?;
    shutdown.requested().await;
    simulator.stop().await;
    Ok(())
}

fn read_faults(file: &Path) -> Result<Faults, Failure> {
    let read = std::fs::read_to_string(file)
        .map_err(|error| Problem::new(file, None, error.to_string()))
        .and_then(|text| Faults::from_yaml(file, &text));
    read.map_err(|problem| Problems(vec![problem]).into())
}

/// The one line on stdout, for whoever started this.
fn announce(access: &crate::simulator::Access) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, access)?;
    out.write_all(b"\n")?;
    out.flush()
}
