//! Lets HTTP handlers, which run beside the actor, see the machine. A snapshot is made only when somebody waits for one,
//! at the end of a turn, and is shared by all who wait; turning it into JSON is done elsewhere.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libactor::shell::ShellHandle;
use tokio::sync::oneshot;

use super::limits::MAX_WAITING;
use super::snapshot::Snapshot;
use crate::core::Input;

/// Requests that wait for a snapshot.
#[derive(Default)]
pub(crate) struct View {
    shell: OnceLock<ShellHandle<Input>>,
    waiting: Mutex<Vec<oneshot::Sender<Arc<Snapshot>>>>,
}

impl View {
    /// The actor runs: who waits can wake it.
    pub(crate) fn begin(&self, shell: ShellHandle<Input>) {
        // It is started once.
        let _ = self.shell.set(shell);
    }

    /// The machine as it is now; `None` where the agent is ending or too many ask.
    pub(crate) async fn ask(&self) -> Option<Arc<Snapshot>> {
        let shell = self.shell.get()?;
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.retain(|one| !one.is_closed());
            if waiting.len() >= MAX_WAITING {
                return None;
            }
            waiting.push(sender);
        }
        shell.feed(Input::Look).await.ok()?;
        receiver.await.ok()
    }

    /// Shows the machine to all who wait.
    pub(crate) fn serve(&self, snapshot: impl FnOnce() -> Snapshot) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if waiting.is_empty() {
            return;
        }
        let snapshot = Arc::new(snapshot());
        for one in waiting {
            // Who has gone does not want it any more.
            let _ = one.send(snapshot.clone());
        }
    }
}
