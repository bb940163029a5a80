//! Between agents and the master.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::{
    AgentId, AgentInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, KillPolicy, Resources,
    StatusUpdate, Task, TaskId, TaskInfo, Uuid,
};

/// What an agent tells the master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "meseta.agent.Call")]
pub enum AgentCall {
    /// A new agent; repeated with backoff until answered.
    Register {
        /// Who; `id` is absent.
        agent: AgentInfo,
        /// Of the program.
        version: String,
    },
    /// An agent that has an id, with all that it runs; repeated with backoff until answered.
    Reregister {
        /// Who; `id` is set.
        agent: AgentInfo,
        /// Of the program.
        version: String,
        /// Custom executors that live.
        executors: Vec<(FrameworkId, ExecutorInfo)>,
        /// Tasks that are not terminal, or whose terminal update is not acknowledged.
        tasks: Vec<Task>,
        /// The frameworks of those.
        frameworks: Vec<FrameworkInfo>,
    },
    /// Answers a ping.
    Pong,
    /// A task's state; repeated until acknowledged.
    Update(StatusUpdate),
    /// Bytes from an executor to its framework.
    Message {
        /// To whom.
        framework_id: FrameworkId,
        /// From whom.
        executor_id: ExecutorId,
        /// What.
        data: Bytes,
    },
    /// An executor has ended.
    ExecutorExited {
        /// Whose.
        framework_id: FrameworkId,
        /// Which.
        executor_id: ExecutorId,
        /// Exit status, or 128 + signal.
        status: i32,
    },
    /// The agent leaves for good, its tasks are killed.
    Unregister,
    /// What the agent offers has changed while it runs: a device has fallen ill or is well again.
    UpdateResources {
        /// All that it offers from now on. It may be less than what its tasks use.
        total: Resources,
    },
}

/// What the master tells an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "meseta.agent.Event")]
pub enum AgentEvent {
    /// It is registered.
    Registered {
        /// As assigned.
        agent_id: AgentId,
        /// Without a ping for this long the agent must register again.
        ping_timeout: Duration,
    },
    /// It is registered again.
    Reregistered {
        /// As it said.
        agent_id: AgentId,
        /// As above.
        ping_timeout: Duration,
        /// Tasks that the master thinks are there and the agent did not name: the agent answers for each.
        reconcile: Vec<(FrameworkId, TaskId)>,
    },
    /// Answer with a pong. `connected == false`: the master thinks it is not registered, it must do so again.
    Ping {
        /// What the master thinks.
        connected: bool,
    },
    /// Run a task.
    RunTask {
        /// Whose; `id` is set.
        framework: FrameworkInfo,
        /// What.
        task: TaskInfo,
        /// Whether the task's executor is to be started if it is not there: the master counts its resources. If not,
        /// the task was meant for one that runs, and is dropped where that has ended meanwhile.
        launch_executor: bool,
    },
    /// Run tasks that start and are killed together.
    RunTaskGroup {
        /// Whose; `id` is set.
        framework: FrameworkInfo,
        /// What runs them.
        executor: ExecutorInfo,
        /// What; `executor` of each is set to the same.
        tasks: Vec<TaskInfo>,
        /// As above.
        launch_executor: bool,
    },
    /// Kill a task.
    KillTask {
        /// Whose.
        framework_id: FrameworkId,
        /// Which.
        task_id: TaskId,
        /// In place of the task's own.
        kill_policy: Option<KillPolicy>,
    },
    /// The framework has acknowledged an update.
    Acknowledge {
        /// Whose.
        framework_id: FrameworkId,
        /// Which task.
        task_id: TaskId,
        /// Which update.
        uuid: Uuid,
    },
    /// Bytes for an executor.
    Message {
        /// From whom.
        framework_id: FrameworkId,
        /// To whom.
        executor_id: ExecutorId,
        /// What.
        data: Bytes,
    },
    /// A framework of tasks there has subscribed again: updates of these tasks that wait for an acknowledgement are
    /// sent again at once.
    UpdateFramework {
        /// As it describes itself now; `id` is set.
        framework: FrameworkInfo,
    },
    /// Shut an executor down.
    ShutdownExecutor {
        /// Whose.
        framework_id: FrameworkId,
        /// Which.
        executor_id: ExecutorId,
    },
    /// Shut all executors of a framework down: it is removed.
    ShutdownFramework {
        /// Which.
        framework_id: FrameworkId,
    },
    /// Kill everything and end: this agent is not wanted under its id.
    Shutdown {
        /// Why.
        message: String,
    },
    /// Kill all tasks, in their own time, and run no others: the machine is to be emptied. Said again after each
    /// registration, as long as the operator wants it.
    Drain {
        /// The longest that a task may take to end. One that names a grace period gets the shorter of the two, one that names
        /// none gets this; absent: their own, or the default. Source: Mesos `DrainConfig`.
        max_grace_period: Option<Duration>,
    },
    /// The agent may run tasks again.
    Reactivate,
}
