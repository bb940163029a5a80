//! Between executors and their agent.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, AgentInfo, ContainerId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy,
    StatusUpdate, TaskId, TaskInfo, TaskStatus, Uuid,
};

/// A call of an executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "meseta.executor.Call")]
pub struct ExecutorCall {
    /// Whose executor.
    pub framework_id: FrameworkId,
    /// Which.
    pub executor_id: ExecutorId,
    /// Which run of it, as the agent told it in `MESOS_CONTAINER_ID`; calls of an older run are refused.
    pub container_id: ContainerId,
    /// What for.
    pub call: ExecutorCallKind,
}

/// What an executor can ask of its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExecutorCallKind {
    /// Subscribes, or subscribes again after the agent was away.
    Subscribe {
        /// Tasks that it has and that no acknowledged update speaks of.
        tasks: Vec<TaskInfo>,
        /// Updates that are not acknowledged.
        updates: Vec<StatusUpdate>,
    },
    /// A task's state. `status.uuid` is set by the executor; the agent acknowledges it once it holds it.
    Update(TaskStatus),
    /// Bytes for the scheduler.
    Message(Bytes),
    /// The executor is there. It asks for nothing.
    Heartbeat,
}

/// What the agent tells an executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "meseta.executor.Event")]
pub enum ExecutorEvent {
    /// It is subscribed.
    Subscribed {
        /// As its framework asked for it; for the command executor, as the agent made it.
        executor: ExecutorInfo,
        /// Whose.
        framework: FrameworkInfo,
        /// Where.
        agent_id: AgentId,
        /// Where.
        agent: AgentInfo,
    },
    /// Run a task.
    Launch(TaskInfo),
    /// Run tasks that start and are killed together.
    LaunchGroup(Vec<TaskInfo>),
    /// Kill a task.
    Kill {
        /// Which.
        task_id: TaskId,
        /// In place of the task's own.
        kill_policy: Option<KillPolicy>,
    },
    /// The agent holds this update.
    Acknowledged {
        /// Which task.
        task_id: TaskId,
        /// Which update.
        uuid: Uuid,
    },
    /// Bytes from the scheduler.
    Message(Bytes),
    /// Kill all tasks, report them, end.
    Shutdown,
    /// The agent is there. On HTTP streams; the native connection has its own.
    Heartbeat,
    /// It is not wanted: end.
    Error(String),
}
