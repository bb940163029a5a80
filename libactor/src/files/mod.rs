//! Files of a node, served over HTTP: nothing but what was attached, and what lies beneath it.
//!
//! A component attaches a real path to a virtual one: its log to `/master/log`, a sandbox to the sandbox's own path. Who asks
//! for a virtual path gets what is attached to the longest part of it, and the rest is looked up beneath that:
//!
//! ```text
//! attached: /sandbox -> /var/lib/run/7     asked: /sandbox/a/b     served: /var/lib/run/7/a/b
//! ```
//!
//! | asked for | answered |
//! |---|---|
//! | nothing attached, nothing there | not found |
//! | `..`, a symbolic link that leads out, a magic link, a FIFO, a socket, a device | refused |
//! | a symbolic link that stays beneath, also by its absolute path | what it leads to |
//!
//! Whoever may write beneath a root chooses what others read there, but can't choose anything else: see the notes in
//! `beneath.rs`. The one exception is a hard link to a file that he may not read, which Linux does not let him make
//! (`fs.protected_hardlinks`).
//!
//! Files are read on blocking threads, [`limits::THREADS`] at a time; no actor waits for a disk.
//!
//! Source: `files/files.hpp` and the `/files` endpoints of Mesos.

mod beneath;
mod content;
mod error;
mod http;
pub mod limits;
mod list;
mod roots;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use content::{Download, ReadFile};
pub use error::{AttachError, FilesError};
pub use http::{Endpoint, install, install_in};
pub use list::FileInfo;

use crate::sync::{read, write};
use beneath::Way;
use limits::{DOWNLOADS, THREADS, TIMEOUT};
use roots::{Found, Roots};

/// What is attached, and who may read it when. Clones are the same.
#[derive(Clone, Debug)]
pub struct Files(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    roots: RwLock<Roots>,
    threads: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
}

impl Default for Files {
    fn default() -> Self {
        Self::new()
    }
}

impl Files {
    /// With nothing attached.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            roots: RwLock::default(),
            threads: Arc::new(Semaphore::new(THREADS)),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
        }))
    }

    /// Attaches a file or a directory, in place of what was attached there. Symbolic links in the real path are followed now
    /// and not again: if `latest` points elsewhere later, attach it again. Asks the file system, so call it from a blocking
    /// thread if that may take long.
    ///
    /// # Errors
    /// If the real path does not exist, the virtual one can't be asked for, or too many are attached.
    pub fn attach(&self, virtual_path: &str, real: impl Into<PathBuf>) -> Result<(), AttachError> {
        let real = real.into();
        let path = real.canonicalize().map_err(|error| {
            let path = real.to_string_lossy().into_owned();
            AttachError::NoSuchPath { path, error }
        })?;
        write(&self.0.roots).attach(virtual_path, path)
    }

    /// As [`attach`](Self::attach), for a real path in which no symbolic link is; the file system is not asked.
    ///
    /// # Errors
    /// The virtual path can't be asked for, or too many are attached.
    pub fn attach_known(&self, virtual_path: &str, real: PathBuf) -> Result<(), AttachError> {
        write(&self.0.roots).attach(virtual_path, real)
    }

    /// Serves that path no longer; downloads that have begun go on. Says whether it was attached.
    pub fn detach(&self, virtual_path: &str) -> bool {
        write(&self.0.roots).detach(virtual_path)
    }

    /// The entries of a directory, sorted by path; of a file, none.
    ///
    /// # Errors
    /// If it is not there, not to be served, or too large to be listed.
    pub async fn browse(&self, path: &str) -> Result<Vec<FileInfo>, FilesError> {
        let found = self.find(path)?;
        self.on_thread(move || list::list(&found, Way::Kernel)).await
    }

    /// A piece of a file: `length` bytes, but at most [`READ_BYTES`](limits::READ_BYTES) and not beyond its end. Without an
    /// offset only the size.
    ///
    /// # Errors
    /// If it is not there, not to be served, or no regular file.
    pub async fn read(
        &self,
        path: &str,
        offset: Option<u64>,
        length: Option<u64>,
    ) -> Result<ReadFile, FilesError> {
        let found = self.find(path)?;
        self.on_thread(move || content::read(&found, Way::Kernel, offset, length)).await
    }

    /// Opens a file to send it.
    ///
    /// # Errors
    /// If it is not there, not to be served, no regular file, or there are too many downloads.
    pub async fn download(&self, path: &str) -> Result<Download, FilesError> {
        let found = self.find(path)?;
        let place = self.0.downloads.clone().try_acquire_owned().map_err(|_| {
            FilesError::Busy(format!("There are {DOWNLOADS} downloads already: ask again later."))
        })?;
        let files = self.clone();
        self.on_thread(move || {
            let opened = content::open(&found, Way::Kernel, "download")?;
            Ok(Download::new(files, place, &found, opened))
        })
        .await
    }

    /// The real paths by the virtual ones.
    pub fn debug(&self) -> BTreeMap<String, String> {
        read(&self.0.roots).all()
    }

    fn find(&self, path: &str) -> Result<Found, FilesError> {
        read(&self.0.roots).find(path)
    }

    /// Does on a blocking thread what may take long. The thread counts until it is done, also if nobody waits any more.
    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
    ) -> Result<T, FilesError> {
        let threads = self.0.threads.clone();
        let done = async {
            let turn = threads.acquire_owned().await.expect("the semaphore is never closed");
            let thread = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                work()
            });
            thread
                .await
                .unwrap_or_else(|error| Err(FilesError::Failed(format!("Reading files failed: {error}."))))
        };
        timeout(TIMEOUT, done).await.unwrap_or_else(|_| {
            let seconds = TIMEOUT.as_secs();
            Err(FilesError::Busy(format!(
                "The file system gave no answer within {seconds} s: ask again later."
            )))
        })
    }
}
