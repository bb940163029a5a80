//! Who wants to know of whose end.
//!
//! Two tables. Outward: actors of this node that watch others, here or elsewhere. Inward: connections that watch actors of
//! this node on behalf of their dialers. A link is taken out of its table by whoever reports its end, under the lock: that is
//! why an `Exited` comes exactly once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use tokio::sync::mpsc;

use crate::Pid;
use crate::actor::Entry;
use crate::net::Outgoing;

/// Outward links to one actor.
struct Target {
    /// Number under which a peer knows of the link.
    id: u64,
    watchers: BTreeMap<u64, Weak<Entry>>,
}

/// A link that a connection has to an actor of this node: number of the connection, number of the link there.
pub(crate) type Inward = (u64, u64);

/// All links of a node.
#[derive(Default)]
pub(crate) struct Links {
    next_id: u64,
    targets: HashMap<Pid, Target>,
    by_id: BTreeMap<u64, Pid>,
    by_address: HashMap<SocketAddr, BTreeSet<u64>>,
    /// What the actor of a life watches.
    watched: HashMap<u64, BTreeSet<Pid>>,
    inward: HashMap<Arc<str>, BTreeMap<Inward, mpsc::Sender<Outgoing>>>,
}

impl Links {
    /// Adds a link. The number of the target is returned if it is the first link to it.
    pub(crate) fn add(&mut self, watcher: &Arc<Entry>, target: &Pid) -> Option<u64> {
        self.watched.entry(watcher.life).or_default().insert(target.clone());
        if let Some(known) = self.targets.get_mut(target) {
            known.watchers.insert(watcher.life, Arc::downgrade(watcher));
            return None;
        }
        self.next_id += 1;
        let id = self.next_id;
        let watchers = BTreeMap::from([(watcher.life, Arc::downgrade(watcher))]);
        self.targets.insert(target.clone(), Target { id, watchers });
        self.by_id.insert(id, target.clone());
        self.by_address.entry(target.address()).or_default().insert(id);
        Some(id)
    }

    /// Takes a link back. The number of the target is returned if that was the last link to it.
    pub(crate) fn remove(&mut self, life: u64, target: &Pid) -> Option<u64> {
        if let Some(watched) = self.watched.get_mut(&life) {
            watched.remove(target);
            if watched.is_empty() {
                self.watched.remove(&life);
            }
        }
        let known = self.targets.get_mut(target)?;
        known.watchers.remove(&life)?;
        if !known.watchers.is_empty() {
            return None;
        }
        let id = known.id;
        self.forget(id);
        Some(id)
    }

    /// Takes back all links of an actor; what is returned are the targets that nobody watches any more.
    pub(crate) fn remove_all(&mut self, life: u64) -> Vec<(Pid, u64)> {
        let watched = self.watched.remove(&life).unwrap_or_default();
        watched.into_iter().filter_map(|target| self.remove(life, &target).map(|id| (target, id))).collect()
    }

    /// The target of that number is gone: who is to be told.
    pub(crate) fn end(&mut self, id: u64) -> Option<(Pid, Vec<Arc<Entry>>)> {
        let pid = self.by_id.get(&id)?.clone();
        let target = self.forget(id)?;
        for life in target.watchers.keys() {
            if let Some(watched) = self.watched.get_mut(life) {
                watched.remove(&pid);
                if watched.is_empty() {
                    self.watched.remove(life);
                }
            }
        }
        Some((pid, target.watchers.into_values().filter_map(|watcher| watcher.upgrade()).collect()))
    }

    /// Numbers of the targets on a node, in the order in which they were made.
    pub(crate) fn at(&self, address: SocketAddr) -> Vec<u64> {
        self.by_address.get(&address).into_iter().flatten().copied().collect()
    }

    /// Whether the target of that number is there, and on that node.
    pub(crate) fn is_at(&self, id: u64, address: SocketAddr) -> bool {
        self.by_id.get(&id).is_some_and(|pid| pid.address() == address)
    }

    /// Whether there is a link to any actor of a node.
    pub(crate) fn any_at(&self, address: SocketAddr) -> bool {
        self.by_address.contains_key(&address)
    }

    /// The number of a target.
    pub(crate) fn id_of(&self, target: &Pid) -> Option<u64> {
        self.targets.get(target).map(|target| target.id)
    }

    /// A connection watches an actor of this node.
    pub(crate) fn add_inward(&mut self, name: Arc<str>, link: Inward, out: mpsc::Sender<Outgoing>) {
        self.inward.entry(name).or_default().insert(link, out);
    }

    /// It no longer does.
    pub(crate) fn remove_inward(&mut self, name: &str, link: Inward) {
        if let Some(links) = self.inward.get_mut(name) {
            links.remove(&link);
            if links.is_empty() {
                self.inward.remove(name);
            }
        }
    }

    /// An actor of this node is gone: which connections are to be told.
    pub(crate) fn end_inward(&mut self, name: &str) -> BTreeMap<Inward, mpsc::Sender<Outgoing>> {
        self.inward.remove(name).unwrap_or_default()
    }

    /// How many actors are watched from here, and how many links there are from elsewhere.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.targets.len(), self.inward.values().map(BTreeMap::len).sum())
    }

    fn forget(&mut self, id: u64) -> Option<Target> {
        let pid = self.by_id.remove(&id)?;
        if let Some(ids) = self.by_address.get_mut(&pid.address()) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_address.remove(&pid.address());
            }
        }
        self.targets.remove(&pid)
    }
}
