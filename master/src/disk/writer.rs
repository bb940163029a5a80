//! The thread that writes.
//!
//! It takes all that waits at once: the writes of a group become one record, one sync, and one report. What takes long and can be done
//! beside it (snapshots) is done by another thread, which hands in the finished file.

use std::collections::VecDeque;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;

use super::DiskEvent;
use super::error::words;
use super::events::Events;
use super::identity_file;
use super::limits::{GROUP_BYTES, REMOVED_AT_ONCE};
use super::queue::Queue;
use super::record::{Record, entry_bytes};
use super::replay::Extent;
use super::shelf::Shelf;
use super::snapshot_file::{SnapshotFile, remove_older};
use crate::replication::{HardState, Identity, Persist, Snapshot, SnapshotPosition};
use libactor::journal::{Journal, caught};

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Command {
    Persist(Persist),
    Compact {
        before: u64,
    },
    /// A snapshot is in its file.
    Written(SnapshotFile),
    /// It could not be written: why.
    NotWritten(String),
    /// More waits than may: how many bytes.
    Overrun(usize),
}

impl Command {
    /// The memory that it takes, roughly.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Persist(persist) => 128 + persist.entries.iter().map(entry_bytes).sum::<usize>(),
            _ => 128,
        }
    }
}

/// What there is to know about a replica's directory while it is open.
pub(super) struct Writer {
    pub(super) directory: PathBuf,
    pub(super) journal: Journal,
    pub(super) shelf: Arc<Shelf>,
    pub(super) identity: Identity,
    pub(super) hard_state: HardState,
    pub(super) snapshot: SnapshotPosition,
    pub(super) extents: VecDeque<Extent>,
}

/// Writes that become one record.
#[derive(Default)]
struct Group {
    record: Record,
    hard_state: bool,
    identity: bool,
    number: u64,
    sync: bool,
    last_index: u64,
}

impl Writer {
    /// Writes until there is no more to write, or something fails.
    pub(super) fn run(mut self, queue: &Queue<Command>, events: &Events) {
        let directory = self.directory.clone();
        let done = caught(&words(&directory), AssertUnwindSafe(|| self.turns(queue, events)));
        let failure = match done {
            Ok(Ok(())) => return self.close(),
            Ok(Err(sentence)) => sentence,
            Err(panic) => format!("sled panics on {}: {panic}", directory.display()),
        };
        tracing::error!("{failure}");
        events.send(DiskEvent::Failed(failure));
        // What still comes is not kept, and not reported.
        while queue.take_all().is_some() {}
    }

    /// Nobody asks any more.
    fn close(self) {
        if let Err(error) = self.journal.close() {
            tracing::warn!(directory = %self.directory.display(), %error, "the journal is not closed: it is looked at at the next start");
        }
    }

    fn turns(&mut self, queue: &Queue<Command>, events: &Events) -> Result<(), String> {
        let mut left = true;
        loop {
            // What is void is removed between the groups, and waits when the thread is to end.
            let taken = if left { queue.take_now() } else { queue.take_all() };
            let Some(commands) = taken else { return Ok(()) };
            self.turn(commands, events)?;
            left = self.journal.remove(REMOVED_AT_ONCE).map_err(|error| self.sentence(&error))?;
        }
    }

    fn turn(&mut self, commands: VecDeque<Command>, events: &Events) -> Result<(), String> {
        let mut group = None;
        for command in commands {
            match command {
                Command::Persist(mut persist) => {
                    if let Some(snapshot) = persist.install.take() {
                        self.write(group.take(), events)?;
                        self.install(&snapshot, &persist, events)?;
                    } else {
                        self.add(group.get_or_insert_default(), &persist)?;
                    }
                }
                Command::Compact { before } => {
                    self.write(group.take(), events)?;
                    self.compact(before)?;
                }
                Command::Written(file) => {
                    self.write(group.take(), events)?;
                    self.saved(file, events)?;
                }
                Command::NotWritten(sentence) => return Err(sentence),
                Command::Overrun(bytes) => {
                    let directory = self.directory.display();
                    return Err(format!("the disk of {directory} is too slow: {bytes} bytes wait for it"));
                }
            }
            if group.as_ref().is_some_and(Group::is_large) {
                self.write(group.take(), events)?;
            }
        }
        self.write(group, events)
    }

    /// Adds a write to the group. Its states are written once, at the end, as they are then.
    fn add(&mut self, group: &mut Group, persist: &Persist) -> Result<(), String> {
        group.number = persist.number;
        group.sync |= persist.sync;
        group.record.entries(&persist.entries);
        if let Some(last) = persist.entries.last() {
            group.last_index = group.last_index.max(last.index);
        }
        if let Some(hard_state) = persist.hard_state {
            self.hard_state = hard_state;
            group.hard_state = true;
        }
        if let Some(identity) = &persist.identity {
            identity_file::write(&self.directory, identity).map_err(|error| self.sentence(&error))?;
            self.identity = identity.clone();
            group.identity = true;
        }
        Ok(())
    }

    /// Writes a group, and reports it when it is as durable as it has to be.
    fn write(&mut self, group: Option<Group>, events: &Events) -> Result<(), String> {
        let Some(mut group) = group else { return Ok(()) };
        if group.identity {
            group.record.identity(&self.identity);
        }
        if group.hard_state {
            group.record.hard_state(self.hard_state);
        }
        if !group.record.is_empty() {
            self.append(&group.record, group.last_index)?;
        }
        if group.sync {
            self.sync()?;
        }
        events.send(DiskEvent::Persisted(group.number));
        Ok(())
    }

    /// A snapshot replaces all there is, together with what else its write holds.
    fn install(&mut self, snapshot: &Snapshot, persist: &Persist, events: &Events) -> Result<(), String> {
        let snapshots = self.directory.join("snapshots");
        let file = SnapshotFile::write(&snapshots, snapshot)
            .map_err(|error| format!("can't write a snapshot into {}: {error}", snapshots.display()))?;
        let older = std::mem::take(&mut self.extents);
        let mut group = Group { hard_state: true, identity: true, ..Group::default() };
        group.record.snapshot(&file.position, true);
        group.record.first(self.journal.next());
        self.add(&mut group, persist)?;
        group.sync = true;
        self.write(Some(group), events)?;
        self.journal.forget(older.iter().flat_map(Extent::keys));
        self.put_on_shelf(file)
    }

    /// From here on a snapshot counts.
    fn saved(&mut self, file: SnapshotFile, events: &Events) -> Result<(), String> {
        if file.position.index >= self.snapshot.index {
            let mut record = Record::default();
            record.snapshot(&file.position, false);
            self.append(&record, 0)?;
            self.sync()?;
            self.put_on_shelf(file)?;
        } else {
            // A newer one was installed meanwhile. That one stays.
            let snapshots = self.directory.join("snapshots");
            remove_older(&snapshots, &self.snapshot).map_err(|error| self.sentence(&error))?;
        }
        let newest = self.shelf.newest();
        events.send(DiskEvent::Saved(newest.position.index, newest.bytes));
        Ok(())
    }

    fn put_on_shelf(&mut self, file: SnapshotFile) -> Result<(), String> {
        self.snapshot = file.position.clone();
        self.shelf.replace(file);
        let snapshots = self.directory.join("snapshots");
        remove_older(&snapshots, &self.snapshot).map_err(|error| self.sentence(&error))
    }

    /// Lets go of the records that hold nothing from this index on. What they say beside entries is said again first.
    fn compact(&mut self, before: u64) -> Result<(), String> {
        let before = before.min(self.snapshot.index + 1);
        let count = self.extents.iter().take_while(|extent| extent.last_index < before).count();
        if count == 0 {
            return Ok(());
        }
        let first = self.extents.get(count).map_or(self.journal.next(), |extent| extent.sequence);
        let mut record = Record::default();
        record.identity(&self.identity);
        record.hard_state(self.hard_state);
        record.snapshot(&self.snapshot, false);
        record.first(first);
        self.append(&record, 0)?;
        self.sync()?;
        let trimmed: Vec<Extent> = self.extents.drain(..count).collect();
        self.journal.forget(trimmed.iter().flat_map(Extent::keys));
        Ok(())
    }

    fn append(&mut self, record: &Record, last_index: u64) -> Result<(), String> {
        let appended = self.journal.append(record.bytes());
        let (sequence, values) = appended.map_err(|error| self.sentence(&error))?;
        self.extents.push_back(Extent { sequence, values, last_index });
        Ok(())
    }

    fn sync(&mut self) -> Result<(), String> {
        self.journal.sync().map_err(|error| self.sentence(&error))
    }

    fn sentence(&self, error: &io::Error) -> String {
        format!("can't write to {}: {error}", self.directory.display())
    }
}

impl Group {
    fn is_large(&self) -> bool {
        self.record.bytes().len() >= GROUP_BYTES
    }
}
