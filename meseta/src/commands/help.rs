//! `meseta help`.

use std::process::ExitCode;

use super::{ALL, Command, Failure, complain, find, say};
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

fn all() -> ExitCode {
    let mut text = String::from("Meseta, a cluster manager.\n\nusage: meseta COMMAND [flags]\n\n");
    for command in ALL.iter().filter(|command| !command.hidden) {
        text.push_str(&format!("  {:10} {}\n", command.name, command.summary));
    }
    text.push_str("\n'meseta help COMMAND' lists the flags of a command. To try it:\n\n");
    text.push_str("  meseta local --run 'echo hello from $MESOS_TASK_ID'\n");
    say(&text);
    ExitCode::SUCCESS
}

/// Prints the flags of one command.
pub fn of(command: &Command) -> ExitCode {
    let Command { name, summary, synopsis, .. } = command;
    let mut text =
        format!("meseta {name}: {summary}\n\nusage: {}\n", format!("meseta {name} {synopsis}").trim_end());
    if !command.flags.is_empty() {
        text.push_str(&format!("\n{}\n", usage(command.flags)));
        text.push_str("Each can also be given as the environment variable MESOS_<FLAG>. A value 'file:///path' is read from there.\n");
    }
    say(&text);
    ExitCode::SUCCESS
}
