//! Snapshots that others fetch.

use libactor::Pid;

use super::*;
use crate::registry::codec;
use crate::replication::{Body, Parcel};

/// One that needs several pieces.
fn large(index: u64) -> Snapshot {
    let mut state = State::default();
    for number in 0..60_000_u64 {
        state.weights.insert(format!("a role with a long name {number}").as_str().into(), index);
    }
    Snapshot { state: Arc::new(state), ..snapshot(index, 1) }
}

struct Fetching<S> {
    storage: S,
    events: mpsc::Receiver<DiskEvent>,
}

impl<S: Storage> Fetching<S> {
    fn ask(&mut self, index: u64, offset: u64) {
        let to: Pid = "masters@127.0.0.1:1".parse().unwrap();
        let parcel = Parcel {
            cluster: None,
            from: MemberId(1),
            disk: DISK,
            to: MemberId(2),
            version: 1,
            body: Body::Hello,
        };
        self.storage.read_piece(to, parcel, index, offset);
    }

    /// The next piece: of which snapshot, from where, of how much in all, and the bytes.
    fn piece(&mut self) -> (u64, u64, u64, Bytes) {
        match self.events.blocking_recv() {
            Some(DiskEvent::Piece(_, Parcel { to: MemberId(2), body, .. })) => match body {
                Body::Piece { index, offset, total, bytes } => (index, offset, total, bytes),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn save(&mut self, snapshot: Snapshot) {
        let expected = snapshot.position.index;
        self.storage.save(snapshot);
        match self.events.blocking_recv() {
            Some(DiskEvent::Saved(index, bytes)) if index == expected => assert!(bytes > 1 << 20),
            other => panic!("{other:?}"),
        }
    }

    fn fetch(&mut self, index: u64, between: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut between = Some(between);
        let mut fetched = Vec::new();
        loop {
            self.ask(index, fetched.len() as u64);
            let (found, offset, total, bytes) = self.piece();
            assert_eq!((found, offset), (index, fetched.len() as u64));
            fetched.extend_from_slice(&bytes);
            if fetched.len() as u64 == total {
                return fetched;
            }
            assert_eq!(bytes.len(), 1 << 20);
            if let Some(between) = between.take() {
                between(self);
            }
        }
    }

    /// What holds for every storage.
    fn is_fetched(&mut self) {
        // What it began with.
        let fetched = self.fetch(1, |_| {});
        assert_eq!(codec::decode_state(&fetched).unwrap(), *founders(DISK).snapshot.state);
        self.save(large(5));
        let fetched = self.fetch(5, |_| {});
        assert_eq!(codec::decode_state(&fetched).unwrap(), *large(5).state);
        // What is not there is not sent; the next answer is to the next question.
        self.ask(4, 0);
        self.ask(5, 1 << 40);
        self.ask(5, 7);
        assert_eq!(self.piece().1, 7);
    }
}

#[test]
fn a_snapshot_on_disk_is_fetched_in_pieces_also_while_a_newer_one_replaces_it() {
    let root = tempfile::tempdir().unwrap();
    let (sender, events) = mpsc::channel(8);
    let (storage, _) = Sled::open(root.path(), founders, DISK, sender).unwrap();
    let mut fetching = Fetching { storage, events };
    fetching.is_fetched();
    let fetched = fetching.fetch(5, |fetching| fetching.save(large(6)));
    assert_eq!(codec::decode_state(&fetched).unwrap(), *large(5).state);
    // Two newer ones: it is gone.
    fetching.save(large(7));
    fetching.ask(5, 0);
    // One whose bytes have changed is not sent.
    let path = root.path().join("snapshots/7-1.snap");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[2_000_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    fetching.ask(7, 0);
    fetching.ask(6, 9);
    assert_eq!(fetching.piece().0, 6);
}

#[test]
fn a_snapshot_in_memory_is_fetched_in_pieces() {
    let (sender, events) = mpsc::channel(8);
    let storage = Memory::new(sender).holding(founders(DISK).snapshot);
    let mut fetching = Fetching { storage, events };
    fetching.is_fetched();
    let install = Some(large(9));
    fetching.storage.persist(Persist { number: 3, install, ..Persist::default() });
    assert!(matches!(fetching.events.blocking_recv(), Some(DiskEvent::Persisted(3))));
    let fetched = fetching.fetch(9, |_| {});
    assert_eq!(codec::decode_state(&fetched).unwrap(), *large(9).state);
}

#[test]
fn memory_reports_all_in_order_also_when_nobody_reads_at_first() {
    let (sender, mut events) = mpsc::channel(2);
    let mut memory = Memory::new(sender);
    for number in 1..=100 {
        memory.persist(Persist { number, ..Persist::default() });
    }
    for number in 1..=100 {
        match events.blocking_recv() {
            Some(DiskEvent::Persisted(found)) => assert_eq!(found, number),
            other => panic!("{other:?}"),
        }
    }
}
