//! `meseta launch`: what an agent starts a container with. Not for people.

use std::path::PathBuf;
use std::process::ExitCode;

use executor::command::Birth;

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

fn launch(words: &[String]) -> Result<ExitCode, Failure> {
    match words {
        // For `meseta bench`: what the kernel alone takes.
        [word, count, cgroups @ ..] if word == "floor" => {
            let cgroups: Vec<PathBuf> = cgroups.iter().map(PathBuf::from).collect();
            agent::launch::floor(count.parse()?, &cgroups)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Ok(agent::launch::launch_main(|agent::launch::Born { environment, pipe }| {
            executor::command::main(Birth { environment, pipe })
        })),
    }
}
