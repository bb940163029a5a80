//! A directory that keeps an agent's records.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use libactor::journal::{self, JournalError};
use tokio::sync::watch;

use super::error::CheckpointError;
use super::open::{PORTIONS, Read, open};
use super::{Durable, Keeping, Store};
use crate::core::checkpoint::Batch;
use crate::steps;

/// Batches that wait for the disk. The machine has one or two under way; beyond this something is wrong, and that is said.
const WAITING: usize = 1024;

/// A directory that keeps an agent's records, `<work_dir>/checkpoint`: numbered groups of changes in a [journal](libactor::journal),
/// of which the newest record of each key counts. Old groups are taken away as new ones come.
///
/// A thread of its own writes. Dropping it waits until what was asked for is written.
#[derive(Debug)]
pub struct Disk {
    batches: Option<SyncSender<Batch>>,
    thread: Option<JoinHandle<()>>,
    durable: watch::Sender<Durable>,
}

impl Disk {
    /// Opens a directory, or makes it. Syncs, and may take as long as reading all of it. `strict`: what can't be read is
    /// an error; else it is set aside.
    ///
    /// # Errors
    /// The directory can't be used, another process has it, it is damaged, or a newer program has written it.
    pub fn open(directory: &Path, strict: bool) -> Result<Keeping, CheckpointError> {
        Self::open_looked_at(directory, strict, &|_| Ok(()))
    }

    /// As [`Disk::open`], once `look` has found nothing wrong with the journal there: see [`looked_at`](journal::looked_at).
    ///
    /// # Errors
    /// As those of [`Disk::open`], and what `look` has found.
    pub fn open_looked_at(
        directory: &Path,
        strict: bool,
        look: &dyn Fn(&Path) -> Result<(), JournalError>,
    ) -> Result<Keeping, CheckpointError> {
        let Read { writer, records, errors } = open(directory, strict, look)?;
        steps::reached("store-opened");
        let (sender, durable) = watch::channel(Durable::default());
        let (batches, waiting) = sync_channel(WAITING);
        let reports = sender.clone();
        let thread = thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || writer.run(&waiting, &reports))
            .map_err(|error| CheckpointError::io("start a thread for", directory, error))?;
        let disk = Self { batches: Some(batches), thread: Some(thread), durable: sender };
        Ok(Keeping { store: Box::new(disk), durable, records, errors })
    }
}

impl Store for Disk {
    fn write(&mut self, batch: Batch) {
        steps::reached("checkpoint-asked");
        let Some(batches) = &self.batches else { return };
        match batches.try_send(batch) {
            Ok(()) => {}
            // The thread has said why it has ended.
            Err(TrySendError::Disconnected(_)) => self.batches = None,
            Err(TrySendError::Full(_)) => {
                self.batches = None;
                let failure =
                    format!("the disk of the checkpoint is too slow: {WAITING} batches wait for it");
                tracing::error!("{failure}");
                self.durable.send_modify(|durable| durable.failure = Some(failure.into()));
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // One that has panicked has said so.
            let _ = thread.join();
        }
    }
}

/// As [`journal::look`]: for the process that does so.
pub fn look(directory: &Path) -> ExitCode {
    journal::look(directory, PORTIONS)
}

/// Where the checkpoint of an agent with this work directory is.
pub fn directory(work_dir: &Path) -> PathBuf {
    work_dir.join("checkpoint")
}
