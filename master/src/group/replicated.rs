//! The registry, as the master machine's shell sees it: what it puts in goes to the replica, and comes back when a majority of
//! the masters has it.

use libactor::{Clock, ShellHandle};

use super::lane::Lane;
use super::metrics::Store;
use crate::core::Input;
use crate::registry::Operation;
use crate::replication;
use crate::shell::Registry;

/// Where the operations of one lead go.
pub(super) struct Replicated {
    /// Of this turn.
    turn: Vec<Operation>,
    proposals: Lane<Operation>,
    store: Store,
    clock: Clock,
}

impl Replicated {
    /// Puts operations into this lane.
    pub(super) fn new(proposals: Lane<Operation>, store: Store, clock: Clock) -> Self {
        Self { turn: Vec::new(), proposals, store, clock }
    }
}

impl Registry for Replicated {
    fn apply(&mut self, operation: Operation) {
        self.turn.push(operation);
    }

    fn flush(&mut self) {
        if !self.turn.is_empty() {
            self.store.asked(self.turn.len(), self.clock.now());
            self.proposals.put(self.turn.drain(..));
        }
    }
}

/// Carries what the lead of a term proposes to the replica, all that waits at once.
pub(super) async fn propose(term: u64, proposals: Lane<Operation>, replica: ShellHandle<replication::Input>) {
    while let Some(operations) = proposals.take().await {
        if replica.feed(replication::Input::Propose { term, operations }).await.is_err() {
            return;
        }
    }
}

/// Carries what is committed back to the master machine of that lead.
pub(super) async fn apply(committed: Lane<Operation>, master: ShellHandle<Input>) {
    while let Some(operations) = committed.take().await {
        for operation in operations {
            if committed.is_closed() || master.feed(Input::Applied { operation }).await.is_err() {
                return;
            }
        }
    }
}
