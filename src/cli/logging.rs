//! The log: to stderr, so that stdout stays for answers.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

#[derive(Args)]
pub struct LogArguments {
    /// The least severity that is logged.
    #[arg(long = "log.level", global = true, value_enum, default_value_t = LogLevel::Info)]
    level: LogLevel,
    /// One line of text or of JSON per event.
    #[arg(long = "log.format", global = true, value_enum, default_value_t = LogFormat::Text)]
    format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Starts logging. Libraries are heard from `warn` on only: below that some of them print requests
/// with their headers.
pub fn start(arguments: &LogArguments) {
    let level = match arguments.level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    let filter = Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("vminsights_exporter", level);
    let layer = match arguments.format {
        LogFormat::Text => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .with_target(false)
            .boxed(),
    };
    // Only a second call could fail, and then the first one's logging is there.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
}
