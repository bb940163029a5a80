//! The invariants of [`Hierarchical`].

use std::collections::BTreeMap;

use protocol::Resources;

use super::filters::Expiry;
use super::hierarchical::Hierarchical;
use super::vector::Vector;

impl Hierarchical {
    /// What is free and allocated is the total, on every agent; the sorters hold the sums.
    pub(super) fn check_books(&self) {
        let (mut totals, mut sums) = (Vector::default(), BTreeMap::<(u32, u32), Vector>::new());
        let mut role_sums = BTreeMap::<u32, Vector>::new();
        for (slot, agent) in self.agents.iter() {
            assert_eq!(self.agent_slots.get(&agent.id), Some(&slot), "an agent is found by its id");
            assert!(agent.total.contains(&agent.free), "free is within total: {}", agent.id);
            let mut free = agent.total.clone();
            let mut sum = Resources::new();
            for allocation in &agent.allocations {
                assert!(!allocation.resources.is_empty(), "no empty allocation: {}", agent.id);
                free -= &allocation.resources;
                sum += &allocation.resources;
                let client = self.frameworks[allocation.framework].clients[&allocation.role];
                let holder = &self.roles[&allocation.role].clients[&client];
                assert!(holder.agents.contains(&slot), "a holder knows where it has something");
                let vector = self.names.vector(&allocation.resources);
                sums.entry((allocation.role, client)).or_default().add(&vector);
                role_sums.entry(allocation.role).or_default().add(&vector);
            }
            assert_eq!(free, agent.free, "free is total less allocated: {}", agent.id);
            if agent.exact {
                assert_eq!(sum + free, agent.total, "allocated is within total: {}", agent.id);
            }
            assert_eq!(agent.free_vector, self.names.vector(&agent.free));
            totals.add(&agent.total_vector);
        }
        assert_eq!(totals, self.totals.sum, "the cluster is the sum of its agents");
        self.role_sorter.check(&self.totals);
        for (role, state) in &self.roles {
            state.sorter.check(&self.totals);
            let sum = role_sums.get(role).copied().unwrap_or_default();
            assert_eq!(*self.role_sorter.allocated(*role), sum, "a role has what its frameworks have");
            assert_eq!(self.role_sorter.is_active(*role), state.sorter.any_active());
            assert!(!state.sorter.is_empty(), "a role is forgotten with its last framework");
            for (client, holder) in &state.clients {
                let sum = sums.get(&(*role, *client)).copied().unwrap_or_default();
                assert_eq!(
                    *state.sorter.allocated(*client),
                    sum,
                    "a framework has the sum of its allocations"
                );
                let has = |slot: &u32| self.agents[*slot].allocation(holder.framework, *role).is_some();
                assert!(holder.agents.iter().all(has), "a holder has something where it says");
            }
        }
    }

    /// Each filter is known to its framework and ends some time.
    pub(super) fn check_filters(&self) {
        let mut filters = 0;
        for (agent, state) in self.agents.iter() {
            for (role, client, until) in state.filters.iter() {
                assert!(self.roles[&role].clients[&client].filtered.contains(&agent));
                assert!(self.expiries.has(until, &Expiry { agent, role, client }), "a filter ends");
                filters += 1;
            }
        }
        assert!(filters <= self.expiries.len());
        for (role, state) in &self.roles {
            for (client, holder) in &state.clients {
                let mut filtered = holder.filtered.iter().map(|agent| &self.agents[*agent].filters);
                assert!(filtered.all(|filters| filters.iter().any(|one| (one.0, one.1) == (*role, *client))));
            }
        }
    }

    /// What is free on an active agent waits: as a candidate, or parked where nobody may have it.
    pub(super) fn check_waiting(&self) {
        for (slot, agent) in self.agents.iter() {
            let (candidate, parked) = (self.candidates.contains(&slot), self.parked.contains(&slot));
            let waits = agent.active && !agent.free.is_empty();
            assert_eq!(u8::from(candidate) + u8::from(parked), u8::from(waits), "{} waits once", agent.id);
            if !parked || self.wake_parked {
                continue;
            }
            for (role, state) in &self.roles {
                let name = self.role_sorter.name(*role);
                let taker = state.pick(*role, name, agent, self.config.filter_gpu_resources);
                assert!(taker.is_none() || !self.is_allocatable(agent, name), "{} is not missed", agent.id);
            }
        }
    }
}
