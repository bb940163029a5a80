//! The orderly end of a node.

use tokio::time::timeout;

use super::Node;
use crate::limits::SHUTDOWN_WAIT;
use crate::sync::{lock, read};

impl Node {
    /// Stops the actors, writes what is queued, closes the sockets. Returns when that is done, or has taken too long.
    /// A second call waits as well.
    pub async fn shutdown(&self) {
        let entries: Vec<_> = {
            // Whoever is being spawned is in this list, or is refused.
            let actors = read(&self.0.actors);
            self.0.stopping.cancel();
            actors.values().cloned().collect()
        };
        for entry in &entries {
            entry.stop.cancel();
        }
        let stopped = async {
            for entry in &entries {
                entry.mailbox.closed().await;
            }
        };
        if timeout(SHUTDOWN_WAIT, stopped).await.is_err() {
            tracing::warn!("some actors of {} did not stop in time", self.address());
        }
        drop(entries);
        // What the actors said at their end is written now.
        self.0.closing.cancel();
        let flushed = async {
            loop {
                let peer = lock(&self.0.peers).values().next().cloned();
                match peer {
                    Some(peer) => peer.ended().await,
                    None => break,
                }
            }
        };
        if timeout(SHUTDOWN_WAIT, flushed).await.is_err() {
            tracing::warn!("some messages of {} could not be written in time", self.address());
        }
        self.0.closed.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        lock(&self.0.peers).clear();
        self.set_filter(None);
    }

    /// Whether [`Node::shutdown`] has been called.
    pub fn is_shut_down(&self) -> bool {
        self.0.stopping.is_cancelled()
    }
}
