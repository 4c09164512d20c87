//! The log: to stderr, so that stdout stays for answers.

use clap::{Args, ValueEnum};
use tracing::Level;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::telemetry::{LogFormat, Traces, traces};

#[derive(Args)]
pub struct LogArguments {
    /// The least severity that is logged.
    #[arg(long = "log.level", global = true, value_enum, default_value_t = LogLevel::Info)]
    level: LogLevel,
    /// How each event's line is written.
    #[arg(long = "log.format", global = true, value_enum, default_value_t = Format::Logfmt)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Logfmt,
    Json,
}

/// Starts logging. Libraries are heard from `warn` on only: below that some of them print requests
/// with their headers. Traces are off until the configuration asks for them.
pub fn start(arguments: &LogArguments) -> Traces {
    let level = match arguments.level {
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Info => Level::INFO,
        LogLevel::Warn => Level::WARN,
        LogLevel::Error => Level::ERROR,
    };
    let format = match arguments.format {
        Format::Logfmt => LogFormat::Logfmt,
        Format::Json => LogFormat::Json,
    };
    let targets = Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("vminsights_exporter", level);
    // Spans are for traces; the log has no use for them.
    let events = filter_fn(move |metadata| {
        metadata.is_event() && targets.would_enable(metadata.target(), metadata.level())
    })
    .with_max_level_hint(level);
    let lines = fmt::layer()
        .event_format(format)
        .with_writer(std::io::stderr)
        .with_filter(events);
    let (spans, traces) = traces::layer();
    // Only a second call could fail, and then the first one's logging is there.
    let _ = tracing_subscriber::registry()
        .with(spans)
        .with(lines)
        .try_init();
    traces
}
