//! `check`: is this configuration good?

use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::demand::{Demand, EXPECTED_SECONDS};
use super::exporter::Checked;
use crate::telemetry::SelfMetrics;

#[derive(Args)]
pub struct CheckArguments {
    /// The configuration (YAML).
    #[arg(long = "config.file", value_name = "FILE")]
    config_file: PathBuf,
    /// How many seconds Azure takes for a query, to say how many run at once.
    #[arg(long, value_name = "SECONDS", default_value_t = EXPECTED_SECONDS, value_parser = seconds)]
    query_seconds: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (0.0..=600.0).contains(seconds));
    seconds.ok_or_else(|| "must be from 0 to 600".into())
}

pub fn run(arguments: &CheckArguments) -> Result<(), Failure> {
    check_with(&arguments.config_file, arguments.query_seconds)
}

/// Says what the configuration amounts to.
pub fn check(config_file: &Path) -> Result<(), Failure> {
    check_with(config_file, EXPECTED_SECONDS)
}

fn check_with(config_file: &Path, query_seconds: f64) -> Result<(), Failure> {
    let metrics = SelfMetrics::new().map_err(Failure::failed)?;
    let Checked {
        settings,
        catalogue,
        ..
    } = Checked::load(config_file, &metrics, &metrics)?;
    let families: std::collections::BTreeSet<_> = catalogue
        .queries
        .iter()
        .flat_map(|query| &query.mapping.metrics)
        .map(|metric| &metric.name)
        .collect();
    let intervals = || catalogue.queries.iter().map(|query| query.interval);
    let demand = Demand::of(settings.workspaces.len(), intervals(), query_seconds);
    demand
        .fits(settings.azure.budget)
        .map_err(Failure::configuration)?;
    let each = Demand::of(1, intervals(), query_seconds);
    let found = match settings.discover {
        Some(_) => format!("; without discovered workspaces, each of which {each}"),
        None => String::new(),
    };
    println!(
        "{}: good: {} workspaces, {} queries, {} families, {} warnings; {demand}{found}",
        config_file.display(),
        settings.workspaces.len(),
        catalogue.queries.len(),
        families.len(),
        catalogue.warnings.len()
    );
    Ok(())
}
