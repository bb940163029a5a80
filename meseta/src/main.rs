//! Meseta, a cluster manager: master, agent, local cluster and command line in one binary.
//!
//! The life of the process: the first word picks a [`commands::Command`]; its flags are loaded and checked; it runs and
//! says with which code the process ends. What can't start says why in one line and ends with 1, nothing
//! half-started.

#![allow(unreachable_pub, reason = "a binary has no outside: `pub` says what a module gives to the others")]

mod about;
mod bench;
mod commands;
mod flags;
mod logging;
mod memory;
mod run;
mod runtime;
mod work_dir;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let (name, words) = match words.split_first() {
        Some((name, words)) => (name.as_str(), words),
        None => ("help", &[][..]),
    };
    let name = match name {
        "--help" | "-h" => "help",
        "--version" | "-V" => "version",
        "slave" => "agent",
        name => name,
    };
    let Some(command) = commands::find(name) else {
        commands::complain("", &format!("there is no command '{name}'; 'meseta help' lists them"));
        return ExitCode::FAILURE;
    };
    if words.iter().take_while(|word| *word != "--").any(|word| word == "--help") {
        return commands::help::of(command);
    }
    match (command.run)(words) {
        Ok(code) => code,
        Err(error) => {
            commands::complain(command.name, &error.to_string());
            ExitCode::FAILURE
        }
    }
}
