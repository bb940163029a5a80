//! What every replica of the master holds. In memory for now, behind a trait; replication comes with Raft.

use std::collections::BTreeMap;

use protocol::{AgentId, AgentInfo, Role, UnixTime};

use crate::core::limits::{MAX_GONE_AGENTS, MAX_UNREACHABLE_AGENTS};

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
    /// It is gone by an operator's word: whatever comes under this id is refused.
    MarkAgentGone {
        /// Which.
        agent_id: AgentId,
        /// Since when.
        since: UnixTime,
    },
    /// Sets weights of roles, in thousandths; others stay as they are.
    UpdateWeights {
        /// By role.
        weights: BTreeMap<Role, u64>,
    },
}

/// The registry's state: total and deterministic under [`State::apply`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Agents that are admitted.
    pub admitted: BTreeMap<AgentId, AgentInfo>,
    /// Agents that did not answer, and since when. Past [`MAX_UNREACHABLE_AGENTS`] the oldest is forgotten.
    pub unreachable: BTreeMap<AgentId, UnixTime>,
    /// Agents that are gone by an operator's word, and since when. Past [`MAX_GONE_AGENTS`] the oldest is forgotten.
    pub gone: BTreeMap<AgentId, UnixTime>,
    /// Weights of roles that were set, in thousandths.
    pub weights: BTreeMap<Role, u64>,
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
                    forget_oldest(&mut self.unreachable, MAX_UNREACHABLE_AGENTS);
                }
            }
            Operation::RemoveAgent { agent_id } => {
                self.admitted.remove(agent_id);
                self.unreachable.remove(agent_id);
            }
            Operation::MarkAgentGone { agent_id, since } => {
                self.admitted.remove(agent_id);
                self.unreachable.remove(agent_id);
                self.gone.insert(agent_id.clone(), *since);
                forget_oldest(&mut self.gone, MAX_GONE_AGENTS);
            }
            Operation::UpdateWeights { weights } => {
                self.weights.extend(weights.iter().map(|(role, weight)| (role.clone(), *weight)));
            }
        }
    }
}

fn forget_oldest(agents: &mut BTreeMap<AgentId, UnixTime>, most: usize) {
    if agents.len() > most {
        let oldest = agents.iter().min_by_key(|(id, since)| (**since, *id));
        if let Some(id) = oldest.map(|(id, _)| id.clone()) {
            agents.remove(&id);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_too_many_unreachable_agents_is_forgotten() {
        let mut state = State::default();
        let agent = |number: usize| AgentInfo {
            hostname: String::new(),
            port: 1,
            resources: Default::default(),
            attributes: Default::default(),
            id: Some(AgentId::from(format!("S{number}"))),
        };
        for number in 0..=MAX_UNREACHABLE_AGENTS {
            // The one in the middle is the oldest.
            let since = UnixTime(if number == 500 { 1 } else { 2 });
            state.apply(&Operation::AdmitAgent { agent: agent(number) });
            let agent_id = AgentId::from(format!("S{number}"));
            state.apply(&Operation::MarkAgentUnreachable { agent_id, since });
        }
        assert_eq!((state.admitted.len(), state.unreachable.len()), (0, MAX_UNREACHABLE_AGENTS));
        assert!(!state.unreachable.contains_key(&AgentId::from("S500")));
    }

    #[test]
    fn what_operators_ask_for_is_kept() {
        let mut state = State::default();
        let info = AgentInfo {
            hostname: String::new(),
            port: 1,
            resources: Default::default(),
            attributes: Default::default(),
            id: Some("S0".into()),
        };
        state.apply(&Operation::AdmitAgent { agent: info });
        state.apply(&Operation::MarkAgentGone { agent_id: "S0".into(), since: UnixTime(7) });
        assert!(state.admitted.is_empty());
        assert_eq!(state.gone, BTreeMap::from([("S0".into(), UnixTime(7))]));
        let weights = |list: &[(&str, u64)]| {
            list.iter().map(|(role, weight)| (Role::from(*role), *weight)).collect::<BTreeMap<_, _>>()
        };
        state.apply(&Operation::UpdateWeights { weights: weights(&[("a", 2500), ("b", 1)]) });
        state.apply(&Operation::UpdateWeights { weights: weights(&[("b", 2)]) });
        assert_eq!(state.weights, weights(&[("a", 2500), ("b", 2)]));
        // The next master begins with them.
        let allocator = crate::core::allocator::Hierarchical::new(Default::default(), 1);
        let config = crate::core::MasterConfig { weights: weights(&[("c", 3)]), ..Default::default() };
        let mut master = crate::core::Master::new(config, 1, Default::default(), Box::new(allocator));
        assert_eq!(*master.weights(), weights(&[("c", 3)]), "by the flag");
        master.recover(Default::default(), &state);
        assert_eq!(*master.weights(), state.weights);
        assert_eq!(master.gone_agents().count(), 1);
    }
}
