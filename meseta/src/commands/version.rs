//! `meseta version`.

use std::process::ExitCode;

use super::{Command, Failure, say};
use crate::flags::{Arguments, Flags, Surroundings};

/// The command.
pub const COMMAND: Command = Command {
    name: "version",
    synopsis: "",
    summary: "print the version",
    flags: &[],
    hidden: false,
    run: version,
};

fn version(words: &[String]) -> Result<ExitCode, Failure> {
    Flags::load("version", COMMAND.flags, Arguments::None, words, &Surroundings::default())?;
    say(concat!("meseta ", env!("CARGO_PKG_VERSION"), "\n"));
    Ok(ExitCode::SUCCESS)
}
