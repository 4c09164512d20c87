//! The commands, one file each. Arguments become settings here, errors become exit codes.

mod about;
mod check;
mod completions;
mod configuration;
mod demand;
mod demo;
mod exporter;
mod failure;
mod healthcheck;
mod known;
mod live;
mod logging;
mod roster;
mod seeker;
mod serve;
mod shard;
mod shutdown;
mod state;
mod traces;
mod workspace;

use clap::{Parser, Subcommand};

pub use configuration::load as load_configuration;
pub use failure::Failure;

/// Publishes what Azure VM insights knows as Prometheus metrics.
#[derive(Parser)]
#[command(version = VERSION, about, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: logging::LogArguments,
}

const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("VMINSIGHTS_REVISION"),
    " of ",
    env!("VMINSIGHTS_REVISION_DATE"),
    ")"
);

const EXIT_CODES: &str =
    "Exit codes: 0 well, 1 failed, 2 wrong usage, 64 bad configuration or data.";

#[derive(Subcommand)]
enum Command {
    /// Poll the configured workspaces and serve their metrics.
    Serve(serve::ServeArguments),
    /// Check a configuration and its queries, without Azure: exit 0 or 64.
    Check(check::CheckArguments),
    /// Show it all without Azure: a simulated workspace and the exporter in one process.
    Demo(demo::DemoArguments),
    /// Run the simulated workspace alone, for any client of the Logs Query API.
    Workspace(workspace::WorkspaceArguments),
    /// Ask a running exporter whether it serves: exit 0 or 1.
    Healthcheck(healthcheck::HealthcheckArguments),
    /// Print a script that completes the commands in a shell.
    Completions(completions::CompletionsArguments),
}

/// Runs the command to its end.
///
/// # Errors
/// With what to print and the exit code.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    // Both reqwest and the simulated workspace take the process' provider. A second call, in tests,
    // finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let traces = logging::start(&arguments.log);
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    runtime.block_on(async {
        match arguments.command {
            Command::Serve(arguments) => serve::run(arguments, traces).await,
            Command::Check(arguments) => check::run(&arguments),
            Command::Demo(arguments) => demo::run(arguments, traces).await,
            Command::Workspace(arguments) => workspace::run(arguments).await,
            Command::Healthcheck(arguments) => healthcheck::run(arguments).await,
            Command::Completions(arguments) => completions::run(&arguments),
        }
    })
}
