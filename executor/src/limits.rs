//! Bounds and waits of executors.

use std::time::Duration;

/// Updates that the agent has not acknowledged; one more ends the executor with an error. Ours.
pub const MAX_UNACKNOWLEDGED: usize = 65_536;
/// Callbacks that wait before messages of the framework are dropped. Ours.
pub const MAX_CALLBACKS: usize = 4_096;
/// Launches, kills and the like may wait up to this many callbacks; one more ends the executor with an error. Ours.
pub const MAX_CALLBACKS_HARD: usize = 65_536;
/// Calls of the executor that wait for the session actor; one more ends the driver with an error. Ours.
pub const MAX_CALLS: usize = 65_536;
/// An unanswered subscription is repeated after this long, or `MESOS_SUBSCRIPTION_BACKOFF_MAX` if that is shorter. Ours.
pub const SUBSCRIBE_REPEAT: Duration = Duration::from_secs(5);
/// Updates that could not be queued for the agent are repeated after this long. Ours.
pub const UPDATE_REPEAT: Duration = Duration::from_secs(1);
/// How long the end of an executor waits until its last updates are acknowledged. Source: Mesos's command executor.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The same for an executor whose agent remembers it: what it says last must not be lost with an agent that is killed before
/// it has written it down. Counts anew when the agent is back. Ours.
pub const DRAIN_TIMEOUT_CHECKPOINT: Duration = Duration::from_secs(60);
/// The first wait before subscribing again, so that an agent that is back at once is found at once; doubled up to
/// `MESOS_SUBSCRIPTION_BACKOFF_MAX`. Ours.
pub const MIN_BACKOFF: Duration = Duration::from_millis(50);
/// Source: Mesos `RECOVERY_TIMEOUT`.
pub const DEFAULT_RECOVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Source: Mesos `EXECUTOR_SUBSCRIPTION_BACKOFF_MAX`.
pub const DEFAULT_BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Source: Mesos `DEFAULT_EXECUTOR_SHUTDOWN_GRACE_PERIOD`.
pub const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Between an answer to a check and the next time that is asked, at least: an interval of zero would be a loop. Ours.
pub const MIN_PROBE_INTERVAL: Duration = Duration::from_millis(100);
/// Between two reports of one check: what has changed meanwhile is told together. Ours.
pub const REPORT_PACE: Duration = Duration::from_secs(1);
/// Most bytes of the head of an answer to an HTTP check. Ours.
pub const MAX_PROBE_HEAD: usize = 64 << 10;
/// Most bytes of its body that are read, so that the server can end well. Ours.
pub const MAX_PROBE_BODY: usize = 1 << 20;
/// For how long the body is read. Ours.
pub const PROBE_BODY_PATIENCE: Duration = Duration::from_millis(250);
/// Most redirections that an HTTP check follows. Ours; Mesos's curl follows 50.
pub const MAX_PROBE_REDIRECTS: usize = 10;
