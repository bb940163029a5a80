//! The machine at one moment, as shared values: cheap to take, read at leisure.

use std::collections::BTreeMap;
use std::sync::Arc;

use libactor::{Pid, Time};
use protocol::messages::MasterInfo;
use protocol::{AgentId, ExecutorInfo, FrameworkId, FrameworkInfo, OfferId, Task};

use crate::core::Master;
use crate::core::agents::Agent;
use crate::core::frameworks::Framework;
use crate::core::offers::OfferRecord;
use crate::core::tasks::TaskRecord;

/// What the master knew at a moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Who.
    pub info: MasterInfo,
    /// The name of the cluster.
    pub cluster: Option<String>,
    /// When the master began.
    pub started_at: Time,
    /// When this was taken.
    pub taken_at: Time,
    /// Registered agents.
    pub agents: Vec<Agent>,
    /// How many agents do not answer.
    pub unreachable_agents: usize,
    /// Frameworks that are subscribed, disconnected or recovered.
    pub frameworks: Vec<FrameworkView>,
    /// Frameworks that were removed.
    pub completed_frameworks: Vec<FrameworkView>,
    /// Numbers by the names of the metrics, without the `master/` before them.
    pub numbers: BTreeMap<&'static str, u64>,
}

/// A framework in a [`Snapshot`].
#[derive(Clone, Debug)]
pub struct FrameworkView {
    /// Its identity.
    pub id: FrameworkId,
    /// As it describes itself.
    pub info: FrameworkInfo,
    /// Its scheduler's actor; absent: it is disconnected.
    pub pid: Option<Pid>,
    /// Known from agents alone.
    pub recovered: bool,
    /// When it first subscribed.
    pub registered_at: Option<Time>,
    /// When it last subscribed again.
    pub reregistered_at: Option<Time>,
    /// When it was last disconnected, or removed.
    pub unregistered_at: Option<Time>,
    /// Tasks whose end it has not acknowledged.
    pub tasks: Vec<TaskRecord>,
    /// Tasks on agents that do not answer.
    pub unreachable_tasks: Vec<Arc<Task>>,
    /// Tasks that have ended.
    pub completed_tasks: Vec<Arc<Task>>,
    /// Its offers.
    pub offers: Vec<(OfferId, OfferRecord)>,
    /// Its custom executors.
    pub executors: Vec<(AgentId, Arc<ExecutorInfo>)>,
}

impl Snapshot {
    /// Takes one.
    pub(crate) fn take(master: &Master, now: Time) -> Self {
        let mut executors: BTreeMap<&FrameworkId, Vec<(AgentId, Arc<ExecutorInfo>)>> = BTreeMap::new();
        for agent in master.agents().values() {
            for ((framework_id, _), executor) in &agent.executors {
                executors.entry(framework_id).or_default().push((agent.id.clone(), executor.info.clone()));
            }
        }
        let frameworks = master.frameworks().values().map(|framework| {
            let mut view = FrameworkView::take(master, framework);
            view.executors = executors.remove(&framework.id).unwrap_or_default();
            view
        });
        Self {
            frameworks: frameworks.collect(),
            info: master.info().clone(),
            cluster: master.config().cluster.clone(),
            started_at: master.started_at(),
            taken_at: now,
            agents: master.agents().values().cloned().collect(),
            unreachable_agents: master.unreachable_agents().count(),
            completed_frameworks: master
                .completed_frameworks()
                .map(|framework| FrameworkView::take(master, framework))
                .collect(),
            numbers: master.counters().named().chain(master.gauges()).collect(),
        }
    }
}

impl FrameworkView {
    fn take(master: &Master, framework: &Framework) -> Self {
        let offers = framework.offers.iter().filter_map(|id| master.offers().get_key_value(id));
        Self {
            id: framework.id.clone(),
            info: framework.info.clone(),
            pid: framework.pid.clone(),
            recovered: framework.recovered,
            registered_at: framework.registered_at,
            reregistered_at: framework.reregistered_at,
            unregistered_at: framework.unregistered_at,
            tasks: framework.tasks.values().cloned().collect(),
            unreachable_tasks: framework.unreachable.iter().map(|(_, record)| record.task.clone()).collect(),
            completed_tasks: framework.completed.iter().map(|(_, task)| task.clone()).collect(),
            offers: offers.map(|(id, offer)| (id.clone(), offer.clone())).collect(),
            executors: Vec::new(),
        }
    }
}
