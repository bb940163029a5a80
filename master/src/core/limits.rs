//! Bounds and defaults of the master. Source: Mesos (`src/master/constants.hpp`) unless it says "ours".

use std::time::Duration;

use protocol::Scalar;

/// Between two allocations.
pub const ALLOCATION_INTERVAL: Duration = Duration::from_secs(1);
/// Between two heartbeats to a framework on a stream.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// Between two pings of an agent.
pub const AGENT_PING_TIMEOUT: Duration = Duration::from_secs(15);
/// Unanswered pings in a row that make an agent unreachable.
pub const MAX_AGENT_PING_TIMEOUTS: u32 = 5;
/// How long a disconnected agent has to register again.
pub const AGENT_REREGISTER_TIMEOUT: Duration = Duration::from_secs(600);
/// Between two looks at what the registry remembers of agents that are away.
pub const REGISTRY_GC_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// How long an agent that is away is remembered.
pub const REGISTRY_MAX_AGENT_AGE: Duration = Duration::from_secs(14 * 24 * 3600);
/// Share of the agents that a new master waits for that it may remove, in percent.
pub const RECOVERY_AGENT_REMOVAL_LIMIT: u32 = 100;
/// Agents in one operation that forgets them (ours: it stays small among others).
pub const MAX_AGENTS_IN_PRUNE: usize = 1000;
/// Frameworks remembered after their end.
pub const MAX_COMPLETED_FRAMEWORKS: usize = 50;
/// Tasks remembered after their end, a framework.
pub const MAX_COMPLETED_TASKS_PER_FRAMEWORK: usize = 1000;
/// Tasks on unreachable agents remembered, a framework.
pub const MAX_UNREACHABLE_TASKS_PER_FRAMEWORK: usize = 1000;
/// Agents remembered after they were removed: what one of them says later is answered with a shutdown.
pub const MAX_REMOVED_AGENTS: usize = 100_000;
/// Unreachable agents remembered (Mesos: `--registry_max_agent_count`).
pub const MAX_UNREACHABLE_AGENTS: usize = 102_400;
/// Offers in one event (ours: keeps an event far below the frame limit).
pub const MAX_OFFERS_PER_EVENT: usize = 500;
/// Statuses kept of one task (ours; legal transitions give 6, an agent that comes and goes gives more).
pub const MAX_STATUSES_PER_TASK: usize = 32;
/// Frameworks that are subscribed, disconnected or recovered (ours): one more is refused.
pub const MAX_FRAMEWORKS: usize = 100_000;
/// Agents that are registered or on their way to be (as many as Mesos's registry remembers): one more is refused.
pub const MAX_AGENTS: usize = 102_400;
/// Tasks of one framework whose end it has not acknowledged (ours): one more is refused.
pub const MAX_TASKS_PER_FRAMEWORK: usize = 1_000_000;
/// Agents remembered that an operator has marked as gone (as many as Mesos's registry remembers).
pub const MAX_GONE_AGENTS: usize = 102_400;
/// Frameworks remembered after their end, so that their ids can't subscribe again (ours).
pub const MAX_REMOVED_FRAMEWORKS: usize = 100_000;
/// Subscriptions and descriptions of one framework that wait for the registry (ours): one more is passed over.
pub const MAX_SUBSCRIPTIONS_UNDER_WAY: usize = 16;
/// Roles whose weight is set (ours): one more is refused.
pub const MAX_WEIGHTS: usize = 10_000;
/// Requests of operators that wait for the registry (ours): one more is refused.
pub const MAX_OPERATOR_REQUESTS: usize = 100;
/// Machines in the maintenance schedule (ours): one more is refused.
pub const MAX_MACHINES: usize = 10_000;
/// Least cpus of an executor of task groups.
pub const MIN_GROUP_CPUS: Scalar = Scalar::from_millis(10);
/// Least memory of an executor of task groups, in MB.
pub const MIN_GROUP_MEM: Scalar = Scalar::from_millis(32_000);
