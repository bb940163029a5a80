//! Where a disk's threads report.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};

use super::DiskEvent;
use super::queue::lock;

/// How often a thread looks whether a full channel has room.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The way for events. After a failure no event follows; who reports waits while the channel is full, unless all is over.
#[derive(Debug)]
pub(super) struct Events {
    sender: mpsc::Sender<DiskEvent>,
    state: Mutex<State>,
    closed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    failed: bool,
    closing: bool,
}

impl Events {
    pub(super) fn new(sender: mpsc::Sender<DiskEvent>) -> Self {
        Self { sender, state: Mutex::default(), closed: Condvar::new() }
    }

    pub(super) fn send(&self, event: DiskEvent) {
        let mut state = lock(&self.state);
        if state.failed {
            return;
        }
        state.failed = matches!(event, DiskEvent::Failed(_));
        let mut event = event;
        loop {
            match self.sender.try_send(event) {
                Ok(()) | Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(_)) if state.closing => return,
                Err(TrySendError::Full(back)) => event = back,
            }
            state = self.closed.wait_timeout(state, LOOK_AGAIN).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn failed(&self) -> bool {
        lock(&self.state).failed
    }

    /// Nobody waits for events any more.
    pub(super) fn close(&self) {
        lock(&self.state).closing = true;
        self.closed.notify_all();
    }
}
