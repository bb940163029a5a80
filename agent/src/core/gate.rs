//! What the machine says waits until what it rests on is durable.
//!
//! Changes of a turn become one batch, which goes out at once; what is said in that turn and later is held back, in order,
//! until the batch is durable. Several batches may be under way.

use std::collections::{BTreeMap, VecDeque};

use libactor::Pid;

use super::Output;
use super::checkpoint::{Batch, Change, Key, Record};

/// Changes that are to be kept, and what waits for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    /// Those of this turn: the last one of a key counts. Nothing: it is removed.
    changes: BTreeMap<Key, Option<Box<Record>>>,
    /// The number of the newest batch.
    asked: u64,
    /// The number of the newest one that is durable.
    durable: u64,
    /// What is held back, and the batch that it waits for.
    held: VecDeque<(u64, Output)>,
}

impl Gate {
    /// Keeps a record, in place of what was kept under its key.
    pub(super) fn put(&mut self, record: Record) {
        self.changes.insert(record.key(), Some(Box::new(record)));
    }

    /// Keeps nothing under a key any more.
    pub(super) fn remove(&mut self, key: Key) {
        self.changes.insert(key, None);
    }

    /// Ends a turn in which this was said.
    pub(super) fn pass(&mut self, said: Vec<Output>, out: &mut Vec<Output>) {
        if !self.changes.is_empty() {
            self.asked += 1;
            let changes = std::mem::take(&mut self.changes).into_iter();
            let changes = changes.map(|(key, record)| match record {
                Some(record) => Change::Put(record),
                None => Change::Remove(key),
            });
            out.push(Output::Checkpoint(Batch { number: self.asked, changes: changes.collect() }));
        }
        match self.durable == self.asked {
            true => out.extend(said),
            false => self.held.extend(said.into_iter().map(|output| (self.asked, output))),
        }
    }

    /// A batch is durable, with all before it: what waited for them goes out.
    pub(super) fn durable(&mut self, number: u64, out: &mut Vec<Output>) {
        self.durable = self.durable.max(number.min(self.asked));
        let ready = self.held.iter().take_while(|(needed, _)| *needed <= self.durable).count();
        out.extend(self.held.drain(..ready).map(|(_, output)| output));
    }

    /// An executor is gone: what it was to be told does not wait for it to come back. It is told anew what it does not know.
    pub(super) fn unsay(&mut self, executor: &Pid) {
        self.held.retain(|(_, output)| !matches!(output, Output::ToExecutor { to, .. } if to == executor));
    }

    pub(super) fn check(&self) {
        assert!(self.changes.is_empty(), "a turn ends with a batch: {:?}", self.changes);
        assert!(self.held.iter().all(|(needed, _)| *needed > self.durable), "nothing waits in vain");
        assert!(self.held.iter().is_sorted_by_key(|(needed, _)| *needed), "what is said stays in order");
    }
}

#[cfg(test)]
mod tests {
    use protocol::FrameworkInfo;

    use super::*;

    fn said(text: &str) -> Output {
        Output::Terminate { message: text.into(), failed: false }
    }

    fn named(name: &str) -> Record {
        Record::Framework(FrameworkInfo { id: Some("F".into()), ..FrameworkInfo::new(name) })
    }

    fn told(out: &[Output]) -> Vec<String> {
        let text = |output: &Output| match output {
            Output::Terminate { message, .. } => message.clone(),
            Output::Checkpoint(batch) => format!("{}: {}", batch.number, batch.changes.len()),
            other => panic!("{other:?}"),
        };
        out.iter().map(text).collect()
    }

    #[test]
    fn what_is_said_waits_for_all_batches_before_it() {
        let (mut gate, mut out) = (Gate::default(), Vec::new());
        gate.pass(vec![said("a")], &mut out);
        gate.put(named("f"));
        gate.pass(vec![said("b")], &mut out);
        gate.pass(vec![said("c")], &mut out);
        gate.remove(Key::Drain);
        gate.remove(Key::Agent);
        gate.pass(vec![said("d")], &mut out);
        assert_eq!(told(&out), ["a", "1: 1", "2: 2"]);
        out.clear();
        gate.durable(1, &mut out);
        assert_eq!(told(&out), ["b", "c"]);
        gate.pass(vec![said("e")], &mut out);
        gate.check();
        gate.durable(2, &mut out);
        gate.pass(vec![said("f")], &mut out);
        assert_eq!(told(&out), ["b", "c", "d", "e", "f"]);
        gate.durable(1, &mut out);
        gate.check();
    }

    #[test]
    fn the_last_change_of_a_key_counts() {
        let (mut gate, mut out) = (Gate::default(), Vec::new());
        gate.put(named("old"));
        gate.put(named("new"));
        gate.pass(Vec::new(), &mut out);
        gate.put(named("gone"));
        gate.remove(named("gone").key());
        gate.pass(Vec::new(), &mut out);
        let [Output::Checkpoint(first), Output::Checkpoint(second)] = out.as_slice() else {
            panic!("{out:?}")
        };
        assert_eq!(first.changes, [Change::Put(Box::new(named("new")))]);
        assert_eq!(second.changes, [Change::Remove(named("gone").key())]);
    }
}
