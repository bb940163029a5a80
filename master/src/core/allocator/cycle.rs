//! One allocation cycle of [`Hierarchical`].

use libactor::Time;
use protocol::{Resources, Role};

use super::Grant;
use super::agent::Agent;
use super::hierarchical::{Hierarchical, RoleState};

impl Hierarchical {
    /// Looks at every candidate in random order, and grants what it has to whose turn it is.
    pub(super) fn cycle(&mut self, now: Time) -> Vec<Grant> {
        self.expire(now);
        if std::mem::take(&mut self.wake_parked) {
            self.candidates.append(&mut self.parked);
        }
        let mut candidates: Vec<u32> = std::mem::take(&mut self.candidates).into_iter().collect();
        self.random.shuffle(&mut candidates);
        let mut grants = Vec::with_capacity(candidates.len());
        for agent in candidates {
            self.offer_agent(agent, &mut grants);
        }
        grants
    }

    /// Drops filters that have ended.
    fn expire(&mut self, now: Time) {
        while let Some(due) = self.expiries.pop(now) {
            for expiry in due {
                let Some(agent) = self.agents.find(expiry.agent) else { continue };
                if !agent.filters.any(expiry.role) {
                    continue;
                }
                let none_left =
                    self.agents[expiry.agent].filters.remove(expiry.role, expiry.client, Some(now));
                let clients = self.roles.get_mut(&expiry.role).map(|role| &mut role.clients);
                if let Some(client) = clients.and_then(|clients| clients.get_mut(&expiry.client))
                    && none_left
                {
                    client.filtered.remove(&expiry.agent);
                }
                self.wake(expiry.agent);
            }
        }
    }

    /// Grants what an agent has. What is left, nobody may have: the agent is parked.
    fn offer_agent(&mut self, slot: u32, grants: &mut Vec<Grant>) {
        let agent = &self.agents[slot];
        // Without reservations, what is allocatable to one role is so to all.
        if agent.reserved || self.config.is_whole_allocatable(&agent.free) {
            self.offer_to_roles(slot, grants);
        }
        if !self.agents[slot].free.is_empty() {
            self.parked.insert(slot);
        }
    }

    /// Goes through the roles in their order, until nothing is left or all were asked.
    fn offer_to_roles(&mut self, slot: u32, grants: &mut Vec<Grant>) {
        let mut place = 0;
        loop {
            self.role_sorter.sort(&self.totals);
            let Some(role) = self.role_sorter.at(place) else { return };
            let Some(client) = self.taker(slot, role) else {
                place += 1;
                continue;
            };
            // The roles before this one could not take more than there was, so they cannot take what is left; this
            // one moves back, and the next one is in its place.
            grants.push(self.grant(slot, role, client));
            if self.agents[slot].free.is_empty() {
                return;
            }
        }
    }

    /// Who of a role is next and may have what is free of an agent.
    fn taker(&mut self, slot: u32, role: u32) -> Option<u32> {
        let agent = &self.agents[slot];
        let name = self.role_sorter.name(role);
        if agent.reserved && !self.is_allocatable(agent, name) {
            return None;
        }
        let state = self.roles.get_mut(&role).expect("a role of a slot");
        state.sorter.sort(&self.totals);
        state.pick(role, name, agent, self.config.filter_gpu_resources)
    }

    /// Whether there is enough for a role to be worth an offer.
    pub(super) fn is_allocatable(&self, agent: &Agent, role: &Role) -> bool {
        self.config.is_allocatable(agent.free.iter().filter(|resource| resource.allocatable_to(role)))
    }

    fn grant(&mut self, slot: u32, role: u32, client: u32) -> Grant {
        let state = self.roles.get_mut(&role).expect("a role of a slot");
        let holder = state.clients.get_mut(&client).expect("a client of a slot");
        let agent = &mut self.agents[slot];
        let name = self.role_sorter.name(role).clone();
        let (resources, vector): (Resources, _) = agent.take(holder.framework, role, &name, &self.names);
        holder.agents.insert(slot);
        state.sorter.grant(client, &vector, &self.totals);
        self.role_sorter.grant(role, &vector, &self.totals);
        Grant {
            framework_id: state.sorter.name(client).clone(),
            role: name,
            agent_id: agent.id.clone(),
            resources,
        }
    }
}

impl RoleState {
    /// The first framework that may have what is free of an agent. Does not look at how much that is.
    pub(super) fn pick(&self, role: u32, name: &Role, agent: &Agent, filter_gpus: bool) -> Option<u32> {
        let among = (filter_gpus && agent.gpus).then_some(&self.gpus);
        if !agent.filters.any(role) {
            return self.sorter.pick(among, &[]);
        }
        self.sorter.pick(among, &agent.filters.blocked(role, &agent.offerable(name)))
    }
}
