//! The allocator of Mesos: weighted dominant resource fairness over roles, then over the frameworks of a role.
//!
//! The framework whose turn it is is granted all that is free of an agent and may go to its role; what is reserved
//! goes only to the role it is reserved for and to roles below it. Source: Mesos, `HierarchicalDRF`.
//!
//! Names are turned into small numbers at the door. An agent waits in one of two sets: *candidates* may have
//! something for somebody; *parked* ones have something free that nobody may have, and stay there until they
//! change or until anybody may have more than before. An agent in neither has nothing free, or is not active.
//! So a cycle looks only at candidates, and where there are none it does nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libactor::{Random, Time};
use protocol::{AgentId, FrameworkId, Resources, Role};

use super::agent::Agent;
use super::bits::Bits;
use super::config::{AllocatorConfig, MAX_REFUSE};
use super::filters::{Expiries, Expiry};
use super::slots::Slots;
use super::sorter::Sorter;
use super::vector::{Names, Totals};
use super::{Allocator, FrameworkDemand, Grant, Withheld};

/// Weighted fair sharing over roles and frameworks.
#[derive(Debug)]
pub struct Hierarchical {
    pub(super) config: AllocatorConfig,
    pub(super) random: Random,
    pub(super) names: Names,
    pub(super) totals: Totals,
    pub(super) weights: BTreeMap<Role, u64>,
    pub(super) agents: Slots<Agent>,
    pub(super) agent_slots: BTreeMap<AgentId, u32>,
    pub(super) frameworks: Slots<Framework>,
    pub(super) framework_slots: BTreeMap<FrameworkId, u32>,
    /// By the slots of [`Hierarchical::role_sorter`].
    pub(super) roles: BTreeMap<u32, RoleState>,
    pub(super) role_slots: BTreeMap<Role, u32>,
    pub(super) role_sorter: Sorter<Role>,
    pub(super) expiries: Expiries,
    /// How many expiries there may be before those of filters that are gone are cleared away.
    pub(super) expiries_bound: usize,
    pub(super) candidates: BTreeSet<u32>,
    pub(super) parked: BTreeSet<u32>,
    /// Whether somebody may have more than before, so that parked agents are candidates again.
    pub(super) wake_parked: bool,
}

/// A framework that was added, or that an agent named.
#[derive(Debug)]
pub(super) struct Framework {
    pub(super) id: FrameworkId,
    /// Absent until it is added.
    pub(super) demand: Option<FrameworkDemand>,
    /// Its slot in the sorter of each role that it is subscribed to or has something for.
    pub(super) clients: BTreeMap<u32, u32>,
}

/// A role that somebody is subscribed to or has something for.
#[derive(Debug, Default)]
pub(super) struct RoleState {
    pub(super) sorter: Sorter<FrameworkId>,
    /// By the slots of the sorter.
    pub(super) clients: BTreeMap<u32, Client>,
    /// Those who may have agents with GPUs.
    pub(super) gpus: Bits,
}

/// A framework in a role.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) framework: u32,
    /// Where it has something.
    pub(super) agents: BTreeSet<u32>,
    /// Where it has filters.
    pub(super) filtered: BTreeSet<u32>,
}

impl Hierarchical {
    /// An allocator without frameworks and agents. The same seed and the same calls give the same grants.
    pub fn new(config: AllocatorConfig, seed: u64) -> Self {
        Self {
            names: Names::new(config.fair_sharing_excluded_resource_names.clone()),
            config,
            random: Random::new(seed),
            totals: Totals::default(),
            weights: BTreeMap::new(),
            agents: Slots::default(),
            agent_slots: BTreeMap::new(),
            frameworks: Slots::default(),
            framework_slots: BTreeMap::new(),
            roles: BTreeMap::new(),
            role_slots: BTreeMap::new(),
            role_sorter: Sorter::default(),
            expiries: Expiries::default(),
            expiries_bound: 0,
            candidates: BTreeSet::new(),
            parked: BTreeSet::new(),
            wake_parked: false,
        }
    }
}

impl Allocator for Hierarchical {
    fn add_framework(
        &mut self,
        framework_id: &FrameworkId,
        demand: FrameworkDemand,
        used: &BTreeMap<(AgentId, Role), Resources>,
    ) {
        let framework = self.framework(framework_id);
        for ((agent_id, role), resources) in used {
            if let Some(&agent) = self.agent_slots.get(agent_id) {
                self.names.learn(resources);
                self.set_allocation(agent, framework, role, resources.clone());
            }
        }
        self.set_demand(framework, Some(demand));
    }

    fn update_framework(&mut self, framework_id: &FrameworkId, demand: FrameworkDemand) {
        if let Some(framework) = self.known_framework(framework_id) {
            self.set_demand(framework, Some(demand));
        }
    }

    fn remove_framework(&mut self, framework_id: &FrameworkId) {
        let Some(&framework) = self.framework_slots.get(framework_id) else { return };
        self.set_demand(framework, None);
        let clients = self.frameworks.find(framework).map(|framework| framework.clients.clone());
        for (role, client) in clients.unwrap_or_default() {
            let name = self.role_sorter.name(role).clone();
            let agents = self.roles[&role].clients[&client].agents.clone();
            for agent in agents {
                self.set_allocation(agent, framework, &name, Resources::new());
            }
        }
        self.forget_framework(framework);
    }

    fn add_agent(
        &mut self,
        agent_id: &AgentId,
        total: Resources,
        used: &BTreeMap<(FrameworkId, Role), Resources>,
    ) {
        self.remove_agent(agent_id);
        self.names.learn(&total);
        let agent = Agent::new(agent_id.clone(), total, &self.names);
        self.totals.replace(&Default::default(), &agent.total_vector);
        let agent = self.agents.insert(agent);
        self.agent_slots.insert(agent_id.clone(), agent);
        for ((framework_id, role), resources) in used {
            self.names.learn(resources);
            let framework = self.framework(framework_id);
            self.set_allocation(agent, framework, role, resources.clone());
            self.forget_framework(framework);
        }
        self.wake(agent);
    }

    /// Filters on the agent are gone with the change, whatever changed.
    fn update_agent(&mut self, agent_id: &AgentId, total: Resources) {
        let Some(&slot) = self.agent_slots.get(agent_id) else { return };
        self.names.learn(&total);
        let agent = &mut self.agents[slot];
        let before = agent.total_vector;
        agent.set_total(total, &self.names);
        self.totals.replace(&before, &agent.total_vector);
        self.drop_agent_filters(slot);
        self.wake(slot);
    }

    fn set_agent_active(&mut self, agent_id: &AgentId, active: bool) {
        if let Some(&agent) = self.agent_slots.get(agent_id) {
            self.agents[agent].active = active;
            self.wake(agent);
        }
    }

    fn remove_agent(&mut self, agent_id: &AgentId) {
        let Some(slot) = self.agent_slots.remove(agent_id) else { return };
        self.drop_agent_filters(slot);
        let allocations = std::mem::take(&mut self.agents[slot].allocations);
        for allocation in allocations {
            let vector = self.names.vector(&allocation.resources);
            self.let_go(slot, allocation.framework, allocation.role, &vector, false);
            self.forget_framework(allocation.framework);
        }
        let agent = self.agents.remove(slot);
        self.totals.replace(&agent.total_vector, &Default::default());
        self.candidates.remove(&slot);
        self.parked.remove(&slot);
    }

    fn recover(
        &mut self,
        now: Time,
        framework_id: &FrameworkId,
        role: &Role,
        agent_id: &AgentId,
        resources: &Resources,
        refuse: Option<Duration>,
    ) {
        let Some(&agent) = self.agent_slots.get(agent_id) else { return };
        let Some(&framework) = self.framework_slots.get(framework_id) else { return };
        self.give_back(agent, framework, role, resources);
        if let Some(refuse) = refuse.filter(|refuse| !refuse.is_zero() && !resources.is_empty()) {
            let until = now + refuse.min(MAX_REFUSE).max(self.config.allocation_interval);
            self.add_filter(agent, framework, role, resources, until);
        }
        self.forget_framework(framework);
    }

    fn suppress(&mut self, framework_id: &FrameworkId, roles: &BTreeSet<Role>) {
        let Some(framework) = self.known_framework(framework_id) else { return };
        let Some(mut demand) = self.frameworks[framework].demand.clone() else { return };
        let meant = demand.roles.iter().filter(|role| roles.is_empty() || roles.contains(role));
        demand.suppressed.extend(meant.cloned());
        self.set_demand(framework, Some(demand));
    }

    fn revive(&mut self, framework_id: &FrameworkId, roles: &BTreeSet<Role>) {
        let Some(framework) = self.known_framework(framework_id) else { return };
        let Some(mut demand) = self.frameworks[framework].demand.clone() else { return };
        let meant = |role: &Role| roles.is_empty() || roles.contains(role);
        demand.suppressed.retain(|role| !meant(role));
        let meant: Vec<u32> = demand
            .roles
            .iter()
            .filter(|role| meant(role))
            .filter_map(|role| self.role_slots.get(role).copied())
            .collect();
        for role in meant {
            self.drop_client_filters(framework, role);
        }
        self.set_demand(framework, Some(demand));
    }

    fn set_weights(&mut self, weights: &BTreeMap<Role, u64>) {
        self.weights = weights.clone();
        for (role, slot) in &self.role_slots {
            self.role_sorter.set_weight(*slot, self.weight(role));
        }
    }

    fn allocate(&mut self, now: Time) -> Vec<Grant> {
        self.cycle(now)
    }

    fn withheld(&self, now: Time, framework_id: &FrameworkId, role: &Role, agent_id: &AgentId) -> Withheld {
        let framework = self.framework_slots.get(framework_id).map(|slot| &self.frameworks[*slot]);
        let Some(framework) = framework else { return Withheld::Inactive };
        let Some(demand) = framework.demand.as_ref().filter(|demand| demand.active) else {
            return Withheld::Inactive;
        };
        if !demand.roles.contains(role) || demand.suppressed.contains(role) {
            return Withheld::Suppressed;
        }
        let agent = self.agent_slots.get(agent_id).map(|slot| &self.agents[*slot]);
        let Some(agent) = agent.filter(|agent| agent.active) else { return Withheld::AgentInactive };
        if self.config.filter_gpu_resources && agent.gpus && !demand.gpus {
            return Withheld::NeedsGpuCapability;
        }
        let offerable = agent.offerable(role);
        if !self.config.is_allocatable(offerable.iter()) {
            return Withheld::TooLittle;
        }
        let role = self.role_slots[role];
        match agent.filters.blocked_until(now, role, framework.clients[&role], &offerable) {
            Some(until) => Withheld::Filtered { until },
            None => Withheld::NotItsTurn,
        }
    }

    fn allocated(&self, agent_id: &AgentId) -> BTreeMap<(FrameworkId, Role), Resources> {
        let Some(slot) = self.agent_slots.get(agent_id) else { return BTreeMap::new() };
        let allocations = self.agents[*slot].allocations.iter();
        allocations
            .map(|allocation| {
                let framework_id = self.frameworks[allocation.framework].id.clone();
                let role = self.role_sorter.name(allocation.role).clone();
                ((framework_id, role), allocation.resources.clone())
            })
            .collect()
    }

    fn check(&self) {
        self.check_books();
        self.check_filters();
        self.check_waiting();
    }
}

impl Hierarchical {
    /// An agent's resources are to be looked at in the next cycle, if there are any.
    pub(super) fn wake(&mut self, slot: u32) {
        let agent = &self.agents[slot];
        self.parked.remove(&slot);
        if agent.active && !agent.free.is_empty() {
            self.candidates.insert(slot);
        } else {
            self.candidates.remove(&slot);
        }
    }

    fn add_filter(&mut self, agent: u32, framework: u32, role: &Role, refused: &Resources, until: Time) {
        let subscribed = |demand: &FrameworkDemand| demand.active && demand.roles.contains(role);
        if !self.frameworks.find(framework).and_then(|one| one.demand.as_ref()).is_some_and(subscribed) {
            return;
        }
        let role = self.role_slots[role];
        let client = self.frameworks[framework].clients[&role];
        let clients = &mut self.roles.get_mut(&role).expect("a role of a slot").clients;
        for forgotten in self.agents[agent].filters.add(role, client, refused, until) {
            clients.get_mut(&forgotten).expect("filters have clients").filtered.remove(&agent);
        }
        clients.get_mut(&client).expect("a client of a slot").filtered.insert(agent);
        self.expiries.add(until, Expiry { agent, role, client });
        self.wake(agent);
        if self.expiries.len() > self.expiries_bound.max(1024) {
            self.clear_expiries();
        }
    }

    /// Makes the expiries anew, from filters that still are.
    fn clear_expiries(&mut self) {
        let mut expiries = Expiries::default();
        for (agent, state) in self.agents.iter() {
            for (role, client, until) in state.filters.iter() {
                expiries.add(until, Expiry { agent, role, client });
            }
        }
        self.expiries_bound = expiries.len() * 2;
        self.expiries = expiries;
    }

    fn drop_agent_filters(&mut self, slot: u32) {
        let filters = std::mem::take(&mut self.agents[slot].filters);
        for (role, client, _) in filters.iter() {
            let role = self.roles.get_mut(&role).expect("filters have roles");
            role.clients.get_mut(&client).expect("filters have clients").filtered.remove(&slot);
        }
    }

    /// Drops the filters of a framework in a role.
    pub(super) fn drop_client_filters(&mut self, framework: u32, role: u32) {
        let Some(&client) = self.frameworks[framework].clients.get(&role) else { return };
        let state = self.roles.get_mut(&role).expect("a role of a slot");
        let filtered = &mut state.clients.get_mut(&client).expect("a client of a slot").filtered;
        for agent in std::mem::take(filtered) {
            self.agents[agent].filters.remove(role, client, None);
            self.wake(agent);
        }
    }
}
