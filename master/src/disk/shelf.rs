//! The snapshots that pieces are read from.

use std::sync::{Arc, Mutex};

use libactor::Pid;

use super::DiskEvent;
use super::events::Events;
use super::queue::{Queue, lock};
use super::snapshot_file::SnapshotFile;
use crate::replication::{Body, Parcel};

/// The newest snapshot, and the one that it has replaced: its file is gone and stays open, so that who was being sent it gets
/// the rest.
#[derive(Debug)]
pub(super) struct Shelf(Mutex<(Arc<SnapshotFile>, Option<Arc<SnapshotFile>>)>);

impl Shelf {
    pub(super) fn new(newest: SnapshotFile) -> Self {
        Self(Mutex::new((Arc::new(newest), None)))
    }

    pub(super) fn newest(&self) -> Arc<SnapshotFile> {
        lock(&self.0).0.clone()
    }

    pub(super) fn replace(&self, newest: SnapshotFile) {
        let mut files = lock(&self.0);
        let replaced = std::mem::replace(&mut files.0, Arc::new(newest));
        files.1 = Some(replaced);
    }

    fn find(&self, index: u64) -> Option<Arc<SnapshotFile>> {
        let files = lock(&self.0);
        let both = [Some(&files.0), files.1.as_ref()];
        both.into_iter().flatten().find(|file| file.position.index == index).cloned()
    }
}

/// A piece that somebody wants.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) to: Pid,
    pub(super) parcel: Parcel,
    pub(super) index: u64,
    pub(super) offset: u64,
}

/// Reads pieces until there is no more to read.
pub(super) fn read_pieces(queue: &Queue<Wanted>, shelf: &Shelf, events: &Events) {
    while let Some(wanted) = queue.take_all() {
        for wanted in wanted {
            if let Some(event) = read_piece(shelf, wanted) {
                events.send(event);
            }
        }
    }
}

fn read_piece(shelf: &Shelf, wanted: Wanted) -> Option<DiskEvent> {
    let Wanted { to, mut parcel, index, offset } = wanted;
    let file = shelf.find(index)?;
    let complaint = |why: &str| {
        tracing::error!(
            "the snapshot {} can't be sent: {why}. The next one will replace it",
            file.path().display()
        );
    };
    if offset == 0
        && let Err(why) = file.verify()
    {
        complaint(&why);
        return None;
    }
    match file.piece(offset) {
        Ok(bytes) => {
            parcel.body = Body::Piece { index, offset, total: file.bytes, bytes: bytes? };
            Some(DiskEvent::Piece(to, parcel))
        }
        Err(error) => {
            complaint(&error.to_string());
            None
        }
    }
}
