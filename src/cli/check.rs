//! `check`: is this configuration good?

use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::exporter::Checked;
use super::shard::Shard;
use crate::telemetry::SelfMetrics;

#[derive(Args)]
pub struct CheckArguments {
    /// The configuration (YAML).
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: PathBuf,
}

pub fn run(arguments: &CheckArguments) -> Result<(), Failure> {
    check(&arguments.config_file)
}

/// Says what the configuration amounts to.
pub fn check(config_file: &Path) -> Result<(), Failure> {
    let metrics = SelfMetrics::new().map_err(Failure::failed)?;
    let Checked {
        settings,
        catalogue,
        ..
    } = Checked::load(config_file, Shard::default(), &metrics, &metrics)?;
    let families: std::collections::BTreeSet<_> = catalogue
        .queries
        .iter()
        .flat_map(|query| &query.mapping.metrics)
        .map(|metric| &metric.name)
        .collect();
    println!(
        "{}: good: {} workspaces, {} queries, {} families, {} warnings",
        config_file.display(),
        settings.workspaces.len(),
        catalogue.queries.len(),
        families.len(),
        catalogue.warnings.len()
    );
    Ok(())
}
