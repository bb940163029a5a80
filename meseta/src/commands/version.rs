//! `meseta version`.

use std::process::ExitCode;

use super::{Command, Failure, say};

/// The command.
pub const COMMAND: Command = Command {
    name: "version",
    synopsis: "",
    summary: "print the version",
    flags: &[],
    hidden: false,
    run: version,
};

fn version(_words: &[String]) -> Result<ExitCode, Failure> {
    say(concat!("meseta ", env!("CARGO_PKG_VERSION"), "\n"));
    Ok(ExitCode::SUCCESS)
}
