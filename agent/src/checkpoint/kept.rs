//! What the journal holds of each key, and which of its records are worth keeping.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use libactor::journal::{self, Found};

use super::codec::{Entry, Group};
use crate::core::checkpoint::Key;

/// Beyond this, the journal may be twice as long as what it holds.
const SPARE_BYTES: usize = 256 << 10;

/// So much is moved to the front of the journal with one group, at most: about as much as a group takes anyway.
const MOVED_BYTES: usize = 32 << 10;

/// The newest record of each key, as bytes.
#[derive(Debug, Default)]
pub(super) struct Kept {
    live: BTreeMap<Key, Live>,
    /// The journal's records, oldest first.
    extents: VecDeque<Extent>,
    /// Of `live`.
    live_bytes: usize,
    /// Of `extents`.
    bytes: usize,
}

#[derive(Debug)]
struct Live {
    sequence: u64,
    bytes: Bytes,
}

/// A record of the journal.
#[derive(Debug)]
struct Extent {
    sequence: u64,
    values: u16,
    bytes: usize,
    /// What it has said something of.
    keys: Vec<Key>,
}

impl Kept {
    /// A record of the journal counts from now on.
    pub(super) fn add(&mut self, found: Found<Group>) {
        let Found { sequence, values, record } = found;
        let mut extent = Extent { sequence, values, bytes: 0, keys: Vec::new() };
        for Entry { key, record } in record.changes {
            let length = record.as_ref().map_or(0, Bytes::len);
            extent.bytes += length + 64;
            let before = match record {
                Some(bytes) => {
                    extent.keys.push(key.clone());
                    self.live_bytes += length;
                    self.live.insert(key, Live { sequence, bytes })
                }
                None => self.live.remove(&key),
            };
            self.live_bytes -= before.map_or(0, |live| live.bytes.len());
        }
        self.bytes += extent.bytes;
        self.extents.push_back(extent);
    }

    pub(super) fn records(&self) -> impl Iterator<Item = (&Key, &Bytes)> {
        self.live.iter().map(|(key, live)| (key, &live.bytes))
    }

    /// Takes old records of the journal away where there are too many: what still counts of them is said again by this group.
    /// Gives the values to remove once the group is durable.
    pub(super) fn clean(&mut self, group: &mut Group) -> Vec<journal::Key> {
        let mut gone = Vec::new();
        let mut moved = 0;
        while self.bytes > 2 * self.live_bytes + SPARE_BYTES && moved < MOVED_BYTES {
            let Some(extent) = self.extents.pop_front() else { break };
            self.bytes -= extent.bytes;
            gone.extend((0..extent.values).map(|part| (extent.sequence, part)));
            for key in extent.keys {
                let Some(live) = self.live.get(&key).filter(|live| live.sequence == extent.sequence) else {
                    continue;
                };
                // What the group itself says of a key comes after this.
                moved += live.bytes.len();
                group.changes.insert(0, Entry { key, record: Some(live.bytes.clone()) });
            }
            group.first = Some(extent.sequence + 1);
        }
        gone
    }
}
