//! `completions`: scripts that complete the commands in a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Arguments, Failure};

#[derive(Args)]
pub struct CompletionsArguments {
    shell: Shell,
}

/// Writes the script to stdout.
pub fn run(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        env!("CARGO_PKG_NAME"),
        &mut script,
    );
    std::io::Write::write_all(&mut std::io::stdout(), &script).map_err(Failure::failed)
}
