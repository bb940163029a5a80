//! The names of what has changed and has not been looked up.

use protocol::{AgentId, FrameworkId, OfferId, TaskId};

use crate::core::Change;

/// Names, some of them more than once.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub(super) frameworks: Vec<FrameworkId>,
    /// A framework was removed, or one that was is forgotten.
    pub(super) completed_frameworks: bool,
    pub(super) agents: Vec<AgentId>,
    /// Agents that are not registered are others than before.
    pub(super) elsewhere: bool,
    pub(super) tasks: Vec<(FrameworkId, TaskId)>,
    pub(super) executors: Vec<(FrameworkId, AgentId)>,
    pub(super) offers: Vec<(FrameworkId, OfferId)>,
    pub(super) weights: bool,
    pub(super) maintenance: bool,
}

impl Touched {
    pub(super) fn note(&mut self, change: &Change) {
        match change {
            Change::FrameworkAdded(id) | Change::FrameworkUpdated(id) | Change::FrameworkState(id) => {
                self.frameworks.push(id.clone());
            }
            Change::FrameworkRemoved(info) => {
                self.frameworks.extend(info.id.clone());
                self.completed_frameworks = true;
            }
            Change::FrameworkForgotten(_) => self.completed_frameworks = true,
            Change::AgentAdded(id) | Change::AgentUpdated(id) | Change::AgentRemoved(id) => {
                self.agents.push(id.clone());
            }
            Change::AgentMoved(_) => self.elsewhere = true,
            Change::TaskAdded(task) | Change::TaskUpdated { task, .. } => {
                self.tasks.push((task.framework_id.clone(), task.task_id.clone()));
                self.agents.push(task.agent_id.clone());
            }
            Change::TaskMoved(framework_id, task_id) => {
                self.tasks.push((framework_id.clone(), task_id.clone()));
            }
            Change::Executor(framework_id, agent_id) => {
                self.executors.push((framework_id.clone(), agent_id.clone()));
                self.agents.push(agent_id.clone());
            }
            Change::Offer(framework_id, agent_id, offer_id) => {
                self.offers.push((framework_id.clone(), offer_id.clone()));
                self.agents.push(agent_id.clone());
            }
            Change::Weights => self.weights = true,
            Change::Maintenance => self.maintenance = true,
        }
    }

    /// How many names.
    pub(super) fn len(&self) -> usize {
        self.frameworks.len()
            + self.agents.len()
            + self.tasks.len()
            + self.executors.len()
            + self.offers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0 && !self.completed_frameworks && !self.elsewhere && !self.weights && !self.maintenance
    }

    /// Each name once, in order.
    pub(super) fn settled(mut self) -> Self {
        settle(&mut self.frameworks);
        settle(&mut self.agents);
        settle(&mut self.tasks);
        settle(&mut self.executors);
        settle(&mut self.offers);
        self
    }
}

fn settle<T: Ord>(names: &mut Vec<T>) {
    names.sort_unstable();
    names.dedup();
}
