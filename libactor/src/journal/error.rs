//! What can be wrong with a journal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a journal can't be used.
#[derive(Debug)]
pub enum JournalError {
    /// The system refuses something.
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has it.
    InUse {
        /// What it lies in.
        directory: PathBuf,
    },
    /// It is not what was written.
    Fault {
        /// What it lies in.
        directory: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
}

/// What is wrong with something in a journal, where its directory is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is damaged.
    Damaged(String),
    /// A newer program has written it.
    Newer(String),
}

impl Fault {
    /// Changes the words.
    pub fn map(self, f: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Damaged(what) => Self::Damaged(f(what)),
            Self::Newer(what) => Self::Newer(f(what)),
        }
    }

    pub(super) fn at(self, directory: &Path) -> JournalError {
        JournalError::Fault { directory: directory.to_owned(), fault: self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) | Self::Newer(what) => f.write_str(what),
        }
    }
}

/// Adds to an error of the system what was being done, and to what.
pub(super) trait While<T> {
    fn while_doing(self, doing: &'static str, path: &Path) -> Result<T, JournalError>;
}

impl<T> While<T> for io::Result<T> {
    fn while_doing(self, doing: &'static str, path: &Path) -> Result<T, JournalError> {
        self.map_err(|source| JournalError::Io { doing, path: path.to_owned(), source })
    }
}
