//! A directory that keeps a replica.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use libactor::Pid;
use libactor::journal::{self, Fault, Journal, make_directory};
use tokio::sync::mpsc;

use super::error::{At, DiskError, While, words};
use super::events::Events;
use super::limits::{PORTIONS, QUEUE_BYTES, WAITING_PIECES};
use super::queue::{NotTaken, Queue};
use super::record::Record;
use super::replay::{Extent, Replayed, replay};
use super::shelf::{Shelf, Wanted, read_pieces};
use super::snapshot_file::{SnapshotFile, list, remove_others};
use super::writer::{Command, Writer};
use super::{DiskEvent, Storage, identity_file};
use crate::registry::DiskId;
use crate::replication::{Parcel, Persist, Recovered, Snapshot};

/// A replica's directory, `<work_dir>/replica`: its log in sled, its snapshots in files.
///
/// ```text
/// replica/journal/    sled: hard state, identity, log, and which snapshot counts
/// replica/snapshots/  one file, two while a newer one takes its place
/// replica/mark        how far the journal was durable
/// replica/identity    who it is, for `repair`
/// replica/lock        held while it is open
/// ```
/// Three threads work on it: one writes the journal, one writes snapshots, one reads pieces of them. Dropping it waits until
/// what was asked for is written.
#[derive(Debug)]
pub struct Sled {
    commands: Arc<Queue<Command>>,
    snapshots: Arc<Queue<Snapshot>>,
    pieces: Arc<Queue<Wanted>>,
    events: Arc<Events>,
    snapshot_thread: Option<JoinHandle<()>>,
    other_threads: Vec<JoinHandle<()>>,
    /// Its lock ends with it.
    _lock: File,
}

impl Sled {
    /// Opens a replica's directory, or makes it: then `begin` says what it holds, and `new_disk` becomes its disk's id. Tells
    /// what it holds. Syncs, and may take as long as reading all of it.
    ///
    /// # Errors
    /// The directory can't be used, another process has it, it is damaged, or a newer program has written it.
    pub fn open(
        directory: &Path,
        begin: impl FnOnce(DiskId) -> Recovered,
        new_disk: DiskId,
        events: mpsc::Sender<DiskEvent>,
    ) -> Result<(Self, Recovered), DiskError> {
        let opened = Opened::open(directory, || begin(new_disk))?;
        let Opened { lock, writer, recovered } = opened;
        let events = Arc::new(Events::new(events));
        let commands = Arc::new(Queue::new(QUEUE_BYTES));
        let snapshots = Arc::new(Queue::new(2));
        let pieces = Arc::new(Queue::new(WAITING_PIECES));
        let piece_reader = {
            let (pieces, shelf, events) = (pieces.clone(), writer.shelf.clone(), events.clone());
            spawn("disk-pieces", directory, move || read_pieces(&pieces, &shelf, &events))?
        };
        let snapshot_writer = {
            let (snapshots, commands) = (snapshots.clone(), commands.clone());
            let directory = directory.join("snapshots");
            spawn("disk-snapshots", &directory.clone(), move || {
                write_snapshots(&snapshots, &directory, &commands)
            })?
        };
        let journal_writer = {
            let (commands, events) = (commands.clone(), events.clone());
            spawn("disk-journal", directory, move || writer.run(&commands, &events))?
        };
        let sled = Self {
            commands,
            snapshots,
            pieces,
            events,
            snapshot_thread: Some(snapshot_writer),
            other_threads: vec![piece_reader, journal_writer],
            _lock: lock,
        };
        Ok((sled, recovered))
    }

    fn command(&self, command: Command) {
        let size = command.size();
        if let Err(NotTaken::Full) = self.commands.push(command, size) {
            // The queue is closed by it: what comes later must not be written in the place of what is lost here.
            self.commands.replace_all(Command::Overrun(QUEUE_BYTES));
        }
    }
}

impl Storage for Sled {
    fn persist(&mut self, persist: Persist) {
        self.command(Command::Persist(persist));
    }

    fn save(&mut self, snapshot: Snapshot) {
        if self.snapshots.push(snapshot, 1).is_err() && !self.events.failed() {
            tracing::error!("a snapshot is not saved: another two are being written");
        }
    }

    fn compact(&mut self, before: u64) {
        self.command(Command::Compact { before });
    }

    fn read_piece(&mut self, to: Pid, parcel: Parcel, index: u64, offset: u64) {
        // Who wants it asks again.
        let _ = self.pieces.push(Wanted { to, parcel, index, offset }, 1);
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        self.events.close();
        self.pieces.close();
        self.snapshots.close();
        // A thread that has panicked has said so.
        if let Some(thread) = self.snapshot_thread.take() {
            let _ = thread.join();
        }
        self.commands.close();
        for thread in self.other_threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// As [`journal::look`]: for the process that does so.
pub fn look(directory: &Path) -> ExitCode {
    journal::look(directory, PORTIONS)
}

fn spawn(name: &str, path: &Path, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, DiskError> {
    thread::Builder::new().name(name.to_owned()).spawn(work).while_doing("start a thread for", path)
}

fn write_snapshots(queue: &Queue<Snapshot>, directory: &Path, commands: &Queue<Command>) {
    while let Some(snapshots) = queue.take_all() {
        for snapshot in snapshots {
            let command = match SnapshotFile::write(directory, &snapshot) {
                Ok(file) => Command::Written(file),
                Err(error) => Command::NotWritten(format!(
                    "can't write a snapshot into {}: {error}",
                    directory.display()
                )),
            };
            // Full: the thread that writes is ending for that reason.
            let _ = commands.push(command, 0);
        }
    }
}

/// A directory that is open, before its threads.
pub(super) struct Opened {
    pub(super) lock: File,
    pub(super) writer: Writer,
    pub(super) recovered: Recovered,
}

impl Opened {
    pub(super) fn open(directory: &Path, begin: impl FnOnce() -> Recovered) -> Result<Self, DiskError> {
        make_directory(directory)?;
        let lock = take_lock(directory)?;
        let snapshots = directory.join("snapshots");
        make_directory(&snapshots)?;
        let (journal, contents) = Journal::open(directory, PORTIONS, &words(directory))?;
        let (writer, recovered) = match replay(contents).map_err(|fault| fault.at(directory))? {
            Some(replayed) => resume(directory, &snapshots, journal, replayed)?,
            None => create(directory, &snapshots, journal, begin)?,
        };
        remove_others(&snapshots, Some(&writer.snapshot)).while_doing("clean", &snapshots)?;
        Ok(Self { lock, writer, recovered })
    }
}

/// Takes the lock of a replica's directory.
pub(super) fn take_lock(directory: &Path) -> Result<File, DiskError> {
    let path = directory.join("lock");
    let lock =
        File::options().write(true).create(true).truncate(false).open(&path).while_doing("open", &path)?;
    match journal::lock(&lock) {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DiskError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(DiskError::Io { doing: "lock", path, source }),
    }
}

fn resume(
    directory: &Path,
    snapshots: &Path,
    mut journal: Journal,
    replayed: Replayed,
) -> Result<(Writer, Recovered), DiskError> {
    let (file, snapshot) =
        SnapshotFile::read(snapshots, &replayed.snapshot).map_err(|fault| fault.at(directory))?;
    let Replayed { identity, hard_state, entries, extents, void, next, cut, .. } = replayed;
    journal.resume(next, void);
    if let Some(cut) = cut {
        tracing::warn!(
            "the journal in {} had a torn end, that nobody was told was kept: record {} ({}) and what followed is cut; \
             the log goes up to entry {}",
            directory.display(),
            cut.sequence,
            cut.why,
            cut.index
        );
        // Before its number is given again.
        while journal.remove(usize::MAX).while_doing("clean", directory)? {}
        journal.sync().while_doing("sync", directory)?;
    }
    let writer = Writer {
        directory: directory.to_owned(),
        journal,
        shelf: Arc::new(Shelf::new(file)),
        identity: identity.clone(),
        hard_state,
        snapshot: snapshot.position.clone(),
        extents,
    };
    Ok((writer, Recovered { identity, hard_state, snapshot, entries }))
}

fn create(
    directory: &Path,
    snapshots: &Path,
    mut journal: Journal,
    begin: impl FnOnce() -> Recovered,
) -> Result<(Writer, Recovered), DiskError> {
    // A replica begins with a snapshot at index 0 or 1: one beyond it tells of an earlier life.
    let former = list(snapshots).while_doing("read", snapshots)?.into_iter().find(|(index, _)| *index > 1);
    if let Some((_, path)) = former {
        let what = format!("its journal is empty, and there is the snapshot {}", path.display());
        return Err(Fault::Damaged(what).at(directory));
    }
    let recovered = begin();
    let file = SnapshotFile::write(snapshots, &recovered.snapshot)
        .while_doing("write a snapshot into", snapshots)?;
    identity_file::write(directory, &recovered.identity).while_doing("write into", directory)?;
    let mut record = Record::default();
    record.identity(&recovered.identity);
    record.hard_state(recovered.hard_state);
    record.snapshot(&file.position, true);
    record.entries(&recovered.entries);
    let (sequence, values) = journal.append(record.bytes()).while_doing("write into", directory)?;
    journal.sync().while_doing("sync", directory)?;
    journal.sync_mark().while_doing("sync", directory)?;
    let last_index = recovered.entries.last().map_or(0, |entry| entry.index);
    let writer = Writer {
        directory: directory.to_owned(),
        journal,
        shelf: Arc::new(Shelf::new(file)),
        identity: recovered.identity.clone(),
        hard_state: recovered.hard_state,
        snapshot: recovered.snapshot.position.clone(),
        extents: [Extent { sequence, values, last_index }].into(),
    };
    Ok((writer, recovered))
}

/// Where `<work_dir>`'s replica is.
pub fn directory(work_dir: &Path) -> PathBuf {
    work_dir.join("replica")
}
