//! The state of a driver, a scheduler's or an executor's.

use std::fmt;

/// The state of a driver. Source: Mesos `Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// `start` was not called.
    #[doc(alias = "DRIVER_NOT_STARTED")]
    NotStarted,
    /// Subscribed, or trying to be.
    #[doc(alias = "DRIVER_RUNNING")]
    Running,
    /// `stop` was called.
    #[doc(alias = "DRIVER_STOPPED")]
    Stopped,
    /// `abort` was called, or an error ended it; an executor's: or a shutdown.
    #[doc(alias = "DRIVER_ABORTED")]
    Aborted,
}

impl Status {
    /// The name as Mesos prints it.
    pub fn name(self) -> &'static str {
        match self {
            Status::NotStarted => "DRIVER_NOT_STARTED",
            Status::Running => "DRIVER_RUNNING",
            Status::Stopped => "DRIVER_STOPPED",
            Status::Aborted => "DRIVER_ABORTED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
