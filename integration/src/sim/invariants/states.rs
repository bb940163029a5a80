//! Tasks move legally, as their framework sees it, and what has ended stays ended.

use std::collections::BTreeMap;

use libactor::Time;
use libactor::sim::Seen;
use protocol::messages::Event;
use protocol::{TaskId, TaskState, TaskStatus, Uuid};

use super::Invariant;
use crate::sim::Message;
use crate::sim::framework::Heeds;

/// What frameworks were told.
#[derive(Debug)]
pub struct States {
    heeds: Heeds,
    tasks: BTreeMap<TaskId, Told>,
}

impl States {
    /// Nothing yet.
    pub fn new(heeds: Heeds) -> Self {
        Self { heeds, tasks: BTreeMap::new() }
    }
}

#[derive(Debug, Default)]
struct Told {
    /// The newest state by the word of its agent.
    state: Option<TaskState>,
    updates: BTreeMap<Uuid, TaskState>,
    /// The end by the master's own word, where it can't be taken back.
    ended_by_master: Option<TaskState>,
}

impl Invariant for States {
    fn seen(&mut self, _now: Time, seen: &Seen<'_, Message>) {
        match seen {
            Seen::Delivered { from, to, message } => {
                let heeds = self.heeds.borrow();
                let Some(Event::Update(status)) = message.told(from, to, &heeds) else { return };
                let told = self.tasks.entry(status.task_id.clone()).or_default();
                match status.uuid {
                    Some(uuid) => told.by_agent(uuid, status),
                    None => told.by_master(status),
                }
            }
            // Which tasks a master has called ended is not in the registry: its word is lost with it.
            Seen::Started { pid } if pid.name() == "master" => {
                self.tasks.values_mut().for_each(|told| told.ended_by_master = None);
            }
            _ => {}
        }
    }
}

impl Told {
    /// An update with a uuid comes from the task's agent. It may come again; a new one follows the last one legally.
    fn by_agent(&mut self, uuid: Uuid, status: &TaskStatus) {
        let (id, state) = (&status.task_id, status.state);
        if let Some(before) = self.updates.insert(uuid, state) {
            assert_eq!(before, state, "update {uuid} of {id} has changed");
            return;
        }
        if let Some(before) = self.state.replace(state) {
            assert!(before.may_become(state), "{id} was {before} and is {state}");
        }
        if let Some(end) = self.ended_by_master {
            assert!(state.is_terminal(), "{id} was {end}, as the master said, and is {state}");
        }
    }

    /// An update without a uuid is the master's own word: an answer to a question, or a task that never came to an
    /// agent, or whose agent is lost. It may speak of a newer or an older state, but not call alive what has ended.
    fn by_master(&mut self, status: &TaskStatus) {
        let (id, state) = (&status.task_id, status.state);
        if let Some(before) = self.state.filter(|state| state.is_terminal()) {
            let may = state.is_terminal() || state == TaskState::Unknown;
            assert!(may, "{id} was {before} and is {state}, as the master says");
        }
        // A framework that can't tell a lost task from an unreachable one may see it come back.
        if state.is_terminal() && state != TaskState::Lost {
            self.ended_by_master = Some(state);
        }
    }
}
