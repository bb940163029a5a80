//! What was acknowledged is in the registry of every later leader, unless an operation has taken it away.
//!
//! An operation counts from when it is proposed: whether it came to be is the next registry's to say.

use std::collections::{BTreeMap, BTreeSet};

use libactor::Time;
use libactor::sim::Seen;
use master::core::{Answer, OperatorRequest};
use master::registry::{Drain, Operation, State};
use protocol::messages::{AgentEvent, Event};
use protocol::{AgentId, FrameworkId, Role};

use super::Invariant;
use crate::sim::Message;
use crate::sim::message::Group;

/// What masters have acknowledged.
#[derive(Debug, Default)]
pub struct Kept {
    agents: BTreeSet<AgentId>,
    gone: BTreeSet<AgentId>,
    frameworks: BTreeSet<FrameworkId>,
    removed: BTreeSet<FrameworkId>,
    deactivated: BTreeMap<AgentId, bool>,
    drains: BTreeMap<AgentId, Drain>,
    weights: BTreeMap<Role, Weight>,
}

#[derive(Debug, Default)]
struct Weight {
    acknowledged: Option<u64>,
    /// Proposed since then.
    proposed: Vec<u64>,
}

impl Invariant for Kept {
    fn seen(&mut self, _now: Time, seen: &Seen<'_, Message>) {
        let Seen::Sent { message, .. } = seen else { return };
        match message {
            Message::AgentEvent(
                AgentEvent::Registered { agent_id, .. } | AgentEvent::Reregistered { agent_id, .. },
            ) => {
                self.agents.insert(agent_id.clone());
            }
            Message::Operated { request, answer: Answer::Done | Answer::Accepted } => self.operated(request),
            Message::Group(Group::Propose { operations, .. }) => {
                operations.iter().for_each(|operation| self.proposed(operation));
            }
            Message::Group(Group::Lead { state, .. }) => self.begins(state),
            message => {
                if let Some(Event::Subscribed { framework_id, .. }) = message.event() {
                    self.frameworks.insert(framework_id.clone());
                }
            }
        }
    }
}

impl Kept {
    fn operated(&mut self, request: &OperatorRequest) {
        match request {
            OperatorRequest::UpdateWeights { weights } => {
                for (role, set) in weights {
                    let weight = self.weights.entry(role.clone()).or_default();
                    weight.acknowledged = Some(*set);
                    if let Some(place) = weight.proposed.iter().position(|proposed| proposed == set) {
                        weight.proposed.drain(..=place);
                    }
                }
            }
            OperatorRequest::MarkAgentGone { agent_id } => {
                self.agents.remove(agent_id);
                self.gone.insert(agent_id.clone());
            }
            OperatorRequest::DeactivateAgent { agent_id } => self.wished(agent_id, true),
            OperatorRequest::ReactivateAgent { agent_id } => self.wished(agent_id, false),
            OperatorRequest::DrainAgent { agent_id, drain } => {
                self.wished(agent_id, true);
                self.drains.insert(agent_id.clone(), drain.clone());
            }
            OperatorRequest::Teardown { .. }
            | OperatorRequest::UpdateSchedule { .. }
            | OperatorRequest::StartMaintenance { .. }
            | OperatorRequest::StopMaintenance { .. } => {}
        }
    }

    /// An agent is to get offers or not: known until it is wished otherwise.
    fn wished(&mut self, agent_id: &AgentId, deactivated: bool) {
        self.deactivated.insert(agent_id.clone(), deactivated);
    }

    fn proposed(&mut self, operation: &Operation) {
        match operation {
            Operation::DeactivateAgent { agent_id } => drop(self.deactivated.remove(agent_id)),
            Operation::ReactivateAgent { agent_id } | Operation::DrainAgent { agent_id, .. } => {
                self.deactivated.remove(agent_id);
                self.drains.remove(agent_id);
            }
            Operation::RemoveAgent { agent_id } | Operation::MarkAgentGone { agent_id, .. } => {
                self.agents.remove(agent_id);
            }
            Operation::Prune { unreachable, gone } => {
                self.agents.retain(|id| !unreachable.contains(id));
                self.gone.retain(|id| !gone.contains(id));
            }
            Operation::RemoveFramework { framework_id, .. } => {
                self.frameworks.remove(framework_id);
            }
            Operation::UpdateWeights { weights } => {
                for (role, set) in weights {
                    self.weights.entry(role.clone()).or_default().proposed.push(*set);
                }
            }
            _ => {}
        }
    }

    /// A lead begins with this.
    fn begins(&mut self, state: &State) {
        for id in &self.agents {
            let known = state.admitted.contains_key(id) || state.unreachable.contains_key(id);
            assert!(known, "agent {id} was acknowledged and is not in the registry");
        }
        let wish = |id: &AgentId| {
            let admitted = state.admitted.get(id).map(|agent| &agent.wish);
            admitted.or_else(|| state.unreachable.get(id).map(|agent| &agent.wish))
        };
        for (id, drain) in &self.drains {
            let kept = wish(id).map(|wish| wish.drain.clone().map(|kept| Drain { drained: false, ..kept }));
            let agrees = kept.as_ref().is_none_or(|kept| kept.as_ref() == Some(drain));
            assert!(agrees, "agent {id} is to be drained as {drain:?}, and the registry has {kept:?}");
        }
        for (id, deactivated) in &self.deactivated {
            if let Some(wish) = wish(id) {
                let agrees = wish.deactivated == *deactivated;
                assert!(
                    agrees,
                    "agent {id} is to be deactivated ({deactivated}), and the registry has {wish:?}"
                );
            }
        }
        for id in &self.gone {
            assert!(state.gone.contains_key(id), "agent {id} is gone, and not in the registry");
        }
        for id in self.frameworks.iter() {
            assert!(
                state.frameworks.contains_key(id),
                "framework {id} was acknowledged and is not in the registry"
            );
        }
        for id in &self.removed {
            assert!(
                state.removed_frameworks.contains_key(id),
                "framework {id} was over and is not in the registry"
            );
        }
        self.removed.extend(state.removed_frameworks.keys().cloned());
        for (role, weight) in &mut self.weights {
            let set = state.weights.get(role).copied();
            let may = set == weight.acknowledged || set.is_some_and(|set| weight.proposed.contains(&set));
            assert!(may, "the weight of {role} is {set:?}, and was acknowledged as {weight:?}");
            *weight = Weight { acknowledged: set, proposed: Vec::new() };
        }
    }
}
