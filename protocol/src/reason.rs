//! Why a task is in its state.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// Every reason, in the order of the wire's numbers.
    pub const ALL: [Reason; 35] = [
        Reason::CommandExecutorFailed,
        Reason::ExecutorTerminated,
        Reason::ExecutorUnregistered,
        Reason::FrameworkRemoved,
        Reason::GcError,
        Reason::InvalidFrameworkId,
        Reason::InvalidOffers,
        Reason::MasterDisconnected,
        Reason::ContainerLimitationMemory,
        Reason::Reconciliation,
        Reason::AgentDisconnected,
        Reason::AgentRemoved,
        Reason::AgentRestarted,
        Reason::AgentUnknown,
        Reason::TaskInvalid,
        Reason::TaskUnauthorized,
        Reason::TaskUnknown,
        Reason::ContainerPreempted,
        Reason::ResourcesUnknown,
        Reason::ContainerLimitation,
        Reason::ContainerLimitationDisk,
        Reason::ContainerLaunchFailed,
        Reason::ContainerUpdateFailed,
        Reason::ExecutorRegistrationTimeout,
        Reason::ExecutorReregistrationTimeout,
        Reason::TaskGroupInvalid,
        Reason::TaskGroupUnauthorized,
        Reason::IoSwitchboardExited,
        Reason::TaskCheckStatusUpdated,
        Reason::TaskHealthCheckStatusUpdated,
        Reason::TaskKilledDuringLaunch,
        Reason::AgentRemovedByOperator,
        Reason::AgentReregistered,
        Reason::MaxCompletionTimeReached,
        Reason::AgentDraining,
    ];

    /// The name on the wire, such as `REASON_INVALID_OFFERS`.
    pub fn name(self) -> String {
        self.as_str().into()
    }

    /// As [`Reason::name`], without a copy.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::CommandExecutorFailed => "REASON_COMMAND_EXECUTOR_FAILED",
            Reason::ExecutorTerminated => "REASON_EXECUTOR_TERMINATED",
            Reason::ExecutorUnregistered => "REASON_EXECUTOR_UNREGISTERED",
            Reason::FrameworkRemoved => "REASON_FRAMEWORK_REMOVED",
            Reason::GcError => "REASON_GC_ERROR",
            Reason::InvalidFrameworkId => "REASON_INVALID_FRAMEWORKID",
            Reason::InvalidOffers => "REASON_INVALID_OFFERS",
            Reason::MasterDisconnected => "REASON_MASTER_DISCONNECTED",
            Reason::ContainerLimitationMemory => "REASON_CONTAINER_LIMITATION_MEMORY",
            Reason::Reconciliation => "REASON_RECONCILIATION",
            Reason::AgentDisconnected => "REASON_AGENT_DISCONNECTED",
            Reason::AgentRemoved => "REASON_AGENT_REMOVED",
            Reason::AgentRestarted => "REASON_AGENT_RESTARTED",
            Reason::AgentUnknown => "REASON_AGENT_UNKNOWN",
            Reason::TaskInvalid => "REASON_TASK_INVALID",
            Reason::TaskUnauthorized => "REASON_TASK_UNAUTHORIZED",
            Reason::TaskUnknown => "REASON_TASK_UNKNOWN",
            Reason::ContainerPreempted => "REASON_CONTAINER_PREEMPTED",
            Reason::ResourcesUnknown => "REASON_RESOURCES_UNKNOWN",
            Reason::ContainerLimitation => "REASON_CONTAINER_LIMITATION",
            Reason::ContainerLimitationDisk => "REASON_CONTAINER_LIMITATION_DISK",
            Reason::ContainerLaunchFailed => "REASON_CONTAINER_LAUNCH_FAILED",
            Reason::ContainerUpdateFailed => "REASON_CONTAINER_UPDATE_FAILED",
            Reason::ExecutorRegistrationTimeout => "REASON_EXECUTOR_REGISTRATION_TIMEOUT",
            Reason::ExecutorReregistrationTimeout => "REASON_EXECUTOR_REREGISTRATION_TIMEOUT",
            Reason::TaskGroupInvalid => "REASON_TASK_GROUP_INVALID",
            Reason::TaskGroupUnauthorized => "REASON_TASK_GROUP_UNAUTHORIZED",
            Reason::IoSwitchboardExited => "REASON_IO_SWITCHBOARD_EXITED",
            Reason::TaskCheckStatusUpdated => "REASON_TASK_CHECK_STATUS_UPDATED",
            Reason::TaskHealthCheckStatusUpdated => "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED",
            Reason::TaskKilledDuringLaunch => "REASON_TASK_KILLED_DURING_LAUNCH",
            Reason::AgentRemovedByOperator => "REASON_AGENT_REMOVED_BY_OPERATOR",
            Reason::AgentReregistered => "REASON_AGENT_REREGISTERED",
            Reason::MaxCompletionTimeReached => "REASON_MAX_COMPLETION_TIME_REACHED",
            Reason::AgentDraining => "REASON_AGENT_DRAINING",
        }
    }

    /// The reason of a name. Mesos's older `REASON_SLAVE_*` is understood.
    pub fn from_name(name: &str) -> Option<Self> {
        let older = name.strip_prefix("REASON_SLAVE_");
        Self::ALL.into_iter().find(|reason| {
            reason.as_str() == name
                || (older.is_some() && reason.as_str().strip_prefix("REASON_AGENT_") == older)
        })
    }

    /// The number on the wire.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The reason of a number on the wire.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| i32::from(reason.number()) == number)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_go_both_ways() {
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(reason.number()), index, "the numbers have no gaps");
            assert_eq!(Reason::from_number(index as i32), Some(reason));
            assert_eq!(Reason::from_name(&reason.name()), Some(reason));
            let words = format!("{reason:?}").to_uppercase();
            assert_eq!(reason.as_str().strip_prefix("REASON_").unwrap().replace('_', ""), words);
        }
        for number in [-1, Reason::ALL.len() as i32, 256] {
            assert_eq!(Reason::from_number(number), None);
        }
    }

    #[test]
    fn the_names_are_those_of_mesos() {
        for (name, number) in [
            ("REASON_INVALID_FRAMEWORKID", 5),
            ("REASON_IO_SWITCHBOARD_EXITED", 27),
            ("REASON_CONTAINER_LIMITATION_MEMORY", 8),
            ("REASON_TASK_INVALID", 14),
            ("REASON_AGENT_DRAINING", 34),
            ("REASON_SLAVE_REMOVED", 11),
        ] {
            assert_eq!(Reason::from_name(name).map(Reason::number), Some(number), "{name}");
        }
        for name in ["REASON_INVALID_FRAMEWORK_ID", "REASON_SLAVE_NONE", "REASON_AGENT_", "REASON_SLAVE_", ""]
        {
            assert_eq!(Reason::from_name(name), None, "{name}");
        }
    }
}
