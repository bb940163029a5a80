//! Why a checkpoint can't be used.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use libactor::journal::{Fault, JournalError, Words};

/// Why a checkpoint can't be used: sentences for the operator, with the way out.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refuses something.
    #[error("can't {doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("{} is in use by another process: is this agent running already?", .directory.display())]
    InUse {
        /// Where it lies.
        directory: PathBuf,
    },
    /// What must be there is not, or is not what was written.
    #[error(
        "the agent's checkpoint in {dir} is damaged: {what}. Start with --strict=false to go on with what can be read; or move \
         it aside to begin as a new agent, which ends what still runs: mv {dir} {dir}.damaged",
        dir = .directory.display()
    )]
    Damaged {
        /// Where it lies.
        directory: PathBuf,
        /// What.
        what: String,
    },
    /// A newer program has written it.
    #[error(
        "the agent's checkpoint in {dir} was written by a newer version of this program: {what}. Start that version again, or \
         move it aside to begin as a new agent, which ends what still runs: mv {dir} {dir}.newer",
        dir = .directory.display()
    )]
    Newer {
        /// Where it lies.
        directory: PathBuf,
        /// What.
        what: String,
    },
}

impl CheckpointError {
    pub(super) fn of(fault: Fault, directory: &Path) -> Self {
        let directory = directory.to_owned();
        match fault {
            Fault::Damaged(what) => Self::Damaged { directory, what },
            Fault::Newer(what) => Self::Newer { directory, what },
        }
    }

    pub(super) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }
}

impl From<JournalError> for CheckpointError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Io { doing, path, source } => Self::Io { doing, path, source },
            JournalError::InUse { directory } => Self::InUse { directory },
            JournalError::Fault { directory, fault } => Self::of(fault, &directory),
        }
    }
}

/// What is said of a checkpoint that turns out to be damaged.
pub(super) fn words(directory: &Path) -> Words {
    let directory = directory.to_owned();
    Arc::new(move |fault: &Fault| CheckpointError::of(fault.clone(), &directory).to_string())
}
