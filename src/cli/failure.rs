//! How a command fails: what a person reads and what a script sees.

use std::fmt;
use std::process::ExitCode;

use crate::config::Problems;
use crate::telemetry::error_chain;

/// A command's end that is not a good one.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// Exit code 1.
    pub fn failed(error: impl std::error::Error + 'static) -> Self {
        Self {
            code: 1,
            text: format!("error: {}", error_chain(&error)),
        }
    }

    /// Exit code 2.
    pub fn usage(text: impl fmt::Display) -> Self {
        Self {
            code: 2,
            text: format!("error: {text}"),
        }
    }

    /// Exit code 64.
    pub fn configuration(error: impl std::error::Error + 'static) -> Self {
        Self {
            code: 64,
            text: format!("error: {}", error_chain(&error)),
        }
    }

    pub fn exit_code(&self) -> ExitCode {
        self.code.into()
    }
}

impl From<Problems> for Failure {
    /// Exit code 64. Each problem stands on a line of its own, as compilers print them.
    fn from(problems: Problems) -> Self {
        let count = problems.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        Self {
            code: 64,
            text: format!("{problems}\nerror: {count} {noun} in the configuration"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
