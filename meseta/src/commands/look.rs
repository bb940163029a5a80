//! `meseta look`: what a daemon has its journal looked at with before it opens it. Not for people.

use std::path::Path;
use std::process::ExitCode;

use libactor::journal::{self, JournalError};

use super::{Command, Failure};

/// The command.
pub const COMMAND: Command = Command {
    name: "look",
    synopsis: "",
    summary: "look at the journal of an agent or a master (they use it)",
    flags: &[],
    hidden: true,
    run: look,
};

fn look(words: &[String]) -> Result<ExitCode, Failure> {
    match words {
        [kind, directory] if kind == "agent" => Ok(agent::checkpoint::look(Path::new(directory))),
        [kind, directory] if kind == "master" => Ok(master::disk::look(Path::new(directory))),
        _ => Err("expected agent or master, and a directory".into()),
    }
}

/// Has the journal of such a daemon in this directory looked at, unless it was closed by its last user; `always`: also then.
pub fn at(kind: &str, directory: &Path, always: bool) -> Result<(), JournalError> {
    let closed = journal::closed(directory);
    if closed && !(always && directory.join("journal").exists()) {
        return Ok(());
    }
    let own = std::env::current_exe().map_err(|source| JournalError::Io {
        doing: "find this program, to look at",
        path: directory.to_owned(),
        source,
    })?;
    journal::looked_at(directory, std::process::Command::new(own).args(["look", kind]).arg(directory))
}
