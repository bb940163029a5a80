//! The thread that writes: it takes all batches that wait at once, as one record of the journal, one sync and one report.

use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use libactor::journal::{Found, Journal, caught};
use tokio::sync::watch;

use super::Durable;
use super::codec::{self, Entry, Group};
use super::error::words;
use super::kept::Kept;
use crate::core::checkpoint::{Batch, Change, Record};
use crate::steps;

/// Values that have become void and are removed in one go, after a group.
const REMOVED_AT_ONCE: usize = 256;

/// A checkpoint that is open.
#[derive(Debug)]
pub(super) struct Writer {
    directory: PathBuf,
    journal: Journal,
    kept: Kept,
}

impl Writer {
    pub(super) fn new(directory: &Path, journal: Journal, kept: Kept) -> Self {
        Self { directory: directory.to_owned(), journal, kept }
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Writes the first record of a new journal: from now on an empty one is a damaged one.
    pub(super) fn begin(&mut self, group: Group) -> io::Result<()> {
        self.write(group)?;
        self.sync()?;
        self.journal.sync_mark()
    }

    /// Writes until nobody asks any more, or something fails.
    pub(super) fn run(mut self, batches: &Receiver<Batch>, durable: &watch::Sender<Durable>) {
        let words = words(&self.directory);
        let done = caught(&words, AssertUnwindSafe(|| self.turns(batches, durable)));
        let directory = self.directory.display();
        let failure = match done {
            Ok(Ok(())) => return self.close(),
            Ok(Err(error)) => format!("the checkpoint can't be written to {directory}: {error}"),
            Err(panic) => format!("the checkpoint can't be written to {directory}: sled panics: {panic}"),
        };
        tracing::error!("{failure}");
        durable.send_modify(|durable| durable.failure = Some(failure.into()));
    }

    /// Nobody asks any more.
    fn close(self) {
        if let Err(error) = self.journal.close() {
            tracing::warn!(directory = %self.directory.display(), %error, "the checkpoint is not closed: it is looked at at the next start");
        }
    }

    fn turns(&mut self, batches: &Receiver<Batch>, durable: &watch::Sender<Durable>) -> io::Result<()> {
        while let Ok(first) = batches.recv() {
            let waiting: Vec<Batch> = std::iter::once(first).chain(batches.try_iter()).collect();
            let number = waiting.last().map_or(0, |batch| batch.number);
            let changes = waiting.iter().flat_map(|batch| &batch.changes);
            self.write(Group { first: None, changes: changes.map(entry).collect::<io::Result<_>>()? })?;
            steps::reached("checkpoint-written");
            self.sync()?;
            waiting.iter().flat_map(|batch| &batch.changes).for_each(stored);
            steps::reached("checkpoint-durable");
            durable.send_modify(|durable| durable.number = number);
        }
        Ok(())
    }

    /// Writes a group, and takes away what it makes superfluous; durable after [`Writer::sync`].
    pub(super) fn write(&mut self, mut group: Group) -> io::Result<()> {
        let gone = self.kept.clean(&mut group);
        let bytes = codec::encode_group(&group).map_err(io::Error::other)?;
        let (sequence, values) = self.journal.append(&bytes)?;
        self.kept.add(Found { sequence, values, record: group });
        self.journal.forget(gone);
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.journal.sync()?;
        // What is void is removed only once that is durable which makes it so.
        self.journal.remove(REMOVED_AT_ONCE).map(drop)
    }
}

fn entry(change: &Change) -> io::Result<Entry> {
    match change {
        Change::Put(record) => {
            let bytes = codec::encode(record).map_err(io::Error::other)?;
            Ok(Entry { key: record.key(), record: Some(bytes) })
        }
        Change::Remove(key) => Ok(Entry { key: key.clone(), record: None }),
    }
}

/// The moments that a change stands for.
fn stored(change: &Change) {
    match change {
        Change::Put(record) => match &**record {
            Record::Update(update) if update.acknowledged => steps::reached("acknowledgement-stored"),
            Record::Update(_) => steps::reached("update-stored"),
            _ => {}
        },
        Change::Remove(crate::core::checkpoint::Key::Executor(..)) => steps::reached("end-stored"),
        Change::Remove(_) => {}
    }
}
