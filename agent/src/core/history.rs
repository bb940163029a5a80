//! What is over, kept for those who look: frameworks, runs of executors, tasks. The oldest is forgotten first.
//!
//! A task is over when its end has been acknowledged, a run when its container is gone, a framework when nothing of it is
//! left; one that comes back takes its history along. Each ring has Mesos's length; what all of them hold together has a
//! bound of its own, for frameworks are many. What is over hardly changes: it is shared with who keeps a copy of the state.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use protocol::{ContainerId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Task, TaskId};

use super::Output;
use super::limits::{
    MAX_COMPLETED_EXECUTORS, MAX_COMPLETED_EXECUTORS_PER_FRAMEWORK, MAX_COMPLETED_FRAMEWORKS,
    MAX_COMPLETED_TASKS, MAX_COMPLETED_TASKS_PER_EXECUTOR,
};
use super::state::{Agent, Executor, Framework};

/// A run of an executor that is over.
#[derive(Clone, Debug)]
pub struct CompletedExecutor {
    /// As [`Executor::info`].
    pub info: ExecutorInfo,
    /// As [`Executor::command_executor`].
    pub command_executor: bool,
    /// Which run it was.
    pub container_id: ContainerId,
    /// Relative to the work directory.
    pub sandbox: PathBuf,
    /// Its tasks whose end is acknowledged, the oldest first.
    pub completed_tasks: VecDeque<Arc<Task>>,
    /// Its tasks whose end is not: they are in [`Framework::tasks`] until it is.
    pub unacknowledged: BTreeSet<TaskId>,
}

/// A framework of which nothing is here any more.
#[derive(Clone, Debug)]
pub struct CompletedFramework {
    /// As the master gave it last; `id` is set.
    pub info: FrameworkInfo,
    /// Runs of its executors, the oldest first.
    pub completed_executors: VecDeque<Arc<CompletedExecutor>>,
}

/// Frameworks that are over, and how much all rings hold.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) frameworks: VecDeque<Arc<CompletedFramework>>,
    pub(super) executors: usize,
    pub(super) tasks: usize,
}

impl Framework {
    /// The tasks of a run that is there, those in its queue and those whose end is not acknowledged included.
    pub fn tasks_of<'a>(&'a self, executor: &'a Executor) -> impl Iterator<Item = &'a Task> {
        let of_another_run = |task: &Task| {
            let mut over = self.completed_executors.iter();
            task.state.is_terminal() && over.any(|over| over.unacknowledged.contains(&task.task_id))
        };
        let own = self.tasks.values().filter(|task| task.executor_id == executor.info.executor_id);
        own.filter(move |task| !of_another_run(task))
    }

    /// The tasks of a run that is over whose end is not acknowledged.
    pub fn unacknowledged_of<'a>(&'a self, over: &'a CompletedExecutor) -> impl Iterator<Item = &'a Task> {
        over.unacknowledged.iter().filter_map(|task_id| self.tasks.get(task_id))
    }
}

impl Agent {
    /// Frameworks of which nothing is here any more, the oldest first.
    pub fn completed_frameworks(&self) -> &VecDeque<Arc<CompletedFramework>> {
        &self.history.frameworks
    }

    /// A task's end is acknowledged, or nobody will.
    pub(super) fn complete_task(&mut self, framework_id: &FrameworkId, task: Task, out: &mut Vec<Output>) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let over = framework.completed_executors.iter_mut().rev();
        let over = over.filter(|over| over.unacknowledged.contains(&task.task_id)).map(Arc::make_mut).next();
        let ring = match over {
            Some(over) => {
                over.unacknowledged.remove(&task.task_id);
                &mut over.completed_tasks
            }
            None => match framework.executors.get_mut(&task.executor_id) {
                Some(executor) => &mut executor.completed_tasks,
                None => return, // It never came to an executor.
            },
        };
        ring.push_back(Arc::new(task));
        self.history.tasks += 1;
        if ring.len() > MAX_COMPLETED_TASKS_PER_EXECUTOR {
            ring.pop_front();
            self.history.tasks -= 1;
        }
        self.trim_history(out);
    }

    /// A run is over. Its tasks that have not ended are about to.
    pub(super) fn complete_executor(
        &mut self,
        framework_id: &FrameworkId,
        executor: Executor,
        out: &mut Vec<Output>,
    ) {
        let framework = self.frameworks.get_mut(framework_id).expect("a container's framework is known");
        let unacknowledged = framework.tasks_of(&executor).map(|task| task.task_id.clone()).collect();
        framework.completed_executors.push_back(Arc::new(CompletedExecutor {
            info: executor.info,
            command_executor: executor.command_executor,
            container_id: executor.container_id,
            sandbox: executor.sandbox,
            completed_tasks: executor.completed_tasks,
            unacknowledged,
        }));
        self.history.executors += 1;
        if framework.completed_executors.len() > MAX_COMPLETED_EXECUTORS_PER_FRAMEWORK {
            self.forget_oldest_run_of(framework_id, out);
        }
        self.trim_history(out);
    }

    /// Nothing of a framework is here any more.
    pub(super) fn complete_framework(
        &mut self,
        info: FrameworkInfo,
        completed_executors: VecDeque<Arc<CompletedExecutor>>,
        out: &mut Vec<Output>,
    ) {
        if completed_executors.is_empty() {
            return;
        }
        self.history.frameworks.push_back(Arc::new(CompletedFramework { info, completed_executors }));
        if self.history.frameworks.len() > MAX_COMPLETED_FRAMEWORKS {
            self.forget_oldest_framework(out);
        }
    }

    /// The history of a framework that comes back.
    pub(super) fn recall(&mut self, framework_id: &FrameworkId) -> VecDeque<Arc<CompletedExecutor>> {
        let frameworks = &mut self.history.frameworks;
        let known = frameworks.iter().position(|known| known.info.id.as_ref() == Some(framework_id));
        let known = known.and_then(|at| frameworks.remove(at));
        known.map(|known| Arc::unwrap_or_clone(known).completed_executors).unwrap_or_default()
    }

    /// Keeps all rings together within their bound: of frameworks that are over first, then of the longest ring.
    fn trim_history(&mut self, out: &mut Vec<Output>) {
        while self.history.executors > MAX_COMPLETED_EXECUTORS || self.history.tasks > MAX_COMPLETED_TASKS {
            if !self.history.frameworks.is_empty() {
                self.forget_oldest_framework(out);
                continue;
            }
            let longest =
                self.frameworks.iter().max_by_key(|(_, framework)| framework.completed_executors.len());
            match longest.map(|(id, framework)| (id.clone(), framework.completed_executors.is_empty())) {
                Some((framework_id, false)) => self.forget_oldest_run_of(&framework_id, out),
                Some((_, true)) => {
                    let executors =
                        self.frameworks.values_mut().flat_map(|framework| framework.executors.values_mut());
                    let fullest = executors.max_by_key(|executor| executor.completed_tasks.len());
                    let forgotten = fullest.and_then(|executor| executor.completed_tasks.pop_front());
                    self.history.tasks -= usize::from(forgotten.is_some());
                }
                None => return,
            }
        }
    }

    fn forget_oldest_framework(&mut self, out: &mut Vec<Output>) {
        let Some(framework) = self.history.frameworks.pop_front() else { return };
        let framework_id = framework.info.id.clone().expect("a known framework has an id");
        let runs = &framework.completed_executors;
        for (at, over) in runs.iter().enumerate() {
            let executor_id = &over.info.executor_id;
            let last = !runs.range(at + 1..).any(|one| one.info.executor_id == *executor_id);
            self.forget_run(&framework_id, over, last, out);
        }
    }

    fn forget_oldest_run_of(&mut self, framework_id: &FrameworkId, out: &mut Vec<Output>) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let Some(over) = framework.completed_executors.pop_front() else { return };
        let is_other = |executor_id: &ExecutorId| *executor_id == over.info.executor_id;
        let last = !framework.executors.keys().any(is_other)
            && !framework.completed_executors.iter().any(|one| is_other(&one.info.executor_id));
        self.forget_run(framework_id, &over, last, out);
    }

    fn forget_run(
        &mut self,
        framework_id: &FrameworkId,
        over: &CompletedExecutor,
        last: bool,
        out: &mut Vec<Output>,
    ) {
        self.history.executors -= 1;
        self.history.tasks -= over.completed_tasks.len();
        out.push(Output::Forget {
            framework_id: framework_id.clone(),
            executor_id: over.info.executor_id.clone(),
            container_id: over.container_id.clone(),
            sandbox: over.sandbox.clone(),
            last,
        });
    }

    pub(super) fn check_history(&self) {
        let over = self.history.frameworks.iter().flat_map(|framework| &framework.completed_executors);
        assert!(over.clone().all(|over| over.unacknowledged.is_empty()), "what is over waits for nothing");
        let present = self.frameworks.values();
        let runs: Vec<_> =
            over.chain(present.clone().flat_map(|framework| &framework.completed_executors)).collect();
        let rings = present.clone().flat_map(|framework| framework.executors.values());
        let rings = rings.map(|executor| &executor.completed_tasks);
        let rings: Vec<_> = rings.chain(runs.iter().map(|over| &over.completed_tasks)).collect();
        assert_eq!(self.history.executors, runs.len());
        assert_eq!(self.history.tasks, rings.iter().map(|ring| ring.len()).sum::<usize>());
        assert!(rings.iter().all(|ring| ring.len() <= MAX_COMPLETED_TASKS_PER_EXECUTOR));
        assert!(self.history.frameworks.len() <= MAX_COMPLETED_FRAMEWORKS);
        assert!(self.history.executors <= MAX_COMPLETED_EXECUTORS);
        assert!(self.history.tasks <= MAX_COMPLETED_TASKS);
        for framework in present {
            assert!(framework.completed_executors.len() <= MAX_COMPLETED_EXECUTORS_PER_FRAMEWORK);
            for over in &framework.completed_executors {
                let ended = framework.unacknowledged_of(over).filter(|task| task.state.is_terminal());
                assert_eq!(ended.count(), over.unacknowledged.len(), "they wait for their acknowledgement");
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
