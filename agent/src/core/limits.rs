//! Bounds and default durations of the agent machine, each with its source.

use std::time::Duration;

/// Longest wait between two attempts to register. Source: Mesos `REGISTER_RETRY_INTERVAL_MAX`.
pub const MAX_REGISTRATION_BACKOFF: Duration = Duration::from_secs(60);
/// First wait for the acknowledgement of a status update. Source: Mesos `STATUS_UPDATE_RETRY_INTERVAL_MIN`.
pub const MIN_UPDATE_RETRY: Duration = Duration::from_secs(10);
/// Longest wait for it. Source: Mesos `STATUS_UPDATE_RETRY_INTERVAL_MAX`.
pub const MAX_UPDATE_RETRY: Duration = Duration::from_secs(600);
/// Default of `--registration_backoff_factor`. Source: Mesos.
pub const REGISTRATION_BACKOFF_FACTOR: Duration = Duration::from_secs(1);
/// Default of `--executor_registration_timeout`. Source: Mesos.
pub const EXECUTOR_REGISTRATION_TIMEOUT: Duration = Duration::from_secs(60);
/// Default of `--executor_shutdown_grace_period`. Source: Mesos.
pub const EXECUTOR_SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_secs(5);
/// Default of `--recovery_timeout`. Source: Mesos.
pub const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Default of `--executor_reregistration_timeout`. Executors that are to come back are told half of it as the longest wait
/// between two attempts. Source: Mesos.
pub const EXECUTOR_REREGISTRATION_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two heartbeats on an executor's stream; the first comes that long after the subscription. Source: Mesos
/// `DEFAULT_EXECUTOR_HEARTBEAT_INTERVAL`.
pub const EXECUTOR_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30 * 60);
/// How long, beyond the longest grace period, an agent that leaves waits for the kernel to end killed processes
/// (a process in an uninterruptible wait can't be killed). Ours.
pub const LEAVE_SLACK: Duration = Duration::from_secs(10);
/// Most updates that wait in one task's stream. Above it a non-terminal update takes the place of the last waiting
/// one of the same state; a terminal one is always kept. Ours.
pub const MAX_PENDING_UPDATES: usize = 256;
/// How many uuids a stream remembers to tell repeated updates from new ones: all that may wait, and as many that
/// were acknowledged before. Ours.
pub const MAX_REMEMBERED_UUIDS: usize = 2 * MAX_PENDING_UPDATES;
/// Most tasks that an agent holds, those with an unacknowledged terminal update included. Ours: ten times what a
/// kernel with its usual `pid_max` can run.
pub const MAX_TASKS: usize = 320_000;
/// Most frameworks that are over and remembered. Source: Mesos `MAX_COMPLETED_FRAMEWORKS`.
pub const MAX_COMPLETED_FRAMEWORKS: usize = 50;
/// Most runs of executors that are over and remembered, of one framework. Source: Mesos, default of
/// `--max_completed_executors_per_framework`.
pub const MAX_COMPLETED_EXECUTORS_PER_FRAMEWORK: usize = 150;
/// Most tasks that are over and remembered, of one run. Source: Mesos `MAX_COMPLETED_TASKS_PER_EXECUTOR`.
pub const MAX_COMPLETED_TASKS_PER_EXECUTOR: usize = 200;
/// Most runs that are over and remembered, of all frameworks together. Ours: more than those of all frameworks that are
/// over.
pub const MAX_COMPLETED_EXECUTORS: usize = 10_000;
/// Most tasks that are over and remembered, of all together. Ours: some 50 MB.
pub const MAX_COMPLETED_TASKS: usize = 20_000;
/// CPUs of the command executor, thousandths. Source: Mesos `DEFAULT_EXECUTOR_CPUS`.
pub const COMMAND_EXECUTOR_CPUS_MILLIS: u64 = 100;
/// Memory of the command executor, MB. Source: Mesos `DEFAULT_EXECUTOR_MEM`.
pub const COMMAND_EXECUTOR_MEM_MB: u64 = 32;
