//! Links, as the node keeps them; see [`crate::links`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use super::Node;
use crate::actor::{Entry, Letter};
use crate::links::Inward;
use crate::net::{Outgoing, Refused};
use crate::sync::lock;
use crate::{AskError, Pid};

impl Node {
    /// An actor of this node wants to know of another's end.
    pub(crate) fn link(&self, watcher: &Arc<Entry>, target: &Pid) {
        let first = {
            let mut links = lock(&self.0.links);
            // Under the lock: an actor that ends takes its name back first, and then looks for links.
            let here = target.address() == self.address();
            let gone = target.stream_id().is_some() || (here && self.entry(target.name()).is_none());
            if gone { Err(()) } else { Ok(links.add(watcher, target)) }
        };
        let Ok(first) = first else {
            return watcher.notify(Letter::Exited(target.clone()), &self.0.runtime);
        };
        if let (Some(id), true) = (first, target.address() != self.address()) {
            self.say(target.address(), Outgoing::Link { id, to: target.shared_name() });
        }
    }

    /// It no longer does.
    pub(crate) fn unlink(&self, watcher: &Arc<Entry>, target: &Pid) {
        let last = lock(&self.0.links).remove(watcher.life, target);
        self.forget_links(last.map(|id| (target.clone(), id)));
    }

    /// An actor is gone: what it wanted to know interests nobody.
    pub(super) fn drop_links_of(&self, life: u64) {
        let last = lock(&self.0.links).remove_all(life);
        self.forget_links(last);
    }

    fn forget_links(&self, targets: impl IntoIterator<Item = (Pid, u64)>) {
        for (target, id) in targets {
            if target.address() != self.address() {
                self.say(target.address(), Outgoing::Unlink { id });
            }
        }
    }

    /// Queues a link or its end for a peer; it must not get lost while the connection lives, so it queues up if it must.
    fn say(&self, address: SocketAddr, outgoing: Outgoing) {
        let id = match &outgoing {
            Outgoing::Link { id, .. } => Some(*id),
            _ => None,
        };
        let Some(peer) = self.peer(address) else {
            // No more peers: nothing will be known of that actor.
            return id.into_iter().for_each(|id| self.link_ended(id, address));
        };
        let node = self.clone();
        // A queue has room as a rule; then this does not wait.
        if let Err(Refused::Full(outgoing) | Refused::Forgotten(outgoing)) = peer.offer(outgoing) {
            self.spawn_task(async move {
                if node.send_to(address, outgoing).await.is_err() {
                    id.into_iter().for_each(|id| node.link_ended(id, address));
                }
            });
        }
    }

    /// The actor of a link is gone. Only the node that it lives on may say so.
    pub(crate) fn link_ended(&self, id: u64, said_by: SocketAddr) {
        let ended = {
            let mut links = lock(&self.0.links);
            if !links.is_at(id, said_by) {
                return;
            }
            links.end(id)
        };
        self.tell_watchers(ended);
    }

    /// Tells actors of this node of the end of one that they watched.
    pub(super) fn tell_watchers(&self, ended: Option<(Pid, Vec<Arc<Entry>>)>) {
        let Some((pid, watchers)) = ended else { return };
        for watcher in watchers {
            watcher.notify(Letter::Exited(pid.clone()), &self.0.runtime);
        }
    }

    /// The other side of a connection says so; it forgets the link when that has been heard.
    pub(crate) fn link_ended_elsewhere(&self, id: u64, said_by: SocketAddr) {
        self.link_ended(id, said_by);
        self.say(said_by, Outgoing::Unlink { id });
    }

    /// Ends the links to an actor of this node.
    pub(super) fn end_links_to(&self, pid: &Pid) {
        let id = lock(&self.0.links).id_of(pid);
        if let Some(id) = id {
            self.link_ended(id, self.address());
        }
    }

    /// A connection was accepted from a node that listens there: it ends when the token says so.
    pub(crate) fn accepted_from(&self, address: SocketAddr, connection: u64) -> CancellationToken {
        let token = CancellationToken::new();
        lock(&self.0.accepted).entry(address).or_default().insert(connection, token.clone());
        token
    }

    /// It has ended.
    pub(crate) fn accepted_ended(&self, address: SocketAddr, connection: u64) {
        let mut accepted = lock(&self.0.accepted);
        if let Some(connections) = accepted.get_mut(&address) {
            connections.remove(&connection);
            if connections.is_empty() {
                accepted.remove(&address);
            }
        }
    }

    /// A peer is gone: its actors have exited, its answers won't come. If actors of it were linked to, what it has dialed
    /// ends too: it must not go on as if nothing had happened where others count it as gone.
    pub(crate) fn peer_lost(&self, address: SocketAddr) {
        let ids = lock(&self.0.links).at(address);
        if !ids.is_empty()
            && let Some(connections) = lock(&self.0.accepted).remove(&address)
        {
            connections.into_values().for_each(|token| token.cancel());
        }
        for id in ids {
            self.link_ended(id, address);
        }
        let lost: Vec<_> = {
            let mut asks = lock(&self.0.asks);
            let ids: Vec<u64> =
                asks.iter().filter(|(_, ask)| ask.to.address() == address).map(|(id, _)| *id).collect();
            ids.into_iter().filter_map(|id| asks.remove(&id)).collect()
        };
        for ask in lost {
            // An error means that the asker no longer waits.
            let _ = ask.tell.send(Err(AskError::Lost(ask.to)));
        }
    }

    /// Whether an actor of that node is linked to.
    pub(crate) fn has_links_to(&self, address: SocketAddr) -> bool {
        lock(&self.0.links).any_at(address)
    }

    /// A connection wants to know of the end of an actor of this node.
    pub(crate) fn watch(&self, name: Arc<str>, connection: u64, id: u64, out: &mpsc::Sender<Outgoing>) {
        {
            let mut links = lock(&self.0.links);
            if self.entry(&name).is_some() {
                return links.add_inward(name, (connection, id), out.clone());
            }
        }
        self.notify(out, Outgoing::Exited { id });
    }

    /// It no longer does.
    pub(crate) fn unwatch(&self, name: &str, connection: u64, id: u64) {
        lock(&self.0.links).remove_inward(name, (connection, id));
    }

    /// Tells the connections that watch an actor of this node of its end.
    pub(super) fn end_links_from_elsewhere(&self, name: &str) {
        let links = lock(&self.0.links).end_inward(name);
        self.tell_connections(links);
    }

    /// Tells connections of the end of an actor that they watched.
    pub(super) fn tell_connections(&self, links: BTreeMap<Inward, mpsc::Sender<Outgoing>>) {
        for ((_, id), out) in links {
            self.notify(&out, Outgoing::Exited { id });
        }
    }

    /// Puts a notice into the queue of an accepted connection; if it is full, the notice queues up.
    pub(super) fn notify(&self, out: &mpsc::Sender<Outgoing>, notice: Outgoing) {
        if let Err(TrySendError::Full(notice)) = out.try_send(notice) {
            let out = out.clone();
            self.spawn_task(async move {
                // An error means that the connection is gone, which says the same.
                let _ = out.send(notice).await;
            });
        }
    }
}
