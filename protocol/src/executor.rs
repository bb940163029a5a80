//! What runs tasks on an agent.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Carried, CommandInfo, ExecutorId, FrameworkId, Label, Resources, wire};

/// Describes a custom executor, as its framework asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorInfo {
    /// Unique within the framework on one agent. The same id on the same agent must come with an equal info.
    pub executor_id: ExecutorId,
    /// The framework; absent from a scheduler's message: the master fills it in.
    pub framework_id: Option<FrameworkId>,
    /// How it is started.
    pub command: CommandInfo,
    /// What the executor itself uses, on top of its tasks.
    pub resources: Resources,
    /// For people.
    pub name: Option<String>,
    /// Given to the executor as it is.
    pub data: Bytes,
    /// Between the request to shut down and the kill; absent: the agent's `--executor_shutdown_grace_period`.
    pub shutdown_grace_period: Option<Duration>,
    /// Free text for tools.
    pub labels: Vec<Label>,
    /// Its type, container, discovery and source.
    pub unread: Option<Carried<wire::v1::ExecutorInfo>>,
}

impl ExecutorInfo {
    /// An executor with an id and a command and nothing else set.
    pub fn new(executor_id: impl Into<ExecutorId>, command: CommandInfo) -> Self {
        Self {
            executor_id: executor_id.into(),
            framework_id: None,
            command,
            resources: Resources::default(),
            name: None,
            data: Bytes::new(),
            shutdown_grace_period: None,
            labels: Vec::new(),
            unread: None,
        }
    }
}
