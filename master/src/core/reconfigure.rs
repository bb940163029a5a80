//! Agents that are others than they were: with other resources, attributes, ports, also with another host name or address
//! where their link was broken. One that comes back so is in [`reregister`](super::reregister), one that stays here.
//!
//! An agent may have less than what runs on it: a device has fallen ill, or a task was under way to it when it said so. What
//! runs there is the agent's to end; here it counts as used until it has ended. So the books are those of the larger of the
//! two, total and used, and nothing of it is offered: what is free is the total less what is used, and never less than
//! nothing. Offers that no longer fit are rescinded, filters on the agent are dropped.

use std::sync::Arc;

use protocol::{AgentId, AgentInfo, Resources};

use super::input::Change;
use super::{Master, Turn, validate};
use crate::registry::Operation;

impl Master {
    /// What an agent offers has changed while it is registered. Nothing waits for the registry: a master that begins with
    /// the older total is told the new one by the agent.
    pub(super) fn update_resources(&mut self, turn: &mut Turn<'_>, id: &AgentId, total: Resources) {
        self.counters.count("messages_update_slave");
        let Some(agent) = self.agents.get_mut(id) else { return };
        if agent.info.resources == total {
            return;
        }
        let info = AgentInfo { resources: total, ..(*agent.info).clone() };
        if let Err(reason) = validate::agent(&info) {
            tracing::warn!(agent_id = %id, reason, "what the agent says of its resources is ignored");
            return self.counters.count("invalid_agent_calls");
        }
        let info = Arc::new(info);
        tracing::info!(agent_id = %id, resources = %info.resources, "the agent has other resources");
        agent.info = info.clone();
        self.allocator.update_agent(id, info.resources.clone());
        turn.apply(Operation::UpdateAgent { agent: info });
        turn.changed(Change::AgentUpdated(id.clone()));
        self.rescind_what_does_not_fit(turn, id);
        self.allocate_soon(turn.now);
    }

    /// Offers stay as far as what is not used goes.
    fn rescind_what_does_not_fit(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        let mut free = agent.info.resources.clone() - agent.used.clone();
        for offer_id in agent.offers.clone() {
            let Some(offer) = self.offers.get(&offer_id) else { continue };
            if free.contains(&offer.resources) {
                free -= &offer.resources;
            } else {
                self.rescind(turn, &offer_id);
            }
        }
    }
}
