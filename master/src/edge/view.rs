//! Lets HTTP handlers and blocking threads, which run beside the actor, see the machine. A snapshot is taken only when
//! somebody waits for one, at the end of a turn, and is shared by all who wait.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::feeder::Feeder;
use super::snapshot::Snapshot;
use crate::core::Input;

/// Most who wait for one snapshot; further ones are refused. Ours: a snapshot takes less than a turn.
const MAX_WAITING: usize = 4096;

/// Those who wait for a snapshot.
#[derive(Debug)]
pub(crate) struct View {
    feeder: Arc<Feeder>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The actor has ended.
    closed: bool,
    senders: Vec<oneshot::Sender<Snapshot>>,
}

impl View {
    /// Nobody waits yet.
    pub(crate) fn new(feeder: Arc<Feeder>) -> Self {
        Self { feeder, waiting: Mutex::default() }
    }

    /// The actor has ended: nobody gets a snapshot any more.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.closed = true;
        waiting.senders.clear();
    }

    /// Whether there is a machine to look at.
    pub(crate) fn is_open(&self) -> bool {
        self.feeder.is_open()
    }

    /// The machine as it is now; `None` where the master is ending or too many ask.
    pub(crate) async fn ask(&self) -> Option<Snapshot> {
        let receiver = self.wait()?;
        self.feeder.feed(Input::Look).await;
        receiver.await.ok()
    }

    /// As [`View::ask`], for a thread that may block.
    pub(crate) fn ask_blocking(&self) -> Option<Snapshot> {
        let receiver = self.wait()?;
        // A full mailbox means that a turn is under way, at whose end there is a look.
        let _ = self.feeder.try_feed(Input::Look);
        receiver.blocking_recv().ok()
    }

    fn wait(&self) -> Option<oneshot::Receiver<Snapshot>> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.senders.retain(|one| !one.is_closed());
        if waiting.closed || waiting.senders.len() >= MAX_WAITING {
            return None;
        }
        waiting.senders.push(sender);
        Some(receiver)
    }

    /// Shows the machine to all who wait.
    pub(crate) fn serve(&self, snapshot: impl FnOnce() -> Snapshot) {
        let senders =
            std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner).senders);
        if senders.is_empty() {
            return;
        }
        let snapshot = snapshot();
        for one in senders {
            // Who has gone does not want it any more.
            let _ = one.send(snapshot.clone());
        }
    }
}
