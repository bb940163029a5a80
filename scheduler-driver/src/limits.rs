//! Bounds and waits of the driver.

use std::time::Duration;

/// Callbacks that wait for the scheduler before offers, messages and repeated updates are shed. Ours.
pub const MAX_CALLBACKS: usize = 4_096;
/// What can't be shed (the master's own updates, lost agents, connection changes) may wait up to this many callbacks;
/// one more ends the driver with an error. Ours.
pub const MAX_CALLBACKS_HARD: usize = 2 * MAX_CALLBACKS;
/// Calls of the framework that wait for the session actor; one more ends the driver with an error. Ours.
pub const MAX_CALLS: usize = 65_536;
/// The first wait before a leader that did not answer is asked again; doubled each time. Ours; Mesos has 2 s.
pub const MIN_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait before a leader that did not answer is asked again. Ours; Mesos has 1 minute.
pub const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// How long a master may take to answer the first subscription; doubled each time. Ours.
pub const MIN_ATTEMPT: Duration = Duration::from_millis(500);
/// The longest that a master may take to answer. Ours.
pub const MAX_ATTEMPT: Duration = Duration::from_secs(15);
/// When nobody has led for so long, that is said in the log. Ours.
pub const PATIENCE: Duration = Duration::from_secs(1);
