//! `serve`: what runs in production.

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::exporter::{Exporter, WebArguments};
use super::shard::Shard;
use super::shutdown::Shutdown;
use super::{Failure, check};
use crate::telemetry::{SelfMetrics, Traces};

#[derive(Args)]
pub struct ServeArguments {
    /// The configuration (YAML).
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: PathBuf,
    /// Check the configuration and end: exit 0 or 64.
    #[arg(long = "config.check")]
    config_check: bool,
    /// Ask only the workspaces of shard i of n, from 0: 2/3 is the last of three. auto/n takes i from
    /// the end of POD_NAME or HOSTNAME, as a StatefulSet's pods have it.
    #[arg(long, value_name = "I/N", default_value = "0/1")]
    shard: Shard,
    #[command(flatten)]
    web: WebArguments,
}

pub async fn run(arguments: ServeArguments, traces: Traces) -> Result<(), Failure> {
    if arguments.config_check {
        let metrics = SelfMetrics::new().map_err(Failure::failed)?;
        arguments.web.lock(&metrics).await?;
        return check::check(&arguments.config_file);
    }
    let mut shutdown = Shutdown::listen().map_err(Failure::failed)?;
    // From here on SIGHUP does not end the process.
    let hangup = signal(SignalKind::hangup()).map_err(Failure::failed)?;
    let (file, web) = (&arguments.config_file, &arguments.web);
    let exporter = Exporter::prepare(file, web, arguments.shard, traces).await?;
    exporter.run(shutdown.requested(), Some(hangup)).await;
    Ok(())
}
