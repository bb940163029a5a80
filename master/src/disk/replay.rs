//! What a journal's values mean: the log, Raft's state, who it is. Pure; what is wrong is found here.

use std::collections::VecDeque;

use libactor::journal::{Contents, Fault, Found, Key, Records, records};

use super::record::{Part, decode};
use crate::replication::{Entry, HardState, Identity, SnapshotPosition};

/// A record that is kept: where, and up to which index its entries go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) sequence: u64,
    pub(super) values: u16,
    /// 0: it has none.
    pub(super) last_index: u64,
}

impl Extent {
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + use<> {
        let sequence = self.sequence;
        (0..self.values).map(move |part| (sequence, part))
    }
}

/// What the records say, one after the other.
#[derive(Debug, PartialEq)]
pub(super) struct Replayed {
    pub(super) identity: Identity,
    pub(super) hard_state: HardState,
    /// Of the snapshot that counts.
    pub(super) snapshot: SnapshotPosition,
    /// The log behind it.
    pub(super) entries: Vec<Entry>,
    /// The records that are kept.
    pub(super) extents: VecDeque<Extent>,
    /// Values that mean nothing any more.
    pub(super) void: Vec<Key>,
    /// The number of the next record.
    pub(super) next: u64,
    /// Why and where its tail was cut, if it was.
    pub(super) cut: Option<Cut>,
}

/// A tail that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The first record that is gone.
    pub(super) sequence: u64,
    /// The last index that is left.
    pub(super) index: u64,
    pub(super) why: String,
}

/// Reads what a journal held; `None`: nothing.
pub(super) fn replay(contents: Contents) -> Result<Option<Replayed>, Fault> {
    let first = |parts: &Vec<Part>| {
        let named = parts.iter().filter_map(|part| match part {
            Part::First(sequence) => Some(*sequence),
            _ => None,
        });
        named.max()
    };
    let Some(Records { records, void, next, cut }) = records(&contents, decode, first)? else {
        return Ok(None);
    };
    let mut reading = Reading::default();
    for record in records {
        reading.record(record)?;
    }
    reading.end(void, next, cut).map(Some)
}

/// The state that records add up to.
#[derive(Default)]
struct Reading {
    identity: Option<Identity>,
    hard_state: Option<HardState>,
    snapshot: Option<SnapshotPosition>,
    log: VecDeque<Entry>,
    extents: VecDeque<Extent>,
}

impl Reading {
    fn record(&mut self, record: Found<Vec<Part>>) -> Result<(), Fault> {
        let sequence = record.sequence;
        let mut extent = Extent { sequence, values: record.values, last_index: 0 };
        for part in record.record {
            match part {
                Part::Identity(identity) => self.identity = Some(identity),
                Part::HardState(hard_state) => self.hard_state = Some(hard_state),
                Part::Snapshot { position, replaces_log } => {
                    if replaces_log {
                        self.log.clear();
                    }
                    self.snapshot = Some(position);
                }
                Part::First(_) => {}
                Part::Entries(entries) => {
                    extent.last_index = entries.last().map_or(0, |entry| entry.index).max(extent.last_index);
                    self.entries(entries)
                        .map_err(|fault| fault.map(|what| format!("record {sequence}: {what}")))?;
                }
            }
        }
        self.extents.push_back(extent);
        Ok(())
    }

    fn entries(&mut self, entries: Vec<Entry>) -> Result<(), Fault> {
        let Some(first) = entries.first().map(|entry| entry.index) else { return Ok(()) };
        while self.log.back().is_some_and(|last| last.index >= first) {
            self.log.pop_back();
        }
        if let Some(last) = self.log.back().filter(|last| last.index + 1 != first) {
            let last = last.index;
            return Err(Fault::Damaged(format!("entry {first} follows entry {last} in its log")));
        }
        self.log.extend(entries);
        Ok(())
    }

    fn end(self, void: Vec<Key>, next: u64, cut: Option<(u64, String)>) -> Result<Replayed, Fault> {
        let missing = |what: &str| Fault::Damaged(format!("no record of its journal holds {what}"));
        let identity = self.identity.ok_or_else(|| missing("who it is"))?;
        let mut hard_state = self.hard_state.ok_or_else(|| missing("its term"))?;
        let snapshot = self.snapshot.ok_or_else(|| missing("its snapshot's name"))?;
        let mut entries = Vec::from(self.log);
        let last = entries.last().map_or(0, |entry| entry.index).max(snapshot.index);
        entries.retain(|entry| entry.index > snapshot.index);
        if let Some(first) =
            entries.first().map(|entry| entry.index).filter(|first| *first != snapshot.index + 1)
        {
            let index = snapshot.index;
            let what =
                format!("its snapshot goes up to entry {index}, and its log begins with entry {first}");
            return Err(Fault::Damaged(what));
        }
        if hard_state.commit > last {
            let commit = hard_state.commit;
            let what = format!("its log ends with entry {last}, and entry {commit} was committed");
            return Err(Fault::Damaged(match cut {
                Some((sequence, why)) => format!("{what}; record {sequence} of its journal is bad: {why}"),
                None => what,
            }));
        }
        // What a snapshot holds is committed.
        hard_state.commit = hard_state.commit.max(snapshot.index);
        let cut = cut.map(|(sequence, why)| Cut { sequence, index: last, why });
        Ok(Replayed { identity, hard_state, snapshot, entries, extents: self.extents, void, next, cut })
    }
}
