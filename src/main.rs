//! The `vminsights-exporter` program: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use vminsights_exporter::cli::{self, Arguments};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}
