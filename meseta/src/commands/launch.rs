//! `meseta launch`: what an agent starts a container with. Not for people.

use std::process::ExitCode;

use super::{Command, Failure};

/// The command.
pub const COMMAND: Command = Command {
    name: "launch",
    synopsis: "",
    summary: "set a container up and become its executor (agents use it)",
    flags: &[],
    hidden: true,
    run: launch,
};

fn launch(_words: &[String]) -> Result<ExitCode, Failure> {
    Ok(agent::launch::launch_main(executor::command::main))
}
