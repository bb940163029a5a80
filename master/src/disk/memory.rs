//! A disk that forgets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use libactor::Pid;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::limits::PIECE_BYTES;
use super::queue::lock;
use super::{DiskEvent, Storage};
use crate::registry::codec;
use crate::replication::{Body, Parcel, Persist, Snapshot};

/// Keeps nothing but the newest snapshot, for others to fetch, and reports all at once: for tests, and for clusters within one
/// process.
#[derive(Debug)]
pub struct Memory {
    events: mpsc::Sender<DiskEvent>,
    /// Events that found the channel full; while a thread hands them on, `Some`.
    late: Arc<Mutex<Option<VecDeque<DiskEvent>>>>,
    snapshot: Option<Snapshot>,
    /// Of which index, and its bytes; encoded when they are first needed.
    encoded: Option<(u64, Bytes)>,
}

impl Memory {
    /// Reports to `events`.
    pub fn new(events: mpsc::Sender<DiskEvent>) -> Self {
        Self { events, late: Arc::default(), snapshot: None, encoded: None }
    }

    /// Begins with the snapshot of a [`Recovered`](crate::replication::Recovered), which a newcomer may fetch before there is
    /// another one.
    #[must_use]
    pub fn holding(mut self, snapshot: Snapshot) -> Self {
        self.hold(snapshot);
        self
    }

    fn hold(&mut self, snapshot: Snapshot) {
        self.snapshot = Some(snapshot);
        self.encoded = None;
    }

    /// The newest snapshot as bytes.
    fn encoded(&mut self) -> Option<(u64, Bytes)> {
        if self.encoded.is_none() {
            let snapshot = self.snapshot.as_ref()?;
            self.encoded = Some((snapshot.position.index, codec::encode_state(&snapshot.state).into()));
        }
        self.encoded.clone()
    }

    fn send(&self, event: DiskEvent) {
        let mut late = lock(&self.late);
        if let Some(late) = &mut *late {
            return late.push_back(event);
        }
        if let Err(TrySendError::Full(event)) = self.events.try_send(event) {
            *late = Some([event].into());
            let (events, late) = (self.events.clone(), self.late.clone());
            thread::spawn(move || hand_on(&events, &late));
        }
    }
}

/// Waits for room for what comes late, in its order.
fn hand_on(events: &mpsc::Sender<DiskEvent>, late: &Mutex<Option<VecDeque<DiskEvent>>>) {
    loop {
        let event = {
            let mut late = lock(late);
            match late.as_mut().and_then(VecDeque::pop_front) {
                Some(event) => event,
                None => {
                    *late = None;
                    return;
                }
            }
        };
        // Closed: nobody waits for it.
        let _ = events.blocking_send(event);
    }
}

impl Storage for Memory {
    fn persist(&mut self, persist: Persist) {
        if let Some(snapshot) = persist.install {
            self.hold(snapshot);
        }
        self.send(DiskEvent::Persisted(persist.number));
    }

    fn save(&mut self, snapshot: Snapshot) {
        let newer = self.snapshot.as_ref().is_none_or(|held| held.position.index <= snapshot.position.index);
        if newer {
            self.hold(snapshot);
        }
        if let Some((index, bytes)) = self.encoded() {
            self.send(DiskEvent::Saved(index, bytes.len() as u64));
        }
    }

    fn compact(&mut self, _before: u64) {}

    fn read_piece(&mut self, to: Pid, mut parcel: Parcel, index: u64, offset: u64) {
        let Some((_, bytes)) = self.encoded().filter(|(held, _)| *held == index) else { return };
        let total = bytes.len() as u64;
        if offset <= total {
            let end = total.min(offset + PIECE_BYTES);
            let range = usize::try_from(offset).expect("within the bytes")
                ..usize::try_from(end).expect("within the bytes");
            parcel.body = Body::Piece { index, offset, total, bytes: bytes.slice(range) };
            self.send(DiskEvent::Piece(to, parcel));
        }
    }
}
