//! What outlives an agent's process: its store, and the processes of its executors.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use agent::core::checkpoint::{Batch, Records};
use libactor::{Pid, Random, Time};
use protocol::ContainerId;

/// The disk of one machine. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct AgentDisk(Rc<RefCell<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    records: Records,
    /// Processes that the containerizer has started and not seen end.
    processes: BTreeMap<ContainerId, Pid>,
    /// How many containers later lives have found running.
    found: u64,
}

impl AgentDisk {
    /// What is durable.
    pub fn records(&self) -> Records {
        self.0.borrow().records.clone()
    }

    /// How many containers later lives of the agent have found running.
    pub fn found(&self) -> u64 {
        self.0.borrow().found
    }

    pub(super) fn finds(&self, containers: usize) {
        self.0.borrow_mut().found += containers as u64;
    }

    pub(super) fn started(&self, container_id: &ContainerId, process: &Pid) {
        self.0.borrow_mut().processes.insert(container_id.clone(), process.clone());
    }

    pub(super) fn ended(&self, container_id: &ContainerId) {
        self.0.borrow_mut().processes.remove(container_id);
    }

    pub(super) fn processes(&self) -> BTreeMap<ContainerId, Pid> {
        self.0.borrow().processes.clone()
    }
}

/// Batches on their way to the disk: each is durable some time before it is known to be. Those that are not are lost with the
/// process.
#[derive(Debug)]
pub(super) struct Writer {
    disk: AgentDisk,
    slowest: Duration,
    writing: VecDeque<(Time, Batch)>,
    written: VecDeque<(Time, u64)>,
}

impl Writer {
    pub(super) fn new(disk: AgentDisk, slowest: Duration) -> Self {
        Self { disk, slowest, writing: VecDeque::new(), written: VecDeque::new() }
    }

    pub(super) fn write(&mut self, now: Time, batch: Batch, random: &mut Random) {
        let mut took = || {
            let longest = if random.chance(50) { self.slowest } else { self.slowest / 20 };
            let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
            Duration::from_nanos(random.below(nanos.max(1)))
        };
        let newest = self.writing.back().map(|(at, _)| *at).max(self.written.back().map(|(at, _)| *at));
        let durable = newest.unwrap_or(now).max(now) + took();
        self.written.push_back((durable + took(), batch.number));
        self.writing.push_back((durable, batch));
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let writing = self.writing.front().map(|(at, _)| *at);
        let written = self.written.front().map(|(at, _)| *at);
        writing.into_iter().chain(written).min()
    }

    /// The newest batch that is now known to be durable.
    pub(super) fn tick(&mut self, now: Time) -> Option<u64> {
        while self.writing.front().is_some_and(|(at, _)| *at <= now) {
            let changes = self.writing.pop_front().map(|(_, batch)| batch.changes).unwrap_or_default();
            let mut kept = self.disk.0.borrow_mut();
            changes.into_iter().for_each(|change| kept.records.change(change));
        }
        let mut newest = None;
        while self.written.front().is_some_and(|(at, _)| *at <= now) {
            newest = self.written.pop_front().map(|(_, number)| number);
        }
        newest
    }
}
