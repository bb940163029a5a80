//! What an operator may set.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::Role;

use super::allocator::AllocatorConfig;
use super::limits;

/// Settings of a master. The defaults are Mesos's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterConfig {
    /// Where others reach this master, `master@ip:port`; told to schedulers.
    pub pid: String,
    /// For people.
    pub hostname: String,
    /// Of the program.
    pub version: String,
    /// The name of the cluster, for people.
    pub cluster: Option<String>,
    /// Between two allocations that nothing else asks for. `--allocation_interval`.
    pub allocation_interval: Duration,
    /// How long an offer stays valid; absent: until it is answered. `--offer_timeout`.
    pub offer_timeout: Option<Duration>,
    /// Between two pings of an agent. `--agent_ping_timeout`.
    pub agent_ping_timeout: Duration,
    /// Pings in a row that an agent may leave without an answer. `--max_agent_ping_timeouts`.
    pub max_agent_ping_timeouts: u32,
    /// How long a disconnected agent has to register again. `--agent_reregister_timeout`.
    pub agent_reregister_timeout: Duration,
    /// At most so many agents in this time become unreachable because they do not answer, or have not come back to a new
    /// master; absent: as many as there are. `--agent_removal_rate_limit`, such as `1/10mins`.
    pub agent_removal_rate_limit: Option<(u32, Duration)>,
    /// The share of the agents that a new master waits for, in percent, that it may make unreachable. Where more of them stay
    /// away it gives up leading. `--recovery_agent_removal_limit`.
    pub recovery_agent_removal_limit: u32,
    /// Between two looks at what the registry remembers of agents that are away. `--registry_gc_interval`.
    pub registry_gc_interval: Duration,
    /// How long such an agent is remembered. `--registry_max_agent_age`.
    pub registry_max_agent_age: Duration,
    /// How many are, of those that are unreachable and of those that are gone. `--registry_max_agent_count`.
    pub registry_max_agent_count: usize,
    /// Frameworks that are remembered after their end. `--max_completed_frameworks`.
    pub max_completed_frameworks: usize,
    /// Tasks that are remembered after their end. `--max_completed_tasks_per_framework`.
    pub max_completed_tasks_per_framework: usize,
    /// Tasks on unreachable agents that are remembered. `--max_unreachable_tasks_per_framework`.
    pub max_unreachable_tasks_per_framework: usize,
    /// Most frameworks, tasks of one framework, and agents that there may be at a time.
    pub bounds: Bounds,
    /// What the allocator is made with; its allocation interval is the one above.
    pub allocator: AllocatorConfig,
    /// Weights of roles, in thousandths; a role that is not named weighs 1000. `--weights`.
    pub weights: BTreeMap<Role, u64>,
}

/// How much a master takes on before it refuses more: nobody from outside can make it grow without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Frameworks that are subscribed, disconnected or recovered.
    pub frameworks: usize,
    /// Tasks of one framework whose end it has not acknowledged.
    pub tasks_per_framework: usize,
    /// Agents that are registered, on their way to be, or waited for.
    pub agents: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            frameworks: limits::MAX_FRAMEWORKS,
            tasks_per_framework: limits::MAX_TASKS_PER_FRAMEWORK,
            agents: limits::MAX_AGENTS,
        }
    }
}

impl Default for MasterConfig {
    fn default() -> Self {
        Self {
            pid: String::new(),
            hostname: "localhost".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: None,
            allocation_interval: limits::ALLOCATION_INTERVAL,
            offer_timeout: None,
            agent_ping_timeout: limits::AGENT_PING_TIMEOUT,
            max_agent_ping_timeouts: limits::MAX_AGENT_PING_TIMEOUTS,
            agent_reregister_timeout: limits::AGENT_REREGISTER_TIMEOUT,
            agent_removal_rate_limit: None,
            recovery_agent_removal_limit: limits::RECOVERY_AGENT_REMOVAL_LIMIT,
            registry_gc_interval: limits::REGISTRY_GC_INTERVAL,
            registry_max_agent_age: limits::REGISTRY_MAX_AGENT_AGE,
            registry_max_agent_count: limits::MAX_UNREACHABLE_AGENTS,
            max_completed_frameworks: limits::MAX_COMPLETED_FRAMEWORKS,
            max_completed_tasks_per_framework: limits::MAX_COMPLETED_TASKS_PER_FRAMEWORK,
            max_unreachable_tasks_per_framework: limits::MAX_UNREACHABLE_TASKS_PER_FRAMEWORK,
            bounds: Bounds::default(),
            allocator: AllocatorConfig::default(),
            weights: BTreeMap::new(),
        }
    }
}

impl MasterConfig {
    /// Without a ping for this long an agent must register again: what the agents are told.
    pub fn total_ping_timeout(&self) -> Duration {
        self.agent_ping_timeout.saturating_mul(self.max_agent_ping_timeouts)
    }
}
