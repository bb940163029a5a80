//! A replica's disk, simulated: what is durable, what is only written, and a thread that takes its time.
//!
//! [`Disk`] outlives the process: its factory keeps it. [`Writer`] is the thread of one life. What a thread is at when its
//! process ends, and what it has written without a sync, is there afterwards up to a random place, or not at all.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use libactor::{Pid, Random, Time};
use master::disk::DiskEvent;
use master::registry::codec;
use master::replication::{Body, Entry, Identity, Parcel, Persist, Recovered, Snapshot, SnapshotPosition};

/// A disk's place in a machine, and the disk that is there. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Disk(Rc<RefCell<Shared>>);

type Shared = Rc<RefCell<Content>>;

#[derive(Debug)]
struct Content {
    image: Image,
    /// Written and not synced, or being written: oldest first.
    loose: VecDeque<Write>,
    /// A snapshot file that is being written.
    saving: Option<File>,
    /// Snapshots saved and installed, writes that were lost.
    counted: (u64, u64, u64),
}

/// What a power loss leaves.
#[derive(Clone, Debug)]
struct Image {
    identity: Identity,
    hard_state: master::replication::HardState,
    snapshot: File,
    entries: VecDeque<Entry>,
}

#[derive(Clone, Debug)]
struct File {
    position: SnapshotPosition,
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Write {
    Persist {
        identity: Option<Identity>,
        hard_state: Option<master::replication::HardState>,
        install: Option<File>,
        entries: Vec<Entry>,
    },
    Compact {
        before: u64,
    },
}

impl File {
    fn of(snapshot: &Snapshot) -> Self {
        let bytes = Bytes::from(codec::encode_state(&snapshot.state));
        Self { position: snapshot.position.clone(), bytes }
    }
}

impl Image {
    fn of(recovered: Recovered) -> Self {
        let Recovered { identity, hard_state, snapshot, entries } = recovered;
        Self { identity, hard_state, snapshot: File::of(&snapshot), entries: entries.into() }
    }

    fn last(&self) -> u64 {
        self.entries.back().map_or(self.snapshot.position.index, |entry| entry.index)
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Persist { identity, hard_state, install, entries } => {
                if let Some(file) = install {
                    self.snapshot = file;
                    self.entries.clear();
                }
                if let Some(first) = entries.first() {
                    let place = self.entries.partition_point(|entry| entry.index < first.index);
                    self.entries.truncate(place);
                    assert!(first.index <= self.last() + 1, "the log has a gap before {}", first.index);
                }
                self.entries.extend(entries);
                self.identity = identity.unwrap_or(self.identity.clone());
                self.hard_state = hard_state.unwrap_or(self.hard_state);
            }
            Write::Compact { before } => {
                let held = self.snapshot.position.index;
                assert!(
                    before <= held + 1,
                    "the log before {before} is forgotten, the snapshot ends at {held}"
                );
                let place = self.entries.partition_point(|entry| entry.index < before);
                self.entries.drain(..place);
            }
        }
    }

    /// A snapshot file is complete.
    fn save(&mut self, file: File) {
        if file.position.index > self.snapshot.position.index {
            self.snapshot = file;
        }
    }

    fn recovered(&self) -> Recovered {
        let state = codec::decode_state(&self.snapshot.bytes).expect("a disk holds what was encoded");
        let position = self.snapshot.position.clone();
        let follow = self.entries.iter().filter(|entry| entry.index > position.index);
        let entries: Vec<Entry> = follow.cloned().collect();
        let first = entries.first().map_or(position.index + 1, |entry| entry.index);
        assert_eq!(first, position.index + 1, "the log follows the snapshot");
        Recovered {
            identity: self.identity.clone(),
            hard_state: self.hard_state,
            snapshot: Snapshot { position, state: Arc::new(state) },
            entries,
        }
    }
}

impl Content {
    fn of(recovered: Recovered) -> Shared {
        let image = Image::of(recovered);
        Rc::new(RefCell::new(Self { image, loose: VecDeque::new(), saving: None, counted: (0, 0, 0) }))
    }
}

impl Disk {
    /// A disk on which this was put at first.
    pub fn new(recovered: Recovered) -> Self {
        Self(Rc::new(RefCell::new(Content::of(recovered))))
    }

    /// Another disk takes its place, with this on it. A life that goes on does so with the old one.
    pub fn replace(&self, recovered: Recovered) {
        *self.0.borrow_mut() = Content::of(recovered);
    }

    fn content(&self) -> Shared {
        self.0.borrow().clone()
    }

    /// Snapshots saved and installed, writes that were lost, on the disk that is there.
    pub fn counted(&self) -> (u64, u64, u64) {
        self.content().borrow().counted
    }

    /// Who it says that it is.
    pub fn identity(&self) -> Identity {
        self.content().borrow().image.identity.clone()
    }

    /// What the next life finds. Of what was not durable a beginning is there, or all, or nothing.
    pub fn recover(&self, random: &mut Random) -> Recovered {
        let content = self.content();
        let Content { image, loose, saving, counted } = &mut *content.borrow_mut();
        let kept = match random.below(3) {
            0 => 0,
            1 => loose.len(),
            _ => random.below(loose.len() as u64 + 1) as usize,
        };
        counted.2 += (loose.len() - kept) as u64;
        loose.drain(..).take(kept).for_each(|write| image.write(write));
        if let Some(file) = saving.take().filter(|_| random.chance(500)) {
            image.save(file);
        }
        image.recovered()
    }
}

/// How a disk behaves.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// The longest that a sync takes, mostly.
    pub sync: Duration,
    /// How often it takes longer, in thousandths.
    pub slow_thousandths: u64,
    /// The longest, then.
    pub slowest: Duration,
    /// How often a sync fails, in hundredths of thousandths: the disk is full.
    pub fails: u64,
    /// Bytes in a piece of a snapshot.
    pub piece: usize,
}

/// The thread that writes, in one life of a process.
#[derive(Debug)]
pub struct Writer {
    disk: Shared,
    speed: Speed,
    random: Random,
    /// What was asked for since the batch under way began.
    waiting: Vec<Job>,
    batch: Option<Batch>,
    saving: Option<Time>,
    /// What is to be reported when; in order of time.
    reports: VecDeque<(Time, DiskEvent)>,
    failed: bool,
}

#[derive(Debug)]
struct Job {
    /// The number of what is to be persisted, if it is that.
    number: Option<u64>,
    sync: bool,
    write: Write,
}

#[derive(Debug)]
struct Batch {
    until: Time,
    /// The last number in it.
    number: Option<u64>,
    sync: bool,
}

impl Writer {
    /// A new life.
    pub fn new(disk: &Disk, speed: Speed, seed: u64) -> Self {
        let disk = disk.content();
        let random = Random::new(seed);
        let (waiting, reports) = (Vec::new(), VecDeque::new());
        Self { disk, speed, random, waiting, batch: None, saving: None, reports, failed: false }
    }

    /// As [`master::disk::Storage::persist`].
    pub fn persist(&mut self, now: Time, persist: Persist) {
        let Persist { number, install, entries, hard_state, identity, sync } = persist;
        let install = install.as_ref().map(File::of);
        self.disk.borrow_mut().counted.1 += u64::from(install.is_some());
        let write = Write::Persist { identity, hard_state, install, entries };
        self.waiting.push(Job { number: Some(number), sync, write });
        self.begin(now);
    }

    /// As [`master::disk::Storage::compact`].
    pub fn compact(&mut self, now: Time, before: u64) {
        self.waiting.push(Job { number: None, sync: false, write: Write::Compact { before } });
        self.begin(now);
    }

    /// As [`master::disk::Storage::save`].
    pub fn save(&mut self, now: Time, snapshot: &Snapshot) {
        assert!(self.saving.is_none(), "one snapshot at a time");
        self.disk.borrow_mut().saving = Some(File::of(snapshot));
        self.saving = Some(now + self.takes() * 3);
    }

    /// As [`master::disk::Storage::read_piece`].
    pub fn read_piece(&mut self, now: Time, to: Pid, mut parcel: Parcel, index: u64, offset: u64) {
        let file = self.disk.borrow().image.snapshot.clone();
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        if file.position.index != index || from >= file.bytes.len() {
            return;
        }
        let until = file.bytes.len().min(from.saturating_add(self.speed.piece));
        let (total, bytes) = (file.bytes.len() as u64, file.bytes.slice(from..until));
        parcel.body = Body::Piece { index, offset, total, bytes };
        self.report(now, DiskEvent::Piece(to, parcel));
    }

    fn takes(&mut self) -> Duration {
        let slow = self.random.chance(self.speed.slow_thousandths);
        let most = if slow { self.speed.slowest } else { self.speed.sync };
        Duration::from_micros(self.random.below(most.as_micros() as u64 + 1))
    }

    /// Begins to write all that waits, if nothing is being written.
    fn begin(&mut self, now: Time) {
        if self.batch.is_some() || self.waiting.is_empty() || self.failed {
            return;
        }
        let jobs = std::mem::take(&mut self.waiting);
        let sync = jobs.iter().any(|job| job.sync);
        let number = jobs.iter().filter_map(|job| job.number).max();
        self.disk.borrow_mut().loose.extend(jobs.into_iter().map(|job| job.write));
        let until = if sync { now + self.takes() } else { now };
        self.batch = Some(Batch { until, number, sync });
    }

    /// It is told in order, now and then late.
    fn report(&mut self, now: Time, event: DiskEvent) {
        let late = if self.random.chance(20) { 300_000 } else { 200 };
        let at = now + Duration::from_micros(self.random.below(late));
        let at = self.reports.back().map_or(at, |(last, _)| at.max(*last));
        self.reports.push_back((at, event));
    }

    /// When [`Writer::next`] has something to do.
    pub fn deadline(&self) -> Option<Time> {
        let batch = self.batch.as_ref().map(|batch| batch.until);
        let report = self.reports.front().map(|(at, _)| *at);
        [batch, self.saving, report].into_iter().flatten().min()
    }

    /// What is to be reported now; to be asked until there is nothing.
    pub fn next(&mut self, now: Time) -> Option<DiskEvent> {
        if let Some(batch) = self.batch.take_if(|batch| batch.until <= now) {
            self.written(now, &batch);
        }
        if self.saving.take_if(|until| *until <= now).is_some() {
            let saved = {
                let content = &mut *self.disk.borrow_mut();
                let file = content.saving.take().expect("it is being saved");
                let saved = DiskEvent::Saved(file.position.index, file.bytes.len() as u64);
                content.image.save(file);
                content.counted.0 += 1;
                saved
            };
            self.report(now, saved);
        }
        let due = self.reports.front().is_some_and(|(at, _)| *at <= now);
        due.then(|| self.reports.pop_front())?.map(|(_, event)| event)
    }

    fn written(&mut self, now: Time, batch: &Batch) {
        if batch.sync && self.random.below(100_000) < self.speed.fails {
            self.failed = true;
            return self.report(now, DiskEvent::Failed("no space is left on the disk".to_owned()));
        }
        if batch.sync {
            let Content { image, loose, .. } = &mut *self.disk.borrow_mut();
            loose.drain(..).for_each(|write| image.write(write));
        }
        if let Some(number) = batch.number {
            self.report(now, DiskEvent::Persisted(number));
        }
        self.begin(now);
    }
}
