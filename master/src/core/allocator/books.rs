//! Who is there and who has what: the bookkeeping of [`Hierarchical`].

use protocol::{FrameworkId, Resources, Role};

use super::FrameworkDemand;
use super::hierarchical::{Client, Framework, Hierarchical, RoleState};
use super::share::UNIT_WEIGHT;
use super::vector::Vector;

impl Hierarchical {
    /// The slot of a framework; one that is new has no demand yet.
    pub(super) fn framework(&mut self, id: &FrameworkId) -> u32 {
        if let Some(slot) = self.framework_slots.get(id) {
            return *slot;
        }
        let framework = Framework { id: id.clone(), demand: None, clients: Default::default() };
        let slot = self.frameworks.insert(framework);
        self.framework_slots.insert(id.clone(), slot);
        slot
    }

    /// The slot of a framework that was added.
    pub(super) fn known_framework(&self, id: &FrameworkId) -> Option<u32> {
        let slot = *self.framework_slots.get(id)?;
        self.frameworks[slot].demand.is_some().then_some(slot)
    }

    /// Forgets a framework that was not added, or was removed, and has nothing.
    pub(super) fn forget_framework(&mut self, slot: u32) {
        let gone = |framework: &Framework| framework.demand.is_none() && framework.clients.is_empty();
        if self.frameworks.find(slot).is_some_and(gone) {
            let framework = self.frameworks.remove(slot);
            self.framework_slots.remove(&framework.id);
        }
    }

    /// What a role weighs.
    pub(super) fn weight(&self, role: &Role) -> u64 {
        self.weights.get(role).copied().unwrap_or(UNIT_WEIGHT)
    }

    /// The slots of a role and of a framework in it.
    fn client(&mut self, framework: u32, name: &Role) -> (u32, u32) {
        let role = match self.role_slots.get(name) {
            Some(role) => *role,
            None => {
                let role = self.role_sorter.insert(name.clone(), self.weight(name));
                self.role_slots.insert(name.clone(), role);
                self.roles.insert(role, RoleState::default());
                role
            }
        };
        let state = self.roles.get_mut(&role).expect("a role of a slot");
        let Framework { id, clients, .. } = &mut self.frameworks[framework];
        let client = *clients.entry(role).or_insert_with(|| {
            let client = state.sorter.insert(id.clone(), UNIT_WEIGHT);
            state.clients.insert(client, Client { framework, ..Client::default() });
            client
        });
        (role, client)
    }

    /// Forgets a framework in a role that it is not subscribed to and has nothing for, and the role with its last.
    fn forget_client(&mut self, framework: u32, role: u32) {
        let Some(&client) = self.frameworks[framework].clients.get(&role) else { return };
        let name = self.role_sorter.name(role);
        let subscribed = |demand: &FrameworkDemand| demand.roles.contains(name);
        let state = self.roles.get_mut(&role).expect("a role of a slot");
        if self.frameworks[framework].demand.as_ref().is_some_and(subscribed)
            || !state.clients[&client].agents.is_empty()
        {
            return;
        }
        state.sorter.remove(client);
        state.gpus.remove(client);
        state.clients.remove(&client);
        self.frameworks[framework].clients.remove(&role);
        if state.clients.is_empty() {
            let name = name.clone();
            self.role_sorter.remove(role);
            self.roles.remove(&role);
            self.role_slots.remove(&name);
        }
    }

    /// Sets what a framework wants; `None`: it is gone. Filters of roles that it is not active in any more go.
    pub(super) fn set_demand(&mut self, slot: u32, demand: Option<FrameworkDemand>) {
        for role in demand.iter().flat_map(|demand| &demand.roles) {
            self.client(slot, role);
        }
        let (active, gpus) = demand.as_ref().map_or((false, false), |demand| (demand.active, demand.gpus));
        self.frameworks[slot].demand = demand;
        for (role, client) in self.frameworks[slot].clients.clone() {
            let name = self.role_sorter.name(role);
            let demand = self.frameworks[slot].demand.as_ref();
            let subscribed = active && demand.is_some_and(|demand| demand.roles.contains(name));
            let wanted = subscribed && demand.is_some_and(|demand| !demand.suppressed.contains(name));
            let state = self.roles.get_mut(&role).expect("a role of a slot");
            let more_gpus = gpus && !state.gpus.contains(client);
            match gpus {
                true => state.gpus.insert(client),
                false => state.gpus.remove(client),
            }
            let changed = state.sorter.set_active(client, wanted);
            self.wake_parked |= wanted && (changed || more_gpus);
            let any = state.sorter.any_active();
            self.role_sorter.set_active(role, any);
            if !subscribed {
                self.drop_client_filters(slot, role);
            }
            self.forget_client(slot, role);
        }
    }

    /// A framework has this of an agent for a role, in place of what it had.
    pub(super) fn set_allocation(&mut self, agent: u32, framework: u32, name: &Role, resources: Resources) {
        let (role, client) = self.client(framework, name);
        let after = self.names.vector(&resources);
        let has = !resources.is_empty();
        let held = self.agents[agent].allocation(framework, role);
        let before = held.map_or_else(Vector::default, |held| self.names.vector(held));
        self.agents[agent].set_allocation(framework, role, resources, &self.names);
        if has {
            let state = self.roles.get_mut(&role).expect("a role of a slot");
            state.sorter.add(client, &after);
            self.role_sorter.add(role, &after);
            state.clients.get_mut(&client).expect("a client of a slot").agents.insert(agent);
        }
        self.let_go(agent, framework, role, &before, has);
        self.wake(agent);
    }

    /// A framework gives back some of what it has, as far as it has it.
    pub(super) fn give_back(&mut self, agent: u32, framework: u32, name: &Role, resources: &Resources) {
        let Some(&role) = self.role_slots.get(name) else { return };
        if let Some((vector, left)) = self.agents[agent].give_back(framework, role, resources, &self.names) {
            self.let_go(agent, framework, role, &vector, left);
            self.wake(agent);
        } else if let Some(held) = self.agents[agent].allocation(framework, role) {
            let mut left = held.clone();
            left -= resources;
            self.set_allocation(agent, framework, name, left);
        }
    }

    /// A framework has this much less for a role, and perhaps nothing more of an agent.
    pub(super) fn let_go(&mut self, agent: u32, framework: u32, role: u32, vector: &Vector, left: bool) {
        let client = self.frameworks[framework].clients[&role];
        let state = self.roles.get_mut(&role).expect("a role of a slot");
        state.sorter.subtract(client, vector);
        self.role_sorter.subtract(role, vector);
        if !left {
            state.clients.get_mut(&client).expect("a client of a slot").agents.remove(&agent);
            self.forget_client(framework, role);
        }
    }
}
