//! Lets HTTP handlers, which run beside the actor, see the machine. A snapshot is made only when somebody waits for one,
//! at the end of a turn, and is shared by all who wait; turning it into JSON is done elsewhere.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use libactor::shell::ShellHandle;
use tokio::sync::oneshot;

use super::limits::MAX_WAITING;
use super::snapshot::Snapshot;
use crate::core::Input;

/// Requests that wait for a snapshot.
#[derive(Default)]
pub(crate) struct View {
    shell: OnceLock<ShellHandle<Input>>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// The actor has ended.
    closed: bool,
    senders: Vec<oneshot::Sender<Arc<Snapshot>>>,
}

impl View {
    /// The actor runs: who waits can wake it.
    pub(crate) fn begin(&self, shell: ShellHandle<Input>) {
        // It is started once.
        let _ = self.shell.set(shell);
    }

    /// The actor has ended: nobody gets a snapshot any more.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.senders.clear();
    }

    /// The machine as it is now; `None` where the agent is ending or too many ask.
    pub(crate) async fn ask(&self) -> Option<Arc<Snapshot>> {
        let shell = self.shell.get()?;
        let receiver = self.wait()?;
        shell.feed(Input::Look).await.ok()?;
        receiver.await.ok()
    }

    fn wait(&self) -> Option<oneshot::Receiver<Arc<Snapshot>>> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.senders.retain(|one| !one.is_closed());
        if waiting.closed || waiting.senders.len() >= MAX_WAITING {
            return None;
        }
        waiting.senders.push(sender);
        Some(receiver)
    }

    /// Shows the machine to all who wait.
    pub(crate) fn serve(&self, snapshot: impl FnOnce() -> Snapshot) {
        let senders = std::mem::take(&mut self.lock().senders);
        if senders.is_empty() {
            return;
        }
        let snapshot = Arc::new(snapshot());
        for one in senders {
            // Who has gone does not want it any more.
            let _ = one.send(snapshot.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn once_the_actor_has_ended_nobody_waits() {
        let view = View::default();
        let early = view.wait().expect("there is room");
        view.close();
        early.await.expect_err("nobody shows it the machine");
        assert!(view.wait().is_none());
    }
}
