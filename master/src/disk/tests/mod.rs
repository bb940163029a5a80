//! What the tests of the disk share.

mod crash;
mod model;
mod pieces;
mod plain;
mod refusals;
mod rules;
mod speed;
#[path = "../../../../libactor/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::Uuid;
use tokio::sync::mpsc;

use super::*;
use crate::registry::{ClusterId, DiskId, MemberId, State};
use crate::replication::{
    Entry, EntryKind, HardState, Identity, Membership, Recovered, Snapshot, SnapshotPosition,
};

const DISK: DiskId = DiskId(Uuid([7; 16]));

fn cluster() -> ClusterId {
    ClusterId(Uuid([9; 16]))
}

fn founders(disk: DiskId) -> Recovered {
    let masters = [(MemberId(1), "a:5050".to_owned()), (MemberId(2), "b:5050".to_owned())].into();
    Recovered::founders(MemberId(1), disk, &masters)
}

fn entry(index: u64, term: u64, bytes: usize) -> Entry {
    let fill = u8::try_from((index * 31 + term) % 251).unwrap();
    let kind =
        [EntryKind::Normal, EntryKind::Change, EntryKind::ChangeV2][usize::try_from(index % 3).unwrap()];
    let context = if index.is_multiple_of(3) { Bytes::new() } else { Bytes::from(vec![fill; 3]) };
    Entry { kind, term, index, data: vec![fill; bytes].into(), context }
}

fn snapshot(index: u64, term: u64) -> Snapshot {
    let members = Membership { voters: vec![1, 2], learners: vec![index], ..Membership::default() };
    let mut state = State::default();
    state.weights.insert("role".into(), index);
    state.cluster = Some(cluster());
    Snapshot { position: SnapshotPosition { index, term, members }, state: Arc::new(state) }
}

/// An open directory, and what it has reported.
struct Open {
    sled: Sled,
    events: mpsc::Receiver<DiskEvent>,
    number: u64,
}

fn open(directory: &Path) -> Result<(Open, Recovered), DiskError> {
    let (sender, events) = mpsc::channel(1024);
    let (sled, recovered) = Sled::open(directory, founders, DISK, sender)?;
    Ok((Open { sled, events, number: 0 }, recovered))
}

impl Open {
    fn event(&mut self) -> DiskEvent {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let waited = runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(60), self.events.recv()).await });
        waited.expect("the disk reports within a minute").expect("the disk is there")
    }

    /// Writes, and does not wait.
    fn begin(&mut self, persist: Persist) -> u64 {
        self.number += 1;
        self.sled.persist(Persist { number: self.number, ..persist });
        self.number
    }

    /// Writes, and waits until it is durable.
    fn persist(&mut self, persist: Persist) {
        let number = self.begin(Persist { sync: true, ..persist });
        loop {
            match self.event() {
                DiskEvent::Persisted(done) if done == number => return,
                DiskEvent::Persisted(done) => assert!(done < number),
                other => panic!("{other:?}"),
            }
        }
    }

    fn save(&mut self, snapshot: Snapshot) {
        let index = snapshot.position.index;
        self.sled.save(snapshot);
        match self.event() {
            DiskEvent::Saved(saved, bytes) => assert!(saved == index && bytes > 0),
            other => panic!("{other:?}"),
        }
    }
}

fn entries(range: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
    range.map(|index| entry(index, term, 100)).collect()
}
