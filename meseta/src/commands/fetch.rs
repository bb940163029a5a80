//! `meseta fetch`: what an agent fetches into a sandbox with. Not for people.

use std::process::ExitCode;

use super::{Command, Failure};

/// The command.
pub const COMMAND: Command = Command {
    name: "fetch",
    synopsis: "",
    summary: "fetch one thing into a sandbox (agents use it)",
    flags: &[],
    hidden: true,
    run: fetch,
};

fn fetch(_words: &[String]) -> Result<ExitCode, Failure> {
    Ok(agent::fetcher::process::main())
}
