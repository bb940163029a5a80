//! What is on each agent: an index over a snapshot's tasks, executors and offers, made at most once a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{AgentId, FrameworkId, Resources, Role};

use super::snapshot::Snapshot;
use super::v0::counts::StateCounts;
use crate::core::Master;
use crate::core::agents::Agent;

/// What is on one agent.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// What tasks, executors and orphans hold.
    pub(crate) used: BTreeMap<Role, Resources>,
    /// What offers hold.
    pub(crate) offered: BTreeMap<Role, Resources>,
    /// Frameworks with tasks there, unreachable or ended ones included.
    pub(crate) frameworks: BTreeSet<FrameworkId>,
    /// Its tasks by state.
    pub(crate) counts: StateCounts,
}

/// By agent.
#[derive(Debug)]
pub(crate) struct Loads {
    agents: BTreeMap<AgentId, Load>,
    /// Of an agent with nothing on it.
    nothing: Load,
}

impl Loads {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut agents: BTreeMap<AgentId, Load> = BTreeMap::new();
        for (id, agent) in snapshot.agents.iter() {
            for (role, resources) in &agent.orphans {
                add(&mut agents.entry(id.clone()).or_default().used, role, resources);
            }
        }
        for framework in snapshot.frameworks.values() {
            for view in framework.tasks.values() {
                let load = agents.entry(view.task.agent_id.clone()).or_default();
                if view.holds() {
                    add(&mut load.used, &view.role, &view.task.resources);
                }
                load.counts.add(view.task.state);
                load.note(&framework.id);
            }
            for view in framework.unreachable_tasks.values().chain(framework.completed_tasks.values()) {
                let load = agents.entry(view.task.agent_id.clone()).or_default();
                load.counts.add(view.task.state);
                load.note(&framework.id);
            }
            for (agent_id, executors) in framework.executors.iter() {
                let load = agents.entry(agent_id.clone()).or_default();
                for executor in executors.iter() {
                    add(&mut load.used, &executor.role, &executor.info.resources);
                }
            }
            for offer in framework.offers.values() {
                let load = agents.entry(offer.agent_id.clone()).or_default();
                add(&mut load.offered, &offer.role, &offer.resources);
            }
        }
        Self { agents, nothing: Load::default() }
    }

    pub(crate) fn of_agent(&self, id: &AgentId) -> &Load {
        self.agents.get(id).unwrap_or(&self.nothing)
    }
}

impl Load {
    /// What is on an agent, asked of the machine itself.
    pub(crate) fn of(master: &Master, agent: &Agent) -> Self {
        let mut load = Self::default();
        for (framework_id, task_id) in &agent.tasks {
            let framework = master.frameworks().get(framework_id);
            let record = framework.and_then(|framework| framework.tasks.get(task_id));
            if let Some(record) = record.filter(|record| record.holds()) {
                add(&mut load.used, &record.role, &record.task.resources);
            }
        }
        for executor in agent.executors.values() {
            add(&mut load.used, &executor.role, &executor.info.resources);
        }
        for orphan in agent.orphans.values() {
            add(&mut load.used, &orphan.role, &orphan.resources);
        }
        for offer in agent.offers.iter().filter_map(|id| master.offers().get(id)) {
            add(&mut load.offered, &offer.role, &offer.resources);
        }
        load
    }

    fn note(&mut self, framework_id: &FrameworkId) {
        if !self.frameworks.contains(framework_id) {
            self.frameworks.insert(framework_id.clone());
        }
    }
}

fn add(sums: &mut BTreeMap<Role, Resources>, role: &Role, resources: &Resources) {
    match sums.get_mut(role) {
        Some(sum) => *sum += resources,
        None => {
            sums.insert(role.clone(), resources.clone());
        }
    }
}
