//! `meseta version`.

use std::process::ExitCode;

use super::{Command, Failure};

/// The command.
pub const COMMAND: Command = Command {
    name: "version",
    synopsis: "",
    summary: "print the version",
    flags: &[],
    hidden: false,
    run: version,
};

#[expect(clippy::print_stdout, reason = "the command's product")]
fn version(_words: &[String]) -> Result<ExitCode, Failure> {
    println!("meseta {}", env!("CARGO_PKG_VERSION"));
    Ok(ExitCode::SUCCESS)
}
