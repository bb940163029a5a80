//! What operators want of agents: that they get no offers, whichever master leads and however often they come and go.
//! Source of the sentences: Mesos 1.11, `src/master/http.cpp`.

use protocol::AgentId;
use protocol::messages::AgentEvent;

use super::input::{Answer, Ask, Change, Refusal};
use super::{Master, Turn, limits};
use crate::registry::{Operation, Wish};

impl Master {
    /// An operator wants no offers of an agent.
    pub(super) fn deactivate_agent(&mut self, turn: &mut Turn<'_>, ask: Ask, agent_id: AgentId) {
        let refusal = if self.is_remembered(&agent_id) { None } else { Some("Unknown agent") };
        self.ask_for_wish(turn, ask, refusal, Operation::DeactivateAgent { agent_id });
    }

    /// An operator wants them again. One that is being emptied stays as it is until it is empty.
    pub(super) fn reactivate_agent(&mut self, turn: &mut Turn<'_>, ask: Ask, agent_id: AgentId) {
        let wish = self.wishes.get(&agent_id);
        let draining = |wish: &Wish| wish.drain.as_ref().is_some_and(|drain| !drain.drained);
        let refusal = match wish {
            Some(wish) if draining(wish) => Some("Agent is still in the DRAINING state"),
            Some(wish) if wish.deactivated => None,
            Some(_) | None => Some("Agent is not deactivated"),
        };
        self.ask_for_wish(turn, ask, refusal, Operation::ReactivateAgent { agent_id });
    }

    pub(super) fn ask_for_wish(
        &mut self,
        turn: &mut Turn<'_>,
        ask: Ask,
        refusal: Option<&str>,
        operation: Operation,
    ) {
        let answer = match refusal {
            Some(reason) => Answer::Refused(Refusal::Invalid, reason.to_owned()),
            None if self.wishing.len() >= limits::MAX_OPERATOR_REQUESTS => {
                Answer::Refused(Refusal::Unavailable, super::operator::TOO_MANY.to_owned())
            }
            None => {
                self.wishing.push_back(ask);
                return turn.apply(operation);
            }
        };
        turn.answer(ask, answer);
    }

    /// Whether the registry keeps wishes for an agent: it is there, or may come back.
    pub(super) fn is_remembered(&self, id: &AgentId) -> bool {
        self.agents.contains_key(id)
            || self.recovered.contains_key(id)
            || self.unreachable.contains_key(id)
            || self.reregistering.contains_key(id)
    }

    /// The registry knows what an operator wants of an agent.
    pub(super) fn wished(&mut self, turn: &mut Turn<'_>, id: &AgentId, change: impl FnOnce(&mut Wish)) {
        let known = self.is_remembered(id);
        if known {
            let before = self.wishes.remove(id).unwrap_or_default();
            let mut wish = before.clone();
            change(&mut wish);
            if wish.drain.is_none() && before.drain.is_some() {
                self.tell_agent(turn, id, AgentEvent::Reactivate);
            }
            let drain = wish.drain.is_some() && wish.drain != before.drain;
            if wish != Wish::default() {
                self.wishes.insert(id.clone(), wish);
            }
            self.carry_wish_out(turn, id);
            if drain {
                self.tell_drain(turn, id);
            }
            self.look_whether_empty(id);
        }
        if let Some(ask) = self.wishing.pop_front() {
            let removed = || "Agent removed while processing the call".to_owned();
            let answer = if known { Answer::Done } else { Answer::Refused(Refusal::Conflict, removed()) };
            turn.answer(ask, answer);
        }
    }

    /// Has a registered agent be offered, or not, as it is wanted.
    pub(super) fn carry_wish_out(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let wish = self.wishes.get(id).cloned().unwrap_or_default();
        let Some(agent) = self.agents.get_mut(id) else { return };
        let drain = agent.set_drain(wish.drain, turn.now);
        let offered = agent.deactivated != wish.deactivated;
        if !drain && !offered {
            return;
        }
        agent.deactivated = wish.deactivated;
        let active = agent.active();
        turn.changed(Change::AgentUpdated(id.clone()));
        if !offered {
            return;
        }
        tracing::info!(agent_id = %id, deactivated = wish.deactivated, "an operator has the agent offered or not");
        self.allocator.set_agent_active(id, active);
        if active {
            self.allocate_soon(turn.now);
        } else {
            self.rescind_offers_of_agent(turn, id);
        }
    }

    /// An agent will not come back under its id.
    pub(super) fn forget_wish(&mut self, id: &AgentId) {
        self.wishes.remove(id);
    }
}
