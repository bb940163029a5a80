//! What the handles of a driver and its session share.

use libactor::driver;
use tokio::sync::mpsc;

use crate::Status;
use crate::core::{DriverCall, Input};

/// The state that handles see, and the way of their calls to the session.
pub(crate) type Shared = driver::Shared<Input, Status>;

/// Of a driver that is to be started.
pub(crate) fn shared(calls: mpsc::Sender<Input>) -> Shared {
    Shared::new(calls, Status::NotStarted, Status::Running)
}

impl From<DriverCall> for Input {
    fn from(call: DriverCall) -> Self {
        Self::Call(call)
    }
}
