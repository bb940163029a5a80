//! Who asks for resources.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{FrameworkId, Label, Role};

/// Describes a framework. Source: Mesos `FrameworkInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkInfo {
    /// The user that its tasks run as unless they say otherwise; empty: the user of the agent.
    pub user: String,
    /// For people.
    pub name: String,
    /// Absent at the first subscription; afterwards the identity that the master assigned.
    pub id: Option<FrameworkId>,
    /// How long its tasks go on after its scheduler disconnects. Zero: they are killed at once.
    pub failover_timeout: Duration,
    /// Whether its tasks survive a restart of the agent's process.
    pub checkpoint: bool,
    /// The roles it is offered resources of; never empty once subscribed (`*` when unset).
    pub roles: BTreeSet<Role>,
    /// Where its scheduler runs, for people.
    pub hostname: Option<String>,
    /// Who it is, for authorization; can't change on a resubscription.
    pub principal: Option<String>,
    /// Its own page, for people.
    pub webui_url: Option<String>,
    /// What it understands beyond the basics.
    pub capabilities: BTreeSet<Capability>,
    /// Free text for tools.
    pub labels: Vec<Label>,
}

/// What a framework understands; each changes what it is sent. Source: Mesos `FrameworkInfo.Capability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Capability {
    /// Wants revocable resources in offers.
    RevocableResources,
    /// Wants TASK_KILLING.
    TaskKillingState,
    /// Wants agents that have GPUs; without it they are not offered at all.
    GpuResources,
    /// Understands shared volumes.
    SharedResources,
    /// Wants TASK_UNREACHABLE, TASK_DROPPED, TASK_GONE and so on in place of TASK_LOST.
    PartitionAware,
    /// Subscribes with several roles.
    MultiRole,
    /// Understands stacks of reservations.
    ReservationRefinement,
    /// Wants agents of other regions than the master's.
    RegionAware,
}

impl FrameworkInfo {
    /// A framework of role `*` with a name and nothing else set.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            user: String::new(),
            name: name.into(),
            id: None,
            failover_timeout: Duration::ZERO,
            checkpoint: false,
            roles: BTreeSet::from([Role::default()]),
            hostname: None,
            principal: None,
            webui_url: None,
            capabilities: BTreeSet::new(),
            labels: Vec::new(),
        }
    }

    /// Whether it has a capability.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
