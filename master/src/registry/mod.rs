//! What every replica of the master holds. In memory for now, behind a trait; replication comes with Raft.

use std::collections::BTreeMap;

use protocol::{AgentId, AgentInfo, UnixTime};

/// One change of the registry. Operations are values, so that they can be replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new agent, with the id that the master gave it (`agent.id` is set).
    AdmitAgent {
        /// Who.
        agent: AgentInfo,
    },
    /// An agent that does not answer.
    MarkAgentUnreachable {
        /// Which.
        agent_id: AgentId,
        /// Since when.
        since: UnixTime,
    },
    /// It is back.
    MarkAgentReachable {
        /// Who, as it describes itself now.
        agent: AgentInfo,
    },
    /// It has left for good.
    RemoveAgent {
        /// Which.
        agent_id: AgentId,
    },
}

/// The registry's state: total and deterministic under [`State::apply`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Agents that are admitted.
    pub admitted: BTreeMap<AgentId, AgentInfo>,
    /// Agents that did not answer, and since when.
    pub unreachable: BTreeMap<AgentId, UnixTime>,
}

impl State {
    /// Carries an operation out. What makes no sense (removing an unknown agent) changes nothing.
    pub fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::AdmitAgent { agent } | Operation::MarkAgentReachable { agent } => {
                if let Some(id) = &agent.id {
                    self.unreachable.remove(id);
                    self.admitted.insert(id.clone(), agent.clone());
                }
            }
            Operation::MarkAgentUnreachable { agent_id, since } => {
                if self.admitted.remove(agent_id).is_some() {
                    self.unreachable.insert(agent_id.clone(), *since);
                }
            }
            Operation::RemoveAgent { agent_id } => {
                self.admitted.remove(agent_id);
                self.unreachable.remove(agent_id);
            }
        }
    }
}

/// Where operations are made durable.
pub trait Registry: 'static {
    /// Makes an operation durable, in the order of the calls, and then calls `done` once.
    fn apply(&mut self, operation: Operation, done: Box<dyn FnOnce(Operation)>);
}

/// A registry that dies with its master.
#[derive(Debug, Default)]
pub struct InMemory {
    state: State,
}

impl Registry for InMemory {
    fn apply(&mut self, operation: Operation, done: Box<dyn FnOnce(Operation)>) {
        self.state.apply(&operation);
        done(operation);
    }
}
