//! `meseta help`.

use std::process::ExitCode;

use super::{ALL, Command, Failure, complain, find};
use crate::flags::usage;

/// The command.
pub const COMMAND: Command = Command {
    name: "help",
    synopsis: "[COMMAND]",
    summary: "print this, or the flags of a command",
    flags: &[],
    hidden: false,
    run: help,
};

fn help(words: &[String]) -> Result<ExitCode, Failure> {
    match words.first() {
        None => Ok(all()),
        Some(name) => match find(name) {
            Some(command) => Ok(of(command)),
            None => {
                complain("help", &format!("there is no command '{name}'; 'meseta help' lists them"));
                Ok(ExitCode::FAILURE)
            }
        },
    }
}

#[expect(clippy::print_stdout, reason = "the command's product")]
fn all() -> ExitCode {
    println!("Meseta, a cluster manager.\n\nusage: meseta COMMAND [flags]\n");
    for command in ALL.iter().filter(|command| !command.hidden) {
        println!("  {:10} {}", command.name, command.summary);
    }
    println!("\n'meseta help COMMAND' lists the flags of a command. To try it:\n");
    println!("  meseta local --run 'echo hello from $MESOS_TASK_ID'");
    ExitCode::SUCCESS
}

/// Prints the flags of one command.
#[expect(clippy::print_stdout, reason = "the command's product")]
pub fn of(command: &Command) -> ExitCode {
    println!("meseta {}: {}\n\nusage: meseta {0} {}", command.name, command.summary, command.synopsis);
    if !command.flags.is_empty() {
        println!("\n{}", usage(command.flags));
        println!(
            "Each can also be given as the environment variable MESOS_<FLAG>. A value 'file:///path' is read from there."
        );
    }
    ExitCode::SUCCESS
}
