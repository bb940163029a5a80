//! The machine at one moment, as values: taken at the end of a turn, read at leisure on other threads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use libactor::{Pid, Time};
use protocol::{
    AgentId, ContainerId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Resources, Role, Task,
    TaskId, TaskInfo,
};

use crate::core::{Agent, AgentConfig, CompletedExecutor, CompletedFramework, Executor, Framework, Phase};

/// What the agent knew at a moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its settings.
    pub config: AgentConfig,
    /// Its identity, once a master has assigned it.
    pub id: Option<AgentId>,
    /// Where it stands with its master.
    pub phase: Phase,
    /// The master, where one is known.
    pub master: Option<Pid>,
    /// When the agent began.
    pub started_at: Time,
    /// When this was taken.
    pub taken_at: Time,
    /// Frameworks that have something here.
    pub frameworks: BTreeMap<FrameworkId, Framework>,
    /// Frameworks of which nothing is here any more, the oldest first.
    pub completed_frameworks: VecDeque<Arc<CompletedFramework>>,
}

impl Snapshot {
    /// Takes one.
    pub(crate) fn take(agent: &Agent, now: Time) -> Self {
        Self {
            config: agent.config().clone(),
            id: agent.id().cloned(),
            phase: agent.phase(),
            master: agent.master().cloned(),
            started_at: agent.started(),
            taken_at: now,
            frameworks: agent.frameworks().clone(),
            completed_frameworks: agent.completed_frameworks().clone(),
        }
    }

    /// Frameworks with the runs of their executors.
    pub fn views(&self) -> Vec<FrameworkView<'_>> {
        self.frameworks.iter().map(|(id, framework)| FrameworkView::present(id, framework)).collect()
    }

    /// Frameworks that are over, with the runs of their executors.
    pub fn completed_views(&self) -> Vec<FrameworkView<'_>> {
        self.completed_frameworks.iter().map(|over| FrameworkView::over(over)).collect()
    }
}

/// A framework with the runs of its executors.
#[derive(Clone, Debug)]
pub struct FrameworkView<'a> {
    /// As the master gave it last; `id` is set.
    pub info: &'a FrameworkInfo,
    /// Runs whose container is not gone.
    pub runs: Vec<Run<'a>>,
    /// Runs that are over, the oldest first.
    pub completed_runs: Vec<Run<'a>>,
}

impl<'a> FrameworkView<'a> {
    fn present(id: &'a FrameworkId, framework: &'a Framework) -> Self {
        // Of an executor id there may be a run that is over and not acknowledged, and one that is there.
        let over = framework.completed_executors.iter().flat_map(|over| &over.unacknowledged);
        let over: BTreeSet<&TaskId> = over.collect();
        let mut tasks: BTreeMap<&ExecutorId, Vec<&Task>> = BTreeMap::new();
        let of_another_run = |task: &Task| task.state.is_terminal() && over.contains(&task.task_id);
        for task in framework.tasks.values().filter(|task| !of_another_run(task)) {
            tasks.entry(&task.executor_id).or_default().push(task);
        }
        let run = |(executor_id, executor): (&'a ExecutorId, &'a Executor)| {
            Run::present(id, executor, tasks.remove(executor_id).unwrap_or_default())
        };
        let runs = framework.executors.iter().map(run).collect();
        let completed = framework.completed_executors.iter();
        let completed_runs =
            completed.map(|over| Run::over(id, over, framework.unacknowledged_of(over).collect())).collect();
        Self { info: &framework.info, runs, completed_runs }
    }

    fn over(framework: &'a CompletedFramework) -> Self {
        let id = framework.info.id.as_ref();
        let runs = id.into_iter().flat_map(|id| {
            framework.completed_executors.iter().map(move |over| Run::over(id, over, Vec::new()))
        });
        Self { info: &framework.info, runs: Vec::new(), completed_runs: runs.collect() }
    }

    /// Its identity.
    pub fn id(&self) -> &'a str {
        self.info.id.as_ref().map_or("", |id| id.as_str())
    }

    /// The role that its resources are allocated to, where it can't but be one.
    pub fn only_role(&self) -> Option<&'a Role> {
        let mut roles = self.info.roles.iter();
        roles.next().filter(|_| roles.next().is_none())
    }
}

/// One run of an executor, with its tasks.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// Whose.
    pub framework_id: &'a FrameworkId,
    /// The executor.
    pub info: &'a ExecutorInfo,
    /// Whether the agent made it for one command task.
    pub command_executor: bool,
    /// Which run.
    pub container_id: &'a ContainerId,
    /// Relative to the work directory.
    pub sandbox: &'a Path,
    /// Its process, once it has been launched; absent when it is over.
    pub os_pid: Option<u32>,
    /// Tasks that wait for the executor.
    pub queued: Vec<&'a TaskInfo>,
    /// Tasks that it has and that have not ended.
    pub launched: Vec<&'a Task>,
    /// Tasks that have ended and are not acknowledged.
    pub terminated: Vec<&'a Task>,
    /// Tasks whose end is acknowledged, the oldest first.
    pub completed: Vec<&'a Task>,
}

impl<'a> Run<'a> {
    fn present(framework_id: &'a FrameworkId, executor: &'a Executor, tasks: Vec<&'a Task>) -> Self {
        let queued: Vec<&TaskInfo> = executor.queued_tasks().collect();
        let waiting: BTreeSet<&TaskId> = queued.iter().map(|task| &task.task_id).collect();
        let handed_over = tasks.into_iter().filter(|task| !waiting.contains(&task.task_id));
        let (terminated, launched) = handed_over.partition(|task| task.state.is_terminal());
        Self {
            framework_id,
            info: &executor.info,
            command_executor: executor.command_executor,
            container_id: &executor.container_id,
            sandbox: &executor.sandbox,
            os_pid: executor.os_pid,
            queued,
            launched,
            terminated,
            completed: executor.completed_tasks.iter().map(AsRef::as_ref).collect(),
        }
    }

    fn over(framework_id: &'a FrameworkId, over: &'a CompletedExecutor, terminated: Vec<&'a Task>) -> Self {
        Self {
            framework_id,
            info: &over.info,
            command_executor: over.command_executor,
            container_id: &over.container_id,
            sandbox: &over.sandbox,
            os_pid: None,
            queued: Vec::new(),
            launched: Vec::new(),
            terminated,
            completed: over.completed_tasks.iter().map(AsRef::as_ref).collect(),
        }
    }

    /// What it may use: the executor's own and those of its tasks that have not ended.
    pub fn resources(&self) -> Resources {
        let tasks = self.launched.iter().map(|task| &task.resources);
        let queued = self.queued.iter().map(|task| &task.resources);
        tasks.chain(queued).chain([&self.info.resources]).sum()
    }

    /// A deprecated field that tools still group by: of a command task it is its id. Source: Mesos.
    pub fn source(&self) -> String {
        let said = self.info.unread.as_ref().and_then(|unread| unread.read().source);
        let made = || self.command_executor.then(|| self.info.executor_id.to_string());
        said.or_else(made).unwrap_or_default()
    }
}
