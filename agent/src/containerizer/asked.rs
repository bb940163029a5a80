//! What is asked of a container while it lives, and told to the one task that looks after it.

use std::sync::{Mutex, PoisonError};

use protocol::Resources;
use tokio::sync::Notify;

use crate::core::Limitation;

/// What is asked of a container.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// It is to end.
    pub(super) kill: bool,
    /// The first limit that it has broken: it is to end for that.
    pub(super) limitation: Option<Limitation>,
    /// What it may use from now on, if that has changed.
    pub(super) update: Option<Resources>,
}

impl Asked {
    /// Whether it is to end, for whatever reason.
    pub(super) fn is_over(&self) -> bool {
        self.kill || self.limitation.is_some()
    }
}

/// Where others ask. One task waits.
#[derive(Debug, Default)]
pub(super) struct Handle {
    asked: Mutex<Asked>,
    changed: Notify,
}

impl Handle {
    fn change(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    /// End it.
    pub(super) fn kill(&self) {
        self.change(|asked| asked.kill = true);
    }

    /// End it for a limit.
    pub(super) fn limit(&self, limitation: Limitation) {
        self.change(|asked| asked.limitation = asked.limitation.take().or(Some(limitation)));
    }

    /// What it may use has changed.
    pub(super) fn update(&self, resources: Resources) {
        self.change(|asked| asked.update = Some(resources));
    }

    /// What is asked now; an update is asked once.
    pub(super) fn take(&self) -> Asked {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = asked.clone();
        asked.update = None;
        taken
    }

    /// Waits until something may have changed since the last [`take`](Self::take). Cancel safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until it is to end. Cancel safe.
    pub(super) async fn over(&self) {
        while !self.asked.lock().unwrap_or_else(PoisonError::into_inner).is_over() {
            self.changed.notified().await;
        }
    }
}
