//! The agent's process ends, and another life begins with what was durable.

use std::collections::{BTreeMap, BTreeSet};

use libactor::Machine;
use protocol::{ContainerId, FrameworkId, TaskState};

use super::super::checkpoint::Key;
use super::super::{Agent, ContainerEnd, Found, Input};
use super::World;

impl World {
    /// All that was asked to be durable is so.
    pub(super) fn write(&mut self) {
        while let Some(batch) = self.batches.pop_front() {
            let number = batch.number;
            batch.changes.into_iter().for_each(|change| self.records.change(change));
            let mut out = Vec::new();
            self.agent.handle(self.now, Input::Checkpointed { number }, &mut out);
            self.agent.check();
            self.carry_out(out);
        }
        if self.random.chance(50) {
            self.check_records();
        }
    }

    /// What is kept is what the machine thinks is kept.
    pub(super) fn check_records(&self) {
        let kept: BTreeSet<Key> = self.agent.kept().into_iter().collect();
        let durable: BTreeSet<Key> = self.records.0.keys().cloned().collect();
        if self.batches.is_empty() && !self.terminated && self.lost.is_none() {
            let differ: Vec<_> = kept.symmetric_difference(&durable).collect();
            assert!(differ.is_empty(), "seed {}: {differ:?}", self.seed);
        }
    }

    /// The process is killed. Of what it asked to be durable some was; of what it said some never came.
    pub(super) fn crash(&mut self) {
        self.crashes += 1;
        let durable = self.random.below(self.batches.len() as u64 + 1) as usize;
        for batch in self.batches.drain(..durable) {
            batch.changes.into_iter().for_each(|change| self.records.change(change));
        }
        self.batches.clear();
        let kept = FrameworkId::from("F0");
        let forgets = self.random.chance(300);
        self.containers.retain(|_, container| container.framework_id == kept);
        let launching: Vec<ContainerId> =
            self.containers.iter().filter(|(_, one)| !one.launched).map(|(id, _)| id.clone()).collect();
        for id in launching {
            match self.random.chance(500) {
                true => self.containers.get_mut(&id).unwrap().launched = true,
                false => drop(self.containers.remove(&id)),
            }
        }
        for container in self.containers.values_mut() {
            container.stream = None;
            if forgets {
                container.tasks.retain(|_, state| *state != TaskState::Staging);
            }
        }
        // The master asks after all that it thinks is here, and hears of the end of what is not.
        self.heard.retain(|key, _| key.0 == kept);
        self.ends.retain(|key, _| key.0 == kept);
        self.unacknowledged.retain(|(framework_id, ..)| *framework_id == kept);
        let (config, seed) = (self.agent.config().clone(), self.random.next_u64());
        self.agent = Agent::recover(config, seed, self.now, self.records.clone()).unwrap();
        self.agent.check();
        self.answer = None;
        self.feed(Input::Begin);
        let known = self.lost.as_ref().unwrap();
        self.containers.retain(|id, _| known.contains(id));
        if self.random.chance(500) {
            self.find();
        }
    }

    /// Containers are found again, or not.
    pub(super) fn find(&mut self) {
        let Some(lost) = self.lost.take() else { return };
        let mut found = BTreeMap::new();
        for id in lost {
            if self.random.chance(200) {
                self.containers.remove(&id);
                let status = self.random.chance(500).then_some(9);
                found.insert(id, Found::Ended(ContainerEnd { status, ..ContainerEnd::default() }));
            } else if self.containers.contains_key(&id) {
                found.insert(id, Found::Running(1));
            }
        }
        self.feed(Input::Recovered { containers: found });
        let leader = libactor::detect::Leader { pid: self.master.clone(), epoch: 1 };
        self.feed(Input::MasterDetected { master: Some(leader) });
    }
}
