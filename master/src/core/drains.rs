//! Agents that are to be emptied.
//!
//! ```text
//!   DRAIN_AGENT ── Applied(DrainAgent) ──► DRAINING: no offers; the agent is told, and again whenever it registers
//!                                             │ it is there, and nothing of it is left: the end of each task acknowledged
//!                                             ▼
//!                  Applied(MarkAgentDrained)  DRAINED ── asked to be marked gone ──► gone
//!                                             │
//!   REACTIVATE_AGENT ── Applied(ReactivateAgent) ──► offered as ever; the agent is told
//! ```
//! What is wanted is the registry's: it stands whichever master leads, and while the agent is away. An agent that is away is
//! never found empty: what its frameworks were told to be lost may run on there. Source: Mesos 1.11, `src/master`.

use libactor::Time;
use protocol::AgentId;
use protocol::messages::AgentEvent;

use super::agents::Agent;
use super::input::{Ask, Change};
use super::{Master, Turn};
use crate::registry::{Drain, Operation};

/// How an agent is emptied, as this master knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draining {
    /// How, and how far it is.
    pub drain: Drain,
    /// Since when, as far as this master knows: from its own time on.
    pub since: Time,
}

impl Agent {
    /// Whether it is being emptied, and is not empty as far as the registry knows.
    pub(super) fn drains(&self) -> bool {
        self.draining.as_ref().is_some_and(|draining| !draining.drain.drained)
    }

    /// Whether nothing is left of what it ran.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.orphans.is_empty()
    }

    /// Is emptied like this from now on, or not any more. Says whether that is news.
    pub(super) fn set_drain(&mut self, drain: Option<Drain>, now: Time) -> bool {
        let since = self.draining.as_ref().map_or(now, |draining| draining.since);
        let draining = drain.map(|drain| Draining { drain, since });
        let news = self.draining != draining;
        self.draining = draining;
        news
    }
}

impl Master {
    /// An operator wants an agent emptied.
    pub(super) fn drain_agent(&mut self, turn: &mut Turn<'_>, ask: Ask, agent_id: AgentId, drain: Drain) {
        let refusal = if self.is_remembered(&agent_id) { None } else { Some("Unknown agent") };
        self.ask_for_wish(turn, ask, refusal, Operation::DrainAgent { agent_id, drain });
    }

    /// Tells an agent that is there that it is to be emptied, if it is.
    pub(super) fn tell_drain(&self, turn: &mut Turn<'_>, id: &AgentId) {
        let draining = self.agents.get(id).and_then(|agent| agent.draining.as_ref());
        if let Some(Draining { drain, .. }) = draining {
            self.tell_agent(turn, id, AgentEvent::Drain { max_grace_period: drain.max_grace_period });
        }
    }

    /// Something of an agent has ended, or somebody wants it otherwise: it may be empty.
    pub(super) fn look_whether_empty(&mut self, id: &AgentId) {
        if self.wishes.get(id).is_some_and(|wish| wish.drain.is_some()) {
            self.maybe_empty.insert(id.clone());
        }
    }

    /// At the end of a turn: those that have become empty in it.
    pub(super) fn end_drains(&mut self, turn: &mut Turn<'_>) {
        while let Some(id) = self.maybe_empty.pop_first() {
            let Some(drain) = self.wishes.get(&id).and_then(|wish| wish.drain.as_ref()) else { continue };
            if drain.drained && drain.mark_gone {
                self.begin_gone(turn, &id, None);
            } else if !drain.drained && self.is_found_empty(&id) && self.marking_drained.insert(id.clone()) {
                tracing::info!(agent_id = %id, "nothing is left on the agent that is drained");
                turn.apply(Operation::MarkAgentDrained { agent_id: id });
            }
        }
    }

    /// Whether an agent is there and nothing is left on it.
    pub(super) fn is_found_empty(&self, id: &AgentId) -> bool {
        let agent = self.agents.get(id);
        agent.is_some_and(|agent| agent.connected && agent.leaving.is_none() && agent.is_empty())
    }

    /// The registry knows that an agent is empty.
    pub(super) fn agent_drained(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        self.marking_drained.remove(id);
        let Some(drain) = self.wishes.get_mut(id).and_then(|wish| wish.drain.as_mut()) else { return };
        drain.drained = true;
        let drain = drain.clone();
        tracing::info!(agent_id = %id, "the agent is drained");
        if self.agents.get_mut(id).is_some_and(|agent| agent.set_drain(Some(drain), turn.now)) {
            turn.changed(Change::AgentUpdated(id.clone()));
        }
        self.look_whether_empty(id);
    }
}
