//! What waits for an executor that can't be told yet.

use protocol::messages::ExecutorEvent;
use protocol::{TaskId, TaskInfo};

use super::state::Executor;

/// One entry of an executor's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Queued {
    /// A task of its own.
    Task(Box<TaskInfo>),
    /// Tasks that start and are killed together.
    Group(Vec<TaskInfo>),
}

impl Queued {
    /// Its tasks.
    pub fn tasks(&self) -> &[TaskInfo] {
        match self {
            Queued::Task(task) => std::slice::from_ref(task),
            Queued::Group(tasks) => tasks,
        }
    }

    pub(super) fn holds(&self, task_id: &TaskId) -> bool {
        self.tasks().iter().any(|task| task.task_id == *task_id)
    }

    /// Without those that are not wanted; nothing if that leaves none.
    pub(super) fn filtered(self, wanted: impl Fn(&TaskInfo) -> bool) -> Option<Self> {
        match self {
            Queued::Task(task) => wanted(&task).then_some(Queued::Task(task)),
            Queued::Group(mut tasks) => {
                tasks.retain(wanted);
                (!tasks.is_empty()).then_some(Queued::Group(tasks))
            }
        }
    }

    /// How the executor is told of it.
    pub(super) fn into_event(self) -> ExecutorEvent {
        match self {
            Queued::Task(task) => ExecutorEvent::Launch(*task),
            Queued::Group(tasks) => ExecutorEvent::LaunchGroup(tasks),
        }
    }
}

impl Executor {
    /// Tasks that wait for its subscription, in order.
    pub fn queued_tasks(&self) -> impl Iterator<Item = &TaskInfo> {
        self.queued.iter().flat_map(Queued::tasks)
    }

    /// Whether a task waits for its subscription: the executor does not know it.
    pub(super) fn has_queued(&self, task_id: &TaskId) -> bool {
        self.queued.iter().any(|queued| queued.holds(task_id))
    }

    /// Takes the entry with a task out of the queue.
    pub(super) fn dequeue(&mut self, task_id: &TaskId) -> Option<Queued> {
        let at = self.queued.iter().position(|queued| queued.holds(task_id))?;
        self.queued.remove(at)
    }

    /// A task needs not be handed over again. Says whether that was open.
    pub(super) fn forget_handed(&mut self, task_id: &TaskId) -> bool {
        let Some(at) = self.handed.iter().position(|handed| handed.holds(task_id)) else { return false };
        if let Some(handed) = self.handed.remove(at)
            && let Some(rest) = handed.filtered(|task| task.task_id != *task_id)
        {
            self.handed.insert(at, rest);
        }
        true
    }
}
