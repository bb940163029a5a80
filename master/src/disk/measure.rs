//! How fast a disk is, as a replica uses it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use libactor::{Clock, Time};
use tokio::sync::mpsc;

use super::{DiskError, DiskEvent, Sled, Storage};
use crate::registry::DiskId;
use crate::replication::{Entry, EntryKind, Persist, Recovered};

/// What is written.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// So many entries, each a write of its own.
    pub entries: u64,
    /// So many bytes each.
    pub bytes: usize,
    /// So many are written before the first of them is durable.
    pub in_flight: usize,
}

/// How it went.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// What was written.
    pub load: Load,
    /// From the first to the last.
    pub took: Duration,
    /// From a write until it is durable: half of them are faster.
    pub p50: Duration,
    /// 99 of 100 are faster.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
    /// So many reports came: each is of one group, and one sync.
    pub groups: u64,
}

impl Measured {
    /// Entries that became durable in a second.
    pub fn per_second(&self) -> u64 {
        let nanos = self.took.as_nanos().max(1);
        u64::try_from(u128::from(self.load.entries) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load { entries, bytes, in_flight } = self.load;
        write!(
            f,
            "{entries} entries of {bytes} bytes, {in_flight} in flight: {}/s, {} syncs, durable after p50 {:?}, p99 {:?}, \
             at most {:?}",
            self.per_second(),
            self.groups,
            self.p50,
            self.p99,
            self.max
        )
    }
}

/// Writes entries into this directory, which becomes a replica's, and measures. Waits; to be called outside of a runtime.
///
/// # Errors
/// The directory can't be used, or the disk fails.
pub fn measure(directory: &Path, disk: DiskId, load: Load) -> Result<Measured, DiskError> {
    let clock = Clock::real();
    let (sender, mut events) = mpsc::channel(1024);
    let begin = |disk| Recovered::newcomer(crate::registry::MemberId(1), disk, None);
    let (mut sled, recovered) = Sled::open(directory, begin, disk, sender)?;
    let first = recovered.entries.last().map_or(recovered.snapshot.position.index, |entry| entry.index) + 1;
    let data = Bytes::from(vec![0x5a; load.bytes]);
    let mut begun: VecDeque<Time> = VecDeque::new();
    let mut taken = Vec::new();
    let (mut number, mut groups) = (0, 0);
    let start = clock.now();
    while (taken.len() as u64) < load.entries {
        while begun.len() < load.in_flight.max(1) && number < load.entries {
            let index = first + number;
            number += 1;
            let entry =
                Entry { kind: EntryKind::Normal, term: 1, index, data: data.clone(), context: Bytes::new() };
            begun.push_back(clock.now());
            sled.persist(Persist { number, entries: vec![entry], sync: true, ..Persist::default() });
        }
        match events.blocking_recv() {
            Some(DiskEvent::Persisted(done)) => {
                groups += 1;
                let now = clock.now();
                for _ in taken.len() as u64..done {
                    let at = begun.pop_front().expect("what is durable was written");
                    taken.push(now.since(at));
                }
            }
            Some(DiskEvent::Saved(..) | DiskEvent::Piece(..)) => {}
            Some(DiskEvent::Failed(sentence)) => return Err(failed(directory, sentence)),
            None => return Err(failed(directory, "its thread has ended".to_owned())),
        }
    }
    let took = clock.now().since(start);
    taken.sort_unstable();
    let share =
        |percent: usize| taken.get(taken.len() * percent / 100).or(taken.last()).copied().unwrap_or_default();
    Ok(Measured { load, took, p50: share(50), p99: share(99), max: share(100), groups })
}

fn failed(directory: &Path, sentence: String) -> DiskError {
    DiskError::Io { doing: "write to", path: directory.to_owned(), source: io::Error::other(sentence) }
}
