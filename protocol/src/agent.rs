//! Who offers resources.

use serde::{Deserialize, Serialize};

use crate::{AgentId, Attributes, Resources};

/// Describes an agent. Source: Mesos `SlaveInfo`.
#[doc(alias = "SlaveInfo")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// Where it runs, as others reach it.
    pub hostname: String,
    /// The port of its node.
    pub port: u16,
    /// All that it offers.
    pub resources: Resources,
    /// What else tells it from other agents.
    pub attributes: Attributes,
    /// Absent until the first registration.
    pub id: Option<AgentId>,
}
