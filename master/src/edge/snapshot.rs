//! The machine at one moment, as shared values: cheap to take, read at leisure on any thread.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use libactor::{Pid, Time};
use protocol::messages::MasterInfo;
use protocol::{
    AgentId, AgentInfo, ExecutorInfo, FrameworkId, FrameworkInfo, OfferId, Resources, Role, Task, TaskId,
    TaskState,
};

use super::load::{Load, Loads};
use super::mirror::Shelf;
use crate::core::drains::Draining;
use crate::core::maintenance::Maintenance;
use crate::core::offers::OfferRecord;

/// What the master knew at a moment. A copy is a few numbers.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Who.
    pub info: Arc<MasterInfo>,
    /// The name of the cluster.
    pub cluster: Option<Arc<str>>,
    /// When it began to lead.
    pub started_at: Time,
    /// When this was taken.
    pub taken_at: Time,
    /// Registered agents.
    pub agents: Shelf<AgentId, Arc<AgentView>>,
    /// Agents that the registry named when this master began and that have not come back yet.
    pub recovered_agents: Arc<Vec<Arc<AgentInfo>>>,
    /// How many agents do not answer.
    pub unreachable_agents: usize,
    /// Frameworks that are subscribed, disconnected or recovered.
    pub frameworks: Shelf<FrameworkId, Arc<FrameworkView>>,
    /// Frameworks that were removed.
    pub completed_frameworks: Arc<Vec<Arc<FrameworkView>>>,
    /// Weights that were set, in thousandths.
    pub weights: Arc<BTreeMap<Role, u64>>,
    /// When machines are worked on, and which are down for it.
    pub maintenance: Arc<Maintenance>,
    /// Made when somebody asks.
    pub(super) loads: Arc<OnceLock<Loads>>,
}

/// An agent in a [`Snapshot`].
#[derive(Clone, Debug, PartialEq)]
pub struct AgentView {
    /// Its identity.
    pub id: AgentId,
    /// As it describes itself.
    pub info: Arc<AgentInfo>,
    /// Its actor.
    pub pid: Pid,
    /// The version of its program.
    pub version: String,
    /// Whether its link holds.
    pub connected: bool,
    /// Whether its resources may be offered.
    pub active: bool,
    /// Whether an operator wants it not to be.
    pub deactivated: bool,
    /// How an operator wants it emptied, if so.
    pub draining: Option<Draining>,
    /// When it registered.
    pub registered_at: Time,
    /// When it last registered again.
    pub reregistered_at: Option<Time>,
    /// What tasks, executors and orphans hold.
    pub used: Resources,
    /// What offers hold.
    pub offered: Resources,
    /// What those tasks hold that are lost for their frameworks and have not ended here yet.
    pub orphans: Vec<(Role, Resources)>,
}

/// A framework in a [`Snapshot`].
#[derive(Clone, Debug)]
pub struct FrameworkView {
    /// Its identity.
    pub id: FrameworkId,
    /// As it describes itself.
    pub info: Arc<FrameworkInfo>,
    /// Its scheduler's actor or stream; absent: it is disconnected.
    pub pid: Option<Pid>,
    /// Known from the registry or from agents: its scheduler has not subscribed at this master.
    pub recovered: bool,
    /// When it first subscribed.
    pub registered_at: Option<Time>,
    /// When it last subscribed again.
    pub reregistered_at: Option<Time>,
    /// When it was last disconnected, or removed.
    pub unregistered_at: Option<Time>,
    /// Tasks whose end it has not acknowledged.
    pub tasks: Shelf<TaskId, TaskView>,
    /// Tasks on agents that do not answer.
    pub unreachable_tasks: Shelf<TaskId, TaskView>,
    /// Tasks that have ended.
    pub completed_tasks: Shelf<TaskId, TaskView>,
    /// Its offers.
    pub offers: Shelf<OfferId, Arc<OfferRecord>>,
    /// Its custom executors, by agent.
    pub executors: Shelf<AgentId, Arc<Vec<ExecutorView>>>,
}

/// A task in a [`Snapshot`].
#[derive(Clone, Debug)]
pub struct TaskView {
    /// The task.
    pub task: Arc<Task>,
    /// The role that its resources were offered for.
    pub role: Role,
}

/// A custom executor in a [`Snapshot`].
#[derive(Clone, Debug)]
pub struct ExecutorView {
    /// As its framework described it.
    pub info: Arc<ExecutorInfo>,
    /// The role that its resources were offered for.
    pub role: Role,
}

impl TaskView {
    /// Whether its resources count as used.
    pub fn holds(&self) -> bool {
        !self.task.state.is_terminal() && self.task.state != TaskState::Unreachable
    }
}

impl Snapshot {
    /// What runs on an agent and what of it is offered, by role. The first question costs a pass over all tasks.
    pub(crate) fn load(&self, agent_id: &AgentId) -> &Load {
        self.loads.get_or_init(|| Loads::of(self)).of_agent(agent_id)
    }

    /// All frameworks, those that were removed last.
    pub(crate) fn all_frameworks(&self) -> impl Iterator<Item = &Arc<FrameworkView>> {
        self.frameworks.values().chain(self.completed_frameworks.iter())
    }
}

impl FrameworkView {
    /// Whether its scheduler is there.
    pub fn connected(&self) -> bool {
        self.pid.is_some()
    }

    /// What its tasks and executors hold, by role.
    pub(crate) fn used_by_role(&self) -> BTreeMap<Role, Resources> {
        let mut used: BTreeMap<Role, Resources> = BTreeMap::new();
        let tasks = self.tasks.values().filter(|view| view.holds());
        for view in tasks {
            *used.entry(view.role.clone()).or_default() += &view.task.resources;
        }
        for executor in self.executors.values().flat_map(|executors| executors.iter()) {
            *used.entry(executor.role.clone()).or_default() += &executor.info.resources;
        }
        used
    }

    /// What its offers hold, by role.
    pub(crate) fn offered_by_role(&self) -> BTreeMap<Role, Resources> {
        let mut offered: BTreeMap<Role, Resources> = BTreeMap::new();
        for offer in self.offers.values() {
            *offered.entry(offer.role.clone()).or_default() += &offer.resources;
        }
        offered
    }
}
