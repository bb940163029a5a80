//! Lets HTTP handlers, which run beside the actor, see the machine.

use std::sync::{Mutex, OnceLock, PoisonError};

use libactor::shell::ShellHandle;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::core::Input;

/// Most requests that wait for one look; further ones are refused. Ours.
const MAX_WAITING: usize = 64;

/// Requests that wait to be shown the machine's state.
#[derive(Default)]
pub(crate) struct View {
    shell: OnceLock<ShellHandle<Input>>,
    waiting: Mutex<Vec<oneshot::Sender<Value>>>,
}

impl View {
    /// The actor runs: who waits can wake it.
    pub(crate) fn begin(&self, shell: ShellHandle<Input>) {
        // It is started once.
        let _ = self.shell.set(shell);
    }

    /// The state as it is now; `None` where the agent is ending or too many ask.
    pub(crate) async fn ask(&self) -> Option<Value> {
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

    /// Shows the state to all who wait; it is made only if somebody does.
    pub(crate) fn serve(&self, state: impl FnOnce() -> Value) {
        let mut lock = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = std::mem::take(&mut *lock);
        drop(lock);
        if waiting.is_empty() {
            return;
        }
        let state = state();
        for one in waiting {
            // Who has gone does not want it any more.
            let _ = one.send(state.clone());
        }
    }
}
