//! What operators ask for. Source of the sentences: Mesos.

use std::collections::BTreeMap;

use protocol::messages::Event;
use protocol::{FrameworkId, Role};

use super::input::{Answer, Ask, Change, OperatorRequest, Refusal};
use super::{Master, Turn, limits};
use crate::registry::Operation;

/// The answer where the registry does not keep up.
pub(super) const TOO_MANY: &str = "Too many requests wait for the registry: try again later";

impl Master {
    /// An operator asks for a change.
    pub(super) fn operator(&mut self, turn: &mut Turn<'_>, ask: Ask, request: OperatorRequest) {
        match request {
            OperatorRequest::Teardown { framework_id } => {
                self.teardown_by_operator(turn, ask, &framework_id);
            }
            OperatorRequest::MarkAgentGone { agent_id } => self.mark_agent_gone(turn, ask, agent_id),
            OperatorRequest::DrainAgent { agent_id, drain } => self.drain_agent(turn, ask, agent_id, drain),
            OperatorRequest::DeactivateAgent { agent_id } => self.deactivate_agent(turn, ask, agent_id),
            OperatorRequest::ReactivateAgent { agent_id } => self.reactivate_agent(turn, ask, agent_id),
            OperatorRequest::UpdateSchedule { windows } => self.update_schedule(turn, ask, windows),
            OperatorRequest::StartMaintenance { machines } => self.start_maintenance(turn, ask, machines),
            OperatorRequest::StopMaintenance { machines } => self.stop_maintenance(turn, ask, machines),
            OperatorRequest::UpdateWeights { weights } => self.update_weights(turn, ask, weights),
        }
    }

    fn teardown_by_operator(&mut self, turn: &mut Turn<'_>, ask: Ask, id: &FrameworkId) {
        if !self.frameworks.contains_key(id) && !self.subscribing.contains_key(id) {
            let unknown = "No framework found with specified ID".to_owned();
            return turn.answer(ask, Answer::Refused(Refusal::Invalid, unknown));
        }
        if self.tearing_down.len() >= limits::MAX_OPERATOR_REQUESTS {
            return turn.answer(ask, Answer::Refused(Refusal::Unavailable, TOO_MANY.to_owned()));
        }
        // The end of its stream tells one on HTTP; an actor would not know.
        if let Some(framework) = self.frameworks.get_mut(id)
            && framework.pid.as_ref().is_some_and(|pid| pid.stream_id().is_none())
        {
            framework.tell(turn, Event::Error("Framework has been removed".to_owned()));
        }
        self.tearing_down.insert(id.clone(), ask);
        self.remove_framework(turn, id);
    }

    /// The registry knows that a framework is over.
    pub(super) fn framework_removed(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        if let Some(ask) = self.tearing_down.remove(id) {
            turn.answer(ask, Answer::Done);
        }
    }

    fn update_weights(&mut self, turn: &mut Turn<'_>, ask: Ask, weights: BTreeMap<Role, u64>) {
        let new = weights.keys().filter(|role| !self.weights.contains_key(role)).count();
        let answer = if let Err(reason) = may_weigh(&weights) {
            let reason = format!("Failed to validate update weights request JSON{reason}");
            Answer::Refused(Refusal::Invalid, reason)
        } else if self.weights.len() + new > limits::MAX_WEIGHTS {
            let reason = format!("The weights of at most {} roles can be set", limits::MAX_WEIGHTS);
            Answer::Refused(Refusal::Invalid, reason)
        } else if self.updating_weights.len() >= limits::MAX_OPERATOR_REQUESTS {
            Answer::Refused(Refusal::Unavailable, TOO_MANY.to_owned())
        } else {
            self.updating_weights.push_back(ask);
            return turn.apply(Operation::UpdateWeights { weights });
        };
        turn.answer(ask, answer);
    }

    /// The registry holds weights. Where they concern anybody, all offers are taken back, so that the next ones are by
    /// the new weights.
    pub(super) fn weights_updated(&mut self, turn: &mut Turn<'_>, weights: BTreeMap<Role, u64>) {
        let concerned = self
            .frameworks
            .values()
            .any(|framework| framework.info.roles.iter().any(|role| weights.contains_key(role)));
        self.weights.extend(weights);
        self.allocator.set_weights(&self.weights);
        turn.changed(Change::Weights);
        if concerned {
            let offers: Vec<_> = self.offers.keys().cloned().collect();
            for offer_id in offers {
                self.rescind(turn, &offer_id);
            }
        }
        if let Some(ask) = self.updating_weights.pop_front() {
            turn.answer(ask, Answer::Done);
        }
    }
}

/// Whether these are weights of roles. The edge has read them: what is not a number is refused there.
fn may_weigh(weights: &BTreeMap<Role, u64>) -> Result<(), String> {
    for (role, weight) in weights {
        protocol::validate::role(role).map_err(|why| format!(": Invalid role '{role}': {why}"))?;
        if *weight == 0 {
            return Err(format!(" for role '{role}': Invalid weight '0': Weights must be positive"));
        }
    }
    Ok(())
}
