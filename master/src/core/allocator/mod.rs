//! Who is offered what. Demand and supply go in, grants come out.
//!
//! The allocator is told of frameworks and agents and of every resource that is taken or given back; asked, it says
//! what is to be offered next. What it grants counts as allocated until it is recovered. It knows nothing of offers,
//! tasks or connections.

mod agent;
mod bits;
mod books;
mod check;
mod config;
mod cycle;
mod filters;
mod hierarchical;
mod share;
mod slots;
mod sorter;
mod vector;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libactor::Time;
use protocol::{AgentId, FrameworkId, Resources, Role};

pub use config::{AllocatorConfig, MAX_REFUSE, Quantities};
pub use hierarchical::Hierarchical;

/// What the allocator is told of a framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkDemand {
    /// The roles that it is subscribed to.
    pub roles: BTreeSet<Role>,
    /// Those of them that it wants no offers for.
    pub suppressed: BTreeSet<Role>,
    /// Whether agents with GPUs are for it.
    pub gpus: bool,
    /// Whether it is connected: an inactive framework gets nothing.
    pub active: bool,
}

/// What the allocator says is to be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// To whom.
    pub framework_id: FrameworkId,
    /// For which role.
    pub role: Role,
    /// Whose.
    pub agent_id: AgentId,
    /// What.
    pub resources: Resources,
}

/// Why some agent's resources are not offered to a framework.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Withheld {
    /// The framework is not connected.
    Inactive,
    /// It suppressed this role, or is not subscribed to it.
    Suppressed,
    /// It declined resources that these are a part of, until then.
    Filtered {
        /// When the filter ends.
        until: Time,
    },
    /// The agent has GPUs and the framework does not understand them.
    NeedsGpuCapability,
    /// The agent is not active.
    AgentInactive,
    /// What is free is less than the least that is offered.
    TooLittle,
    /// Nothing stands in the way; it is not its turn.
    NotItsTurn,
}

/// How an allocator decides; replaceable as a whole.
pub trait Allocator: std::fmt::Debug {
    /// A framework has come, with what it already uses, by agent and role.
    fn add_framework(
        &mut self,
        framework_id: &FrameworkId,
        demand: FrameworkDemand,
        used: &BTreeMap<(AgentId, Role), Resources>,
    );
    /// Its roles, suppression, capabilities or connection have changed. Going inactive clears its filters.
    fn update_framework(&mut self, framework_id: &FrameworkId, demand: FrameworkDemand);
    /// It is gone, all that it held is free.
    fn remove_framework(&mut self, framework_id: &FrameworkId);
    /// An agent has come, with what is already in use on it. Frameworks that are not added yet may be named.
    fn add_agent(
        &mut self,
        agent_id: &AgentId,
        total: Resources,
        used: &BTreeMap<(FrameworkId, Role), Resources>,
    );
    /// Its total has changed.
    fn update_agent(&mut self, agent_id: &AgentId, total: Resources);
    /// An inactive agent is not offered.
    fn set_agent_active(&mut self, agent_id: &AgentId, active: bool);
    /// It is gone.
    fn remove_agent(&mut self, agent_id: &AgentId);
    /// What was granted is not (or no longer) used. `refuse`: a filter for as long, not below the allocation interval.
    fn recover(
        &mut self,
        now: Time,
        framework_id: &FrameworkId,
        role: &Role,
        agent_id: &AgentId,
        resources: &Resources,
        refuse: Option<Duration>,
    );
    /// No offers for these roles (empty: all).
    fn suppress(&mut self, framework_id: &FrameworkId, roles: &BTreeSet<Role>);
    /// Offers for these roles again (empty: all), and no filters for them.
    fn revive(&mut self, framework_id: &FrameworkId, roles: &BTreeSet<Role>);
    /// Weights of roles, in thousandths; a role that is not named weighs 1000.
    fn set_weights(&mut self, weights: &BTreeMap<Role, u64>);
    /// Says what is to be offered now; it counts as allocated from here on.
    fn allocate(&mut self, now: Time) -> Vec<Grant>;
    /// Why a framework is not offered what is free on an agent for a role.
    fn withheld(&self, now: Time, framework_id: &FrameworkId, role: &Role, agent_id: &AgentId) -> Withheld;
    /// What is allocated on an agent, by framework and role.
    fn allocated(&self, agent_id: &AgentId) -> BTreeMap<(FrameworkId, Role), Resources>;
    /// Panics if an invariant does not hold (such as: allocated within total, for every agent).
    fn check(&self);
}
