//! A component's work directory: made if it isn't there, proved writable, held by one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Why a work directory can't be used; says how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum WorkDirError {
    /// It can't be made or written to.
    #[error(
        "work directory {path} can't be written: {error}; give another with --work_dir or mend its permissions"
    )]
    NotWritable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process has it.
    #[error(
        "work directory {path} is in use by another {component}; stop that one or give another --work_dir"
    )]
    InUse {
        /// Which.
        path: PathBuf,
        /// Of which kind.
        component: &'static str,
    },
}

/// A work directory that this process holds; let go on drop, or by the kernel when the process dies.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    _lock: File,
}

impl WorkDir {
    /// Makes the directory, proves that it can be written, and takes its lock.
    ///
    /// # Errors
    /// See [`WorkDirError`]; nothing but the directory and its lock file is left behind.
    pub fn claim(path: &Path, component: &'static str) -> Result<Self, WorkDirError> {
        let failed = |error| WorkDirError::NotWritable { path: path.to_owned(), error };
        std::fs::create_dir_all(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(format!("{component}.lock")))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _lock: file }),
            Err(TryLockError::WouldBlock) => Err(WorkDirError::InUse { path, component }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        let held = WorkDir::claim(&path, "master").unwrap();
        let refused = WorkDir::claim(&path, "master").unwrap_err().to_string();
        assert!(refused.contains("in use by another master"), "{refused}");
        WorkDir::claim(&path, "agent").unwrap();
        drop(held);
        WorkDir::claim(&path, "master").unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_refused_with_a_remedy() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = WorkDir::claim(&file.path().join("x"), "agent").unwrap_err().to_string();
        assert!(refused.contains("can't be written") && refused.contains("--work_dir"), "{refused}");
    }
}
