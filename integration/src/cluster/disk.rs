//! The disk of a master that can be stopped and started anew within this process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libactor::Pid;
use master::disk::{DiskEvent, Memory, Storage};
use master::replication::{Parcel, Persist, Recovered, Snapshot};
use tokio::sync::mpsc;

/// Reports that may wait for the replica.
const MAX_EVENTS: usize = 4096;

/// What a disk holds, whoever writes to it. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Platter(Arc<Mutex<Recovered>>);

impl Platter {
    /// Of a master that begins with this.
    pub(super) fn new(begin: Recovered) -> Self {
        Self(Arc::new(Mutex::new(begin)))
    }

    /// What it holds, and what writes to it in the next life.
    pub(super) fn open(&self) -> (Recovered, Disk, mpsc::Receiver<DiskEvent>) {
        let (report, events) = mpsc::channel(MAX_EVENTS);
        let recovered = self.lock().clone();
        let memory = Memory::new(report).holding(recovered.snapshot.clone());
        (recovered, Disk { platter: self.clone(), memory }, events)
    }

    fn lock(&self) -> MutexGuard<'_, Recovered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One life's way to the disk: all is durable at once.
pub(super) struct Disk {
    platter: Platter,
    memory: Memory,
}

impl Storage for Disk {
    fn persist(&mut self, persist: Persist) {
        {
            let mut held = self.platter.lock();
            if let Some(snapshot) = &persist.install {
                held.snapshot = snapshot.clone();
                held.entries.clear();
            }
            if let Some(first) = persist.entries.first() {
                held.entries.retain(|entry| entry.index < first.index);
                held.entries.extend(persist.entries.iter().cloned());
            }
            if let Some(hard_state) = persist.hard_state {
                held.hard_state = hard_state;
            }
            if let Some(identity) = &persist.identity {
                held.identity = identity.clone();
            }
        }
        self.memory.persist(persist);
    }

    fn save(&mut self, snapshot: Snapshot) {
        self.platter.lock().snapshot = snapshot.clone();
        self.memory.save(snapshot);
    }

    fn compact(&mut self, before: u64) {
        self.platter.lock().entries.retain(|entry| entry.index >= before);
        self.memory.compact(before);
    }

    fn read_piece(&mut self, to: Pid, parcel: Parcel, index: u64, offset: u64) {
        self.memory.read_piece(to, parcel, index, offset);
    }
}
