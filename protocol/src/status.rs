//! What is said of a task's state, by whom and why.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, Carried, CheckStatus, ExecutorId, FrameworkId, Label, TaskId, TaskState, UnixTime, Uuid, wire,
};

pub use crate::reason::Reason;

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
    /// The result of its check, its container's status, and the limit that it broke.
    pub unread: Option<Carried<wire::v1::TaskStatus>>,
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
            unread: None,
        }
    }

    /// Adds a reason and a message.
    #[must_use]
    pub fn because(mut self, reason: Reason, message: impl Into<String>) -> Self {
        self.reason = Some(reason);
        self.message = Some(message.into());
        self
    }

    /// Adds the last result of the task's check.
    #[must_use]
    pub fn with_check(mut self, status: CheckStatus) -> Self {
        let carried = self.unread.as_ref().map(Carried::read).unwrap_or_default();
        let check_status = Some(status.to_wire());
        self.unread = Carried::new(&wire::v1::TaskStatus { check_status, ..carried });
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

impl Source {
    /// Every source, in the order of the wire's numbers.
    pub const ALL: [Source; 3] = [Source::Master, Source::Agent, Source::Executor];

    /// The name on the wire, such as `SOURCE_MASTER`.
    pub fn name(self) -> &'static str {
        match self {
            Source::Master => "SOURCE_MASTER",
            Source::Agent => "SOURCE_AGENT",
            Source::Executor => "SOURCE_EXECUTOR",
        }
    }

    /// The source of a name; Mesos's older `SOURCE_SLAVE` is understood.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "SOURCE_SLAVE" { "SOURCE_AGENT" } else { name };
        Self::ALL.into_iter().find(|source| source.name() == name)
    }

    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The source of a number on the wire.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|source| i32::from(source.number()) == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_the_numbers_and_names_of_the_wire() {
        for (number, name) in [(0, "SOURCE_MASTER"), (1, "SOURCE_AGENT"), (2, "SOURCE_EXECUTOR")] {
            let source = Source::from_number(number).unwrap();
            assert_eq!((i32::from(source.number()), source.name()), (number, name));
            assert_eq!(Source::from_name(name), Some(source));
        }
        assert_eq!(Source::from_name("SOURCE_SLAVE"), Some(Source::Agent));
        assert_eq!((Source::from_number(3), Source::from_name("")), (None, None));
    }
}
