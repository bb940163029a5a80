//! Offers and what is done with them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AgentId, Attributes, ExecutorId, ExecutorInfo, FrameworkId, OfferId, Resources, Role, TaskInfo};

/// Resources of one agent, offered to one framework for one role. Locked until accepted, declined, rescinded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Used at most once.
    pub id: OfferId,
    /// To whom.
    pub framework_id: FrameworkId,
    /// Whose resources.
    pub agent_id: AgentId,
    /// Where the agent runs.
    pub hostname: String,
    /// The address of the agent's node, `ip:port`.
    pub address: String,
    /// The role that they are offered for.
    pub role: Role,
    /// What is offered.
    pub resources: Resources,
    /// The agent's.
    pub attributes: Attributes,
    /// This framework's executors on that agent.
    pub executor_ids: Vec<ExecutorId>,
}

/// How long resources that were not wanted stay away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filters {
    /// For this long, offers of (a part of) the same resources of that agent are withheld. Zero: no filter.
    pub refuse: Duration,
}

impl Filters {
    /// What an absent or negative `refuse_seconds` means. Source: Mesos.
    pub const DEFAULT_REFUSE: Duration = Duration::from_secs(5);
    /// The longest. Source: Mesos.
    pub const MAX_REFUSE: Duration = Duration::from_secs(365 * 24 * 3600);

    /// From Mesos's `refuse_seconds`: negative and NaN mean the default, too much is capped.
    pub fn from_seconds(seconds: f64) -> Self {
        let refuse = match Duration::try_from_secs_f64(seconds) {
            Ok(refuse) => refuse.min(Self::MAX_REFUSE),
            Err(_) if seconds > 0.0 => Self::MAX_REFUSE,
            Err(_) => Self::DEFAULT_REFUSE,
        };
        Self { refuse }
    }
}

impl Default for Filters {
    fn default() -> Self {
        Self { refuse: Self::DEFAULT_REFUSE }
    }
}

/// What a framework does with the resources of offers, in order. Grows with reservations and volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Starts tasks, each judged by itself.
    Launch {
        /// The tasks, in order.
        tasks: Vec<TaskInfo>,
    },
    /// Starts tasks together with one executor: all of them, or none. A kill of one kills all.
    LaunchGroup {
        /// What runs them; the tasks name none.
        executor: ExecutorInfo,
        /// The tasks, in order; not none.
        tasks: Vec<TaskInfo>,
    },
}

impl Operation {
    /// The tasks that it starts.
    pub fn tasks(&self) -> &[TaskInfo] {
        match self {
            Operation::Launch { tasks } | Operation::LaunchGroup { tasks, .. } => tasks,
        }
    }
}
