//! Tasks and the states they go through.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, Carried, CommandInfo, ExecutorId, ExecutorInfo, FrameworkId, Resources, Role, TaskId,
    TaskStatus, Uuid, wire,
};

pub use crate::task_state::TaskState;

/// A task, as its framework asks for it. Exactly one of `executor` and `command` is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// For people.
    pub name: String,
    /// Unique among the framework's active and unreachable tasks.
    pub task_id: TaskId,
    /// The agent of the offer that is being used.
    pub agent_id: AgentId,
    /// What the task uses, out of the offer.
    pub resources: Resources,
    /// The custom executor that is to run it.
    pub executor: Option<ExecutorInfo>,
    /// The command that the command executor is to run.
    pub command: Option<CommandInfo>,
    /// Given to the executor as it is.
    pub data: Bytes,
    /// How it is killed; absent: 3 seconds between TERM and KILL.
    pub kill_policy: Option<KillPolicy>,
    /// Killed with TASK_FAILED when it has run this long; absent: no limit.
    pub max_completion_time: Option<Duration>,
    /// Free text for tools.
    pub labels: Vec<Label>,
    /// The role that its resources say they are allocated to; absent: that of the offer. It must be that of the offer.
    pub allocated_to: Option<Role>,
    /// Its container, checks, discovery and limits.
    pub unread: Option<Carried<wire::v1::TaskInfo>>,
    /// Set by an edge that could not turn a part of the task into this vocabulary: why not. Such a task is refused with
    /// this sentence.
    pub problem: Option<String>,
}

impl TaskInfo {
    /// A command task.
    pub fn command(
        task_id: impl Into<TaskId>,
        agent_id: AgentId,
        resources: Resources,
        command: CommandInfo,
    ) -> Self {
        let task_id = task_id.into();
        Self {
            name: task_id.to_string(),
            task_id,
            agent_id,
            resources,
            executor: None,
            command: Some(command),
            data: Bytes::new(),
            kill_policy: None,
            max_completion_time: None,
            labels: Vec::new(),
            allocated_to: None,
            unread: None,
            problem: None,
        }
    }

    /// A task of a custom executor.
    pub fn with_executor(
        task_id: impl Into<TaskId>,
        agent_id: AgentId,
        resources: Resources,
        executor: ExecutorInfo,
    ) -> Self {
        let command = CommandInfo::shell("");
        Self {
            executor: Some(executor),
            command: None,
            ..Self::command(task_id, agent_id, resources, command)
        }
    }

    /// The id of the executor that runs it: the custom executor's, or the task's own for a command task.
    pub fn executor_id(&self) -> ExecutorId {
        match &self.executor {
            Some(executor) => executor.executor_id.clone(),
            None => ExecutorId::new(self.task_id.as_str()),
        }
    }
}

/// How a task is killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillPolicy {
    /// Between TERM and KILL; absent: [`KillPolicy::DEFAULT_GRACE`].
    pub grace_period: Option<Duration>,
}

impl KillPolicy {
    /// Source: Mesos `DEFAULT_KILL_GRACE_PERIOD`.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(3);

    /// Between TERM and KILL.
    pub fn grace(self) -> Duration {
        self.grace_period.unwrap_or(Self::DEFAULT_GRACE)
    }
}

/// A key with an optional value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label {
    /// Not necessarily unique.
    pub key: String,
    /// May be absent, which differs from empty.
    pub value: Option<String>,
}

/// A task as master and agent keep it and tell one another of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// For people.
    pub name: String,
    /// Unique within the framework.
    pub task_id: TaskId,
    /// Whose task.
    pub framework_id: FrameworkId,
    /// What runs it.
    pub executor_id: ExecutorId,
    /// Whether `executor_id` names the command executor, made by the agent for this task alone.
    pub command_executor: bool,
    /// Where.
    pub agent_id: AgentId,
    /// The newest state that the agent knows: resources are freed by it.
    pub state: TaskState,
    /// What it uses.
    pub resources: Resources,
    /// The role that its resources are allocated to; absent where nobody has said it.
    pub allocated_to: Option<Role>,
    /// The statuses that the framework was or is being told of, oldest first; one entry a state.
    pub statuses: Vec<TaskStatus>,
    /// The state of the newest update that was forwarded to the framework.
    pub status_update_state: Option<TaskState>,
    /// Its uuid.
    pub status_update_uuid: Option<Uuid>,
    /// The user it runs as.
    pub user: Option<String>,
    /// Free text for tools.
    pub labels: Vec<Label>,
    /// How it is killed.
    pub kill_policy: Option<KillPolicy>,
    /// Its container, health check, discovery and limits.
    pub unread: Option<Carried<wire::v1::Task>>,
}

impl Task {
    /// The record of a task that has just been accepted.
    pub fn new(framework_id: FrameworkId, info: &TaskInfo, state: TaskState) -> Self {
        Self {
            name: info.name.clone(),
            task_id: info.task_id.clone(),
            framework_id,
            executor_id: info.executor_id(),
            command_executor: info.executor.is_none(),
            agent_id: info.agent_id.clone(),
            state,
            resources: info.resources.clone(),
            allocated_to: info.allocated_to.clone(),
            statuses: Vec::new(),
            status_update_state: None,
            status_update_uuid: None,
            user: info.command.as_ref().and_then(|command| command.user.clone()),
            labels: info.labels.clone(),
            kill_policy: info.kill_policy,
            unread: info.unread.as_ref().and_then(|unread| {
                let wire::v1::TaskInfo { container, health_check, discovery, limits, .. } = unread.read();
                Carried::new(&wire::v1::Task {
                    container,
                    health_check,
                    discovery,
                    limits,
                    ..Default::default()
                })
            }),
        }
    }
}
