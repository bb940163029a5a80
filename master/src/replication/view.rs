//! The log in memory, where raft reads it. What is here is on the disk, or on its way there.

use std::cell::Cell;
use std::collections::VecDeque;

use raft::eraftpb::{Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use super::convert;
use super::input::{Membership, SnapshotPosition};

/// The log, and what raft must know besides.
#[derive(Debug)]
pub(super) struct LogView {
    /// What is before the first entry: its index and term.
    before: (u64, u64),
    entries: VecDeque<Entry>,
    bytes: u64,
    hard_state: HardState,
    /// At the beginning of this life.
    members: Membership,
    /// The newest durable snapshot.
    snapshot: SnapshotPosition,
    /// Raft wants to send a snapshot that there is not: one that is newer, with members that have come since.
    wanted: Cell<bool>,
}

impl LogView {
    /// What a disk held: a snapshot and the entries that follow it, without gaps.
    pub(super) fn new(snapshot: SnapshotPosition, hard_state: HardState, entries: Vec<Entry>) -> Self {
        let bytes = entries.iter().map(size).sum();
        Self {
            before: (snapshot.index, snapshot.term),
            entries: entries.into(),
            bytes,
            hard_state,
            members: snapshot.members.clone(),
            snapshot,
            wanted: Cell::new(false),
        }
    }

    pub(super) fn first(&self) -> u64 {
        self.before.0 + 1
    }

    pub(super) fn last(&self) -> u64 {
        self.before.0 + self.entries.len() as u64
    }

    pub(super) fn snapshot_position(&self) -> &SnapshotPosition {
        &self.snapshot
    }

    /// Entries that follow what is here, or replace its end.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        debug_assert!(first.index > self.before.0 && first.index <= self.last() + 1, "a log has no gaps");
        let kept = usize::try_from(first.index.saturating_sub(self.first())).unwrap_or(usize::MAX);
        for gone in self.entries.drain(kept.min(self.entries.len())..) {
            self.bytes -= size(&gone);
        }
        self.bytes += entries.iter().map(size).sum::<u64>();
        self.entries.extend(entries.iter().cloned());
    }

    /// The last index known to be committed, as it was put on its way to the disk.
    pub(super) fn committed(&self) -> u64 {
        self.hard_state.commit
    }

    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// A snapshot takes the place of everything.
    pub(super) fn install(&mut self, position: SnapshotPosition) {
        self.before = (position.index, position.term);
        self.entries.clear();
        self.bytes = 0;
        self.snapshot = position;
    }

    /// A snapshot is durable: forgets what it holds, but for what followers may still want. Says from where on the log is
    /// kept.
    pub(super) fn compact(&mut self, position: SnapshotPosition, kept_entries: u64, kept_bytes: u64) -> u64 {
        let mut behind = (position.index + 1).saturating_sub(self.first());
        while behind > 0 && (behind > kept_entries || self.bytes > kept_bytes) {
            let gone = self.entries.pop_front().expect("what a snapshot holds was in the log");
            self.before = (gone.index, gone.term);
            self.bytes -= size(&gone);
            behind -= 1;
        }
        self.snapshot = position;
        self.first()
    }

    /// Whether raft wants a newer snapshot; asked once.
    pub(super) fn take_wanted(&self) -> bool {
        self.wanted.take()
    }

    pub(super) fn term_of(&self, index: u64) -> Option<u64> {
        if index == self.before.0 {
            return Some(self.before.1);
        }
        let place = index.checked_sub(self.first())?;
        self.entries.get(usize::try_from(place).ok()?).map(|entry| entry.term)
    }
}

/// What an entry costs.
pub(super) fn size(entry: &Entry) -> u64 {
    (entry.data.len() + entry.context.len() + 32) as u64
}

impl Storage for LogView {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(self.hard_state.clone(), convert::conf_state(&self.members)))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low < self.first() {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let most = max_size.into().unwrap_or(u64::MAX);
        let mut bytes = 0;
        let wanted = self.entries.range((low - self.first()) as usize..(high - self.first()) as usize);
        let fits = |entry: &&Entry| {
            let first = bytes == 0;
            bytes += size(entry);
            first || bytes <= most
        };
        Ok(wanted.take_while(fits).cloned().collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let missing = if index < self.before.0 { StorageError::Compacted } else { StorageError::Unavailable };
        self.term_of(index).ok_or(Error::Store(missing))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.first())
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// The position alone: the follower pulls the bytes.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let Membership { voters, learners, voters_outgoing, .. } = &self.snapshot.members;
        let holds = [voters, learners, voters_outgoing].iter().any(|ids| ids.contains(&to));
        if self.snapshot.index == 0 || self.snapshot.index < request_index || !holds {
            self.wanted.set(true);
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(convert::raft_snapshot(&self.snapshot))
    }
}
