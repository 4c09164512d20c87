//! `serve`: what runs in production.

use std::path::PathBuf;

use clap::Args;

use super::exporter::{Exporter, WebArguments};
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
    let exporter = Exporter::prepare(&arguments.config_file, &arguments.web, traces).await?;
    exporter.run(shutdown.requested()).await;
    Ok(())
}
