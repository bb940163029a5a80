//! What the master may be asked by those who only look: the HTTP edge, tests, the simulator.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::messages::MasterInfo;
use protocol::{AgentId, AgentInfo, FrameworkId, OfferId, Resources, Role, Scalar, TaskState, UnixTime};

use super::agents::Agent;
use super::allocator::Withheld;
use super::counters::Counters;
use super::frameworks::Framework;
use super::maintenance::Maintenance;
use super::offers::OfferRecord;
use super::{Master, MasterConfig};
use crate::registry::Wish;
use libactor::Time;

impl Master {
    /// Who it is.
    pub fn info(&self) -> &MasterInfo {
        &self.info
    }

    /// How it is set.
    pub fn config(&self) -> &MasterConfig {
        &self.config
    }

    /// When it began.
    pub fn started_at(&self) -> Time {
        self.started_at
    }

    /// Frameworks that are subscribed, disconnected or recovered, by id.
    pub fn frameworks(&self) -> &BTreeMap<FrameworkId, Framework> {
        &self.frameworks
    }

    /// Frameworks that were removed; the oldest are forgotten.
    pub fn completed_frameworks(&self) -> impl Iterator<Item = &Framework> {
        self.completed_frameworks.iter().map(|(_, framework)| framework)
    }

    /// Agents that are registered, by id.
    pub fn agents(&self) -> &BTreeMap<AgentId, Agent> {
        &self.agents
    }

    /// Agents that did not answer, and since when.
    pub fn unreachable_agents(&self) -> impl Iterator<Item = (&AgentId, UnixTime)> {
        self.unreachable.iter().map(|(id, since)| (id, *since))
    }

    /// How many agents did not answer.
    pub fn unreachable_agent_count(&self) -> usize {
        self.unreachable.len()
    }

    /// Agents that the registry named when this master began and that have not come back yet.
    pub fn recovered_agents(&self) -> &BTreeMap<AgentId, Arc<AgentInfo>> {
        &self.recovered
    }

    /// Agents that an operator has marked as gone, and since when; the oldest are forgotten.
    pub fn gone_agents(&self) -> impl Iterator<Item = (&AgentId, UnixTime)> {
        self.gone.iter().map(|(id, since)| (id, *since))
    }

    /// What an operator wants of an agent that is there or may come back; absent: nothing.
    pub fn wish(&self, id: &AgentId) -> Option<&Wish> {
        self.wishes.get(id)
    }

    /// When machines are worked on, and which are down for it.
    pub fn maintenance(&self) -> &Maintenance {
        &self.maintenance
    }

    /// Weights that were set, in thousandths; every other role weighs 1000.
    pub fn weights(&self) -> &BTreeMap<Role, u64> {
        &self.weights
    }

    /// Offers that are not answered.
    pub fn offers(&self) -> &BTreeMap<OfferId, OfferRecord> {
        &self.offers
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Why a framework is not offered what is free on an agent for a role.
    pub fn withheld(&self, now: Time, id: &FrameworkId, role: &Role, agent_id: &AgentId) -> Withheld {
        self.allocator.withheld(now, id, role, agent_id)
    }

    /// Numbers that go up and down, by Mesos's names without the `master/`. Costs a pass over agents and frameworks.
    pub fn gauges(&self) -> Vec<(&'static str, u64)> {
        let connected = self.frameworks.values().filter(|framework| framework.pid.is_some()).count();
        let joined = self.agents.values().filter(|agent| agent.connected).count();
        let active = self.agents.values().filter(|agent| agent.active()).count();
        let unreachable_tasks: usize =
            self.frameworks.values().map(|framework| framework.unreachable.len()).sum();
        let live = |state| self.counters.live(state);
        let count = |number: usize| number as u64;
        vec![
            ("elected", 1),
            ("frameworks_active", count(connected)),
            ("frameworks_connected", count(connected)),
            ("frameworks_disconnected", count(self.frameworks.len() - connected)),
            ("frameworks_inactive", count(self.frameworks.len() - connected)),
            ("outstanding_offers", count(self.offers.len())),
            ("slaves_active", count(active)),
            ("slaves_connected", count(joined)),
            ("slaves_disconnected", count(self.agents.len() - joined)),
            ("slaves_inactive", count(self.agents.len() - active)),
            ("slaves_unreachable", count(self.unreachable.len())),
            ("tasks_killing", live(TaskState::Killing)),
            ("tasks_running", live(TaskState::Running)),
            ("tasks_staging", live(TaskState::Staging)),
            ("tasks_starting", live(TaskState::Starting)),
            ("tasks_unreachable", count(unreachable_tasks)),
        ]
    }

    /// Total and used amounts of a scalar over the agents that are active.
    pub fn amounts(&self, name: &str) -> (Scalar, Scalar) {
        let mut sums = (0, 0);
        for agent in self.agents.values().filter(|agent| agent.active()) {
            let amount = |resources: &Resources| resources.scalar(name).millis();
            sums = (sums.0 + amount(&agent.info.resources), sums.1 + amount(&agent.used));
        }
        (Scalar::from_millis(sums.0), Scalar::from_millis(sums.1))
    }
}
