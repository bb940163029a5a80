//! What can be wrong with a directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libactor::journal::{Fault, JournalError, Words};

/// Why a replica can't be kept in a directory: sentences for the operator, with the way out.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The system refuses something.
    #[error("can't {doing} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{} is in use by another process: is this master running already?", .directory.display())]
    InUse {
        /// The replica's directory.
        directory: PathBuf,
    },
    /// What must be there is not, or is not what was written.
    #[error(
        "the replica in {} is damaged: {what}. To move the directory aside and fetch everything anew from another \
         master: {}",
        .directory.display(), way_out(.directory)
    )]
    Damaged {
        /// The replica's directory.
        directory: PathBuf,
        /// What.
        what: String,
    },
    /// A newer program has written it.
    #[error(
        "the replica in {} was written by a newer version of this program: {what}. Start that version again, or move the \
         directory aside and fetch everything anew from another master: {}",
        .directory.display(), way_out(.directory)
    )]
    Newer {
        /// The replica's directory.
        directory: PathBuf,
        /// What.
        what: String,
    },
}

fn way_out(directory: &Path) -> String {
    let work_dir = directory.parent().unwrap_or(directory);
    format!("meseta masters repair --work_dir={} --from-peer=HOST:PORT", work_dir.display())
}

/// Where something is wrong.
pub(super) trait At {
    fn at(self, directory: &Path) -> DiskError;
}

impl At for Fault {
    fn at(self, directory: &Path) -> DiskError {
        let directory = directory.to_owned();
        match self {
            Self::Damaged(what) => DiskError::Damaged { directory, what },
            Self::Newer(what) => DiskError::Newer { directory, what },
        }
    }
}

impl From<JournalError> for DiskError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Io { doing, path, source } => Self::Io { doing, path, source },
            JournalError::InUse { directory } => Self::InUse { directory },
            JournalError::Fault { directory, fault } => fault.at(&directory),
        }
    }
}

/// What is said of a replica's directory that turns out to be damaged.
pub(super) fn words(directory: &Path) -> Words {
    let directory = directory.to_owned();
    Arc::new(move |fault: &Fault| fault.clone().at(&directory).to_string())
}

/// Adds to an error of the system what was being done, and to what.
pub(super) trait While<T> {
    fn while_doing(self, doing: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T> While<T> for io::Result<T> {
    fn while_doing(self, doing: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError::Io { doing, path: path.to_owned(), source })
    }
}
