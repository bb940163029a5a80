//! What is said of a task's state, by whom and why.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{AgentId, ExecutorId, FrameworkId, Label, TaskId, TaskState, UnixTime, Uuid};

/// One report of a task's state. Source: Mesos `TaskStatus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Which task.
    pub task_id: TaskId,
    /// Its state.
    pub state: TaskState,
    /// For people.
    pub message: Option<String>,
    /// Who says it.
    pub source: Source,
    /// Why; absent where there is nothing to explain.
    pub reason: Option<Reason>,
    /// From executor to scheduler, as it is.
    pub data: Bytes,
    /// Where the task is or was.
    pub agent_id: Option<AgentId>,
    /// What runs or ran it.
    pub executor_id: Option<ExecutorId>,
    /// When the state was entered, by the clock of `source`.
    pub timestamp: Option<UnixTime>,
    /// Present: must be acknowledged. Absent (the master's own words, reconciliation): must not be.
    pub uuid: Option<Uuid>,
    /// The result of the health check, where there is one.
    pub healthy: Option<bool>,
    /// Free text for tools.
    pub labels: Vec<Label>,
    /// When its agent was marked unreachable.
    pub unreachable_time: Option<UnixTime>,
    /// How the task's process ended: its exit status, or 128 + the signal's number. Ours; Mesos says it only in
    /// `message`.
    pub exit_status: Option<i32>,
}

impl TaskStatus {
    /// A status with a state and a source and nothing else set.
    pub fn new(task_id: TaskId, state: TaskState, source: Source) -> Self {
        Self {
            task_id,
            state,
            message: None,
            source,
            reason: None,
            data: Bytes::new(),
            agent_id: None,
            executor_id: None,
            timestamp: None,
            uuid: None,
            healthy: None,
            labels: Vec::new(),
            unreachable_time: None,
            exit_status: None,
        }
    }

    /// Adds a reason and a message.
    #[must_use]
    pub fn because(mut self, reason: Reason, message: impl Into<String>) -> Self {
        self.reason = Some(reason);
        self.message = Some(message.into());
        self
    }
}

/// A status on its way from an agent to a framework.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// Whose task.
    pub framework_id: FrameworkId,
    /// The status; its `uuid` is set where it comes from an agent.
    pub status: TaskStatus,
    /// The newest state that the agent knows: updates before it may still wait to be acknowledged.
    pub latest_state: TaskState,
}

/// Who says it. Source: Mesos `TaskStatus.Source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The master.
    Master,
    /// The agent.
    #[doc(alias = "SOURCE_SLAVE")]
    Agent,
    /// The executor.
    Executor,
}

/// Why. Source: Mesos `TaskStatus.Reason`; the numbers are those of its wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is Mesos's REASON_ of the same name")]
pub enum Reason {
    CommandExecutorFailed = 0,
    ContainerLaunchFailed = 21,
    ContainerLimitation = 19,
    ContainerLimitationDisk = 20,
    ContainerLimitationMemory = 8,
    ContainerPreempted = 17,
    ContainerUpdateFailed = 22,
    MaxCompletionTimeReached = 33,
    ExecutorRegistrationTimeout = 23,
    ExecutorReregistrationTimeout = 24,
    ExecutorTerminated = 1,
    ExecutorUnregistered = 2,
    FrameworkRemoved = 3,
    GcError = 4,
    InvalidFrameworkId = 5,
    InvalidOffers = 6,
    IoSwitchboardExited = 27,
    MasterDisconnected = 7,
    Reconciliation = 9,
    ResourcesUnknown = 18,
    AgentDisconnected = 10,
    AgentDraining = 34,
    AgentRemoved = 11,
    AgentRemovedByOperator = 31,
    AgentReregistered = 32,
    AgentRestarted = 12,
    AgentUnknown = 13,
    TaskKilledDuringLaunch = 30,
    TaskCheckStatusUpdated = 28,
    TaskHealthCheckStatusUpdated = 29,
    TaskGroupInvalid = 25,
    TaskGroupUnauthorized = 26,
    TaskInvalid = 14,
    TaskUnauthorized = 15,
    TaskUnknown = 16,
}

impl Reason {
    /// The name on the wire, such as `REASON_INVALID_OFFERS`.
    pub fn name(self) -> String {
        let mut name = String::from("REASON");
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }
}
