//! What the machine holds.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libactor::{Pid, Random, Time, Timers};
use protocol::{
    AgentId, ContainerId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy, Reason,
    Resources, Task, TaskId,
};

use super::checkpoint::Key;
use super::gate::Gate;
use super::history::{CompletedExecutor, History};
use super::kill::Leaving;
use super::queue::Queued;
use super::recovery::Recovery;
use super::registration::Registration;
use super::stream::Stream;
use super::tally::Tally;
use super::{AgentConfig, Output};

/// The agent machine. Fields are read through its methods; only inputs change it.
#[derive(Clone, Debug)]
pub struct Agent {
    pub(super) config: AgentConfig,
    pub(super) started: Time,
    pub(super) id: Option<AgentId>,
    pub(super) random: Random,
    pub(super) timers: Timers<Timer>,
    pub(super) registration: Registration,
    pub(super) frameworks: BTreeMap<FrameworkId, Framework>,
    /// Which executor a container runs, from the launch to the container's end.
    pub(super) containers: BTreeMap<ContainerId, (FrameworkId, ExecutorId)>,
    /// Actors of subscribed executors, all linked.
    pub(super) subscribed: BTreeMap<Pid, ContainerId>,
    pub(super) streams: BTreeMap<(FrameworkId, TaskId), Stream>,
    /// Executors that have ended while the agent was registering, and how: at most as many as were there before.
    pub(super) ended_meanwhile: BTreeMap<(FrameworkId, ExecutorId), i32>,
    pub(super) history: History,
    pub(super) leaving: Option<Leaving>,
    /// It has left: nothing counts any more.
    pub(super) over: bool,
    pub(super) counters: Counters,
    /// What is kept, and what waits for it to be durable.
    pub(super) gate: Gate,
    /// There until the containers of an earlier life are found again.
    pub(super) recovery: Option<Recovery>,
    /// The number of the next work that is kept.
    pub(super) arrivals: u64,
    /// The operator wants the agent emptied: as in [`DrainRecord`](super::checkpoint::DrainRecord).
    pub(super) drain: Option<Option<Duration>>,
    /// The wish for which all tasks were killed last.
    pub(super) drained_for: Option<Option<Duration>>,
    /// What the agent is to offer, as soon as what is used fits into it.
    pub(super) wanted: Option<Resources>,
    /// Whether what it offers has changed in this life: who asks for more may not know it.
    pub(super) changed: bool,
}

/// What the machine waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Register,
    Ping,
    ExecutorRegistration(ContainerId),
    ExecutorReturn(ContainerId),
    Heartbeat(ContainerId),
    Destroy(ContainerId),
    Retry(FrameworkId, TaskId),
    Leave,
}

/// A framework with something on this agent.
#[derive(Clone, Debug)]
pub struct Framework {
    /// As the master gave it last; `id` is set.
    pub info: FrameworkInfo,
    /// Those whose container is not gone.
    pub executors: BTreeMap<ExecutorId, Executor>,
    /// Those that are not terminal, or whose terminal update is not acknowledged.
    pub tasks: BTreeMap<TaskId, Task>,
    /// Runs of its executors that are over, the oldest first.
    pub completed_executors: VecDeque<Arc<CompletedExecutor>>,
    /// Whether the master has removed it: nobody hears of its tasks any more.
    pub removed: bool,
}

/// One run of an executor.
#[derive(Clone, Debug)]
pub struct Executor {
    /// As its framework asked for it, or as the agent made it for a command task.
    pub info: ExecutorInfo,
    /// Whether the agent made it for one command task.
    pub command_executor: bool,
    /// This run.
    pub container_id: ContainerId,
    /// Relative to the work directory.
    pub sandbox: PathBuf,
    /// Where it stands.
    pub state: ExecutorState,
    /// Its process id, once it has been launched.
    pub os_pid: Option<u32>,
    /// What waits for its subscription, in order; all tasks of it are also in [`Framework::tasks`].
    pub queued: VecDeque<Queued>,
    /// Its tasks whose end is acknowledged, the oldest first.
    pub completed_tasks: VecDeque<Arc<Task>>,
    /// Why the agent ends it, where tasks are to be told something else than that it ended.
    pub doom: Option<(Reason, String)>,
    /// Whether it has ever subscribed: nothing was handed over before.
    pub subscribed: bool,
    /// Whether it was launched in the place of a run that an earlier life of the agent had asked for.
    pub relaunched: bool,
    /// What was handed over to it and it has not spoken of, in order: told again if it does not know it.
    pub handed: VecDeque<Queued>,
    /// Kills that came while it was away.
    pub kills: BTreeMap<TaskId, Option<KillPolicy>>,
    /// How long it may be away.
    pub patience: Duration,
    /// What its tasks in [`Framework::tasks`] use that have not ended.
    pub live: Tally,
    /// What its container may use, as the containerizer was told last.
    pub allotted: Resources,
}

/// Where a run of an executor stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutorState {
    /// Its container has been asked for; it has not subscribed.
    Registering,
    /// It has subscribed.
    Running(Pid),
    /// It had subscribed, and its stream is gone, or the agent's process that it spoke to. It lives, and may subscribe again
    /// in time; tasks wait.
    Away,
    /// It is to end; its actor where it has subscribed and is not gone.
    Terminating(Option<Pid>),
}

impl ExecutorState {
    /// The actor of a subscribed executor.
    pub fn pid(&self) -> Option<&Pid> {
        match self {
            ExecutorState::Registering | ExecutorState::Away => None,
            ExecutorState::Running(pid) => Some(pid),
            ExecutorState::Terminating(pid) => pid.as_ref(),
        }
    }
}

/// What the agent counts, under the names of Mesos's metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Attempts to register.
    pub registration_attempts: u64,
    /// Tasks that ended in TASK_FINISHED.
    pub tasks_finished: u64,
    /// Tasks that ended in TASK_FAILED.
    pub tasks_failed: u64,
    /// Tasks that ended in TASK_KILLED.
    pub tasks_killed: u64,
    /// Tasks that ended in TASK_LOST or TASK_DROPPED.
    pub tasks_lost: u64,
    /// Tasks that ended in TASK_GONE.
    pub tasks_gone: u64,
    /// Tasks that ended in TASK_ERROR.
    pub tasks_error: u64,
    /// Executors whose container is gone.
    pub executors_terminated: u64,
    /// Launches that failed.
    pub container_launch_errors: u64,
    /// Updates of executors that were taken.
    pub valid_status_updates: u64,
    /// Updates of executors that were dropped: an unknown task, or a state that can't follow.
    pub invalid_status_updates: u64,
    /// Updates that took the place of one that waited.
    pub coalesced_status_updates: u64,
    /// Messages between executors and schedulers that were passed on.
    pub valid_framework_messages: u64,
    /// Messages that were dropped: nobody is there.
    pub invalid_framework_messages: u64,
    /// Messages of masters that were ignored: of another one than the leading one, or from an earlier lead of it.
    pub ignored_master_messages: u64,
    /// Calls of executors that were refused.
    pub refused_executor_calls: u64,
}

impl Agent {
    /// Its settings.
    pub fn config(&self) -> &AgentConfig {
        &self.config
    }

    /// When it started.
    pub fn started(&self) -> Time {
        self.started
    }

    /// Its identity, once a master has assigned it.
    pub fn id(&self) -> Option<&AgentId> {
        self.id.as_ref()
    }

    /// Frameworks that have something here.
    pub fn frameworks(&self) -> &BTreeMap<FrameworkId, Framework> {
        &self.frameworks
    }

    /// Status updates that are not acknowledged.
    pub fn pending_updates(&self) -> usize {
        self.streams.values().map(Stream::len).sum()
    }

    /// What it has counted since it started.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the operator wants it emptied.
    pub fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// What its executors and tasks use.
    pub fn used_resources(&self) -> Resources {
        let mut used = Resources::new();
        for framework in self.frameworks.values() {
            for executor in framework.executors.values().filter(|executor| !executor.command_executor) {
                used += &executor.info.resources;
            }
            for task in framework.tasks.values().filter(|task| !task.state.is_terminal()) {
                used += &task.resources;
            }
        }
        used
    }

    /// The executor of a container that is not gone.
    pub(super) fn executor_mut(&mut self, container_id: &ContainerId) -> Option<&mut Executor> {
        let (framework_id, executor_id) = self.containers.get(container_id)?;
        let framework = self.frameworks.get_mut(framework_id)?;
        framework.executors.get_mut(executor_id)
    }

    /// A framework describes itself anew. Whether it checkpoints can't change: Mesos ignores that too.
    pub(super) fn take_framework_info(&mut self, framework_id: &FrameworkId, mut info: FrameworkInfo) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        info.checkpoint = framework.info.checkpoint;
        if framework.info != info {
            framework.info = info;
            self.keep_framework(framework_id);
        }
    }

    /// Forgets a framework that has nothing here any more.
    pub(super) fn forget_framework_if_idle(&mut self, framework_id: &FrameworkId, out: &mut Vec<Output>) {
        let idle = |framework: &Framework| framework.executors.is_empty() && framework.tasks.is_empty();
        if self.frameworks.get(framework_id).is_some_and(idle)
            && let Some(framework) = self.frameworks.remove(framework_id)
        {
            if framework.info.checkpoint {
                self.gate.remove(Key::Framework(framework_id.clone()));
            }
            self.complete_framework(framework.info, framework.completed_executors, out);
        }
    }
}
