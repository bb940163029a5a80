//! A disk: what is durable, and what is on its way there. A crash loses the end of that, from anywhere on.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use libactor::{Random, Time};

use crate::registry::codec;
use crate::replication::{Entry, HardState, Identity, Persist, Recovered, Snapshot};

/// How long it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    pub(super) least: Duration,
    pub(super) most: Duration,
    /// How often it stands still for a while, in thousandths.
    pub(super) stalls: u64,
    pub(super) stall: Duration,
}

pub(super) const QUICK: Speed = Speed {
    least: Duration::from_micros(100),
    most: Duration::from_millis(5),
    stalls: 2,
    stall: Duration::from_secs(3),
};

/// What a disk says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Done {
    Persisted(u64),
    Saved(u64, u64),
}

#[derive(Clone, Debug)]
enum Work {
    Persist(Box<Persist>),
    Compact(u64),
}

#[derive(Debug)]
pub(super) struct Disk {
    identity: Identity,
    hard_state: HardState,
    /// As the last sync has left it: what came without one may be lost.
    synced: HardState,
    snapshot: Snapshot,
    /// Of the snapshot, once a piece was wanted.
    encoded: Option<Bytes>,
    entries: BTreeMap<u64, Entry>,
    queue: VecDeque<(Time, Work)>,
    saving: Option<(Time, Snapshot)>,
    last_due: Time,
    pub(super) speed: Speed,
    random: Random,
}

impl Disk {
    pub(super) fn new(recovered: Recovered, seed: u64) -> Self {
        let Recovered { identity, hard_state, snapshot, entries } = recovered;
        Self {
            identity,
            hard_state,
            synced: hard_state,
            encoded: None,
            snapshot,
            entries: entries.into_iter().map(|entry| (entry.index, entry)).collect(),
            queue: VecDeque::new(),
            saving: None,
            last_due: Time::default(),
            speed: QUICK,
            random: Random::new(seed),
        }
    }

    fn due(&mut self, now: Time) -> Time {
        let spread = (self.speed.most - self.speed.least).as_nanos() as u64;
        let mut takes = self.speed.least + Duration::from_nanos(self.random.below(spread + 1));
        if self.random.chance(self.speed.stalls) {
            takes += Duration::from_nanos(self.random.below(self.speed.stall.as_nanos() as u64 + 1));
        }
        self.last_due = self.last_due.max(now) + takes;
        self.last_due
    }

    pub(super) fn persist(&mut self, now: Time, persist: Persist) {
        let due = if persist.sync { self.due(now) } else { self.last_due.max(now) };
        self.queue.push_back((due, Work::Persist(Box::new(persist))));
    }

    pub(super) fn compact(&mut self, now: Time, before: u64) {
        let due = self.last_due.max(now);
        self.queue.push_back((due, Work::Compact(before)));
    }

    pub(super) fn save(&mut self, now: Time, snapshot: Snapshot) {
        assert!(self.saving.is_none(), "one snapshot at a time");
        let due = now + Duration::from_millis(self.random.below(200));
        self.saving = Some((due, snapshot));
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let first = self.queue.front().map(|(due, _)| *due);
        first.into_iter().chain(self.saving.as_ref().map(|(due, _)| *due)).min()
    }

    pub(super) fn done(&mut self, now: Time) -> Vec<Done> {
        let mut done = Vec::new();
        while self.queue.front().is_some_and(|(due, _)| *due <= now) {
            if let Some(Work::Persist(persist)) = self.finish_next() {
                done.push(Done::Persisted(persist.number));
            }
        }
        if let Some((_, snapshot)) = self.saving.take_if(|(due, _)| *due <= now) {
            let index = snapshot.position.index;
            self.keep(snapshot);
            done.push(Done::Saved(index, 1000));
        }
        done
    }

    fn keep(&mut self, snapshot: Snapshot) {
        if snapshot.position.index > self.snapshot.position.index {
            self.encoded = None;
            self.snapshot = snapshot;
        }
    }

    fn finish_next(&mut self) -> Option<Work> {
        let (_, work) = self.queue.pop_front()?;
        match &work {
            Work::Compact(before) => {
                assert!(
                    *before <= self.snapshot.position.index + 1,
                    "only what a snapshot holds is forgotten"
                );
                self.entries = self.entries.split_off(before);
            }
            Work::Persist(persist) => {
                if let Some(snapshot) = &persist.install {
                    self.keep(snapshot.clone());
                    self.entries.clear();
                }
                if let Some(first) = persist.entries.first() {
                    self.entries.split_off(&first.index);
                    self.entries.extend(persist.entries.iter().map(|entry| (entry.index, entry.clone())));
                }
                self.hard_state = persist.hard_state.unwrap_or(self.hard_state);
                self.identity = persist.identity.clone().unwrap_or(self.identity.clone());
                if persist.sync {
                    self.synced = self.hard_state;
                }
            }
        }
        Some(work)
    }

    /// A crash: some of what was on its way has arrived, in order; the rest is lost.
    pub(super) fn crash(&mut self) {
        let arrived = self.random.below(self.queue.len() as u64 + 1);
        for _ in 0..arrived {
            self.finish_next();
        }
        self.queue.clear();
        if self.random.chance(500) {
            self.hard_state = self.synced;
        }
        if let Some((_, snapshot)) = self.saving.take()
            && self.random.chance(500)
        {
            self.keep(snapshot);
        }
        self.last_due = Time::default();
    }

    pub(super) fn unsynced(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn recovered(&self) -> Recovered {
        let after = self.snapshot.position.index + 1;
        Recovered {
            identity: self.identity.clone(),
            hard_state: self.hard_state,
            snapshot: self.snapshot.clone(),
            entries: self.entries.range(after..).map(|(_, entry)| entry.clone()).collect(),
        }
    }

    /// A piece of the newest snapshot.
    pub(super) fn piece(&mut self, index: u64, offset: u64, most: usize) -> Option<(u64, Bytes)> {
        let offset = usize::try_from(offset).ok()?;
        if index != self.snapshot.position.index {
            return None;
        }
        let encoded = self.encoded.get_or_insert_with(|| codec::encode_state(&self.snapshot.state).into());
        let end = encoded.len().min(offset + most);
        (offset < end).then(|| (encoded.len() as u64, encoded.slice(offset..end)))
    }
}
