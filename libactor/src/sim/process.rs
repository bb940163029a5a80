//! The processes of a world and what each knows of its connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::host::Host;
use crate::{Pid, Time};

/// One process: what shares an address, and one fate.
pub(super) struct Process<M> {
    pub(super) alive: bool,
    /// Since when it stands still.
    pub(super) paused: Option<Time>,
    pub(super) actors: BTreeMap<Pid, Slot<M>>,
    /// What waits for a process that stands still.
    pub(super) inbox: VecDeque<Mail<M>>,
    /// Its ends of its connections, by peer.
    pub(super) ends: BTreeMap<SocketAddr, End>,
    /// Connections up to this number belong to an earlier life.
    pub(super) floor: u64,
    /// Links that its actors hold: watcher, target.
    pub(super) links: BTreeSet<(Pid, Pid)>,
    /// Who watches its actors: target, watcher.
    pub(super) watchers: BTreeSet<(Pid, Pid)>,
    /// Who is told when it ends, where it was spawned.
    pub(super) parent: Option<Parent>,
}

/// Where a spawned process comes from.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    pub(super) pid: Pid,
    pub(super) life: u64,
    /// The process, by the name that its parent knows.
    pub(super) child: Pid,
}

/// One actor in its current life.
pub(super) struct Slot<M> {
    /// Never the same for two lives in a world.
    pub(super) life: u64,
    pub(super) host: Box<dyn Host<Message = M>>,
    /// When a tick is already coming.
    pub(super) tick_at: Option<Time>,
    /// Ticks in a row that did not move the deadline past the present.
    pub(super) idle_ticks: u32,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    /// The connection that this end believes in.
    pub(super) open: Option<u64>,
    /// The newest connection that it has given up.
    pub(super) closed: u64,
}

/// What an actor is handed.
#[derive(Clone, Debug)]
pub(super) struct Mail<M> {
    pub(super) to: Pid,
    pub(super) life: u64,
    pub(super) what: Letter<M>,
}

#[derive(Clone, Debug)]
pub(super) enum Letter<M> {
    Start,
    Message { from: Pid, message: M },
    Exited { pid: Pid },
    Child { pid: Pid, status: i32 },
}

/// What travels on a connection.
#[derive(Clone, Debug)]
pub(super) enum Body<M> {
    Message {
        from: Pid,
        to: Pid,
        message: M,
    },
    Link {
        watcher: Pid,
        target: Pid,
    },
    Unlink {
        watcher: Pid,
        target: Pid,
    },
    /// The target of a link is gone, its process is not.
    Gone {
        watcher: Pid,
        target: Pid,
    },
    Close,
}

/// One direction of the way between two processes. Order is kept by keeping it here: an arrival takes the head.
#[derive(Debug)]
pub(super) struct Pipe<M> {
    pub(super) packets: VecDeque<(u64, Body<M>)>,
    /// When the last one is to arrive.
    pub(super) last: Time,
    /// Arrivals that found the way blocked.
    pub(super) stalled: usize,
}

impl<M> Default for Pipe<M> {
    fn default() -> Self {
        Self { packets: VecDeque::new(), last: Time::default(), stalled: 0 }
    }
}

impl<M> Process<M> {
    pub(super) fn new(floor: u64, parent: Option<Parent>) -> Self {
        Self {
            alive: true,
            paused: None,
            actors: BTreeMap::new(),
            inbox: VecDeque::new(),
            ends: BTreeMap::new(),
            floor,
            links: BTreeSet::new(),
            watchers: BTreeSet::new(),
            parent,
        }
    }

    /// Whether this end takes what comes on a connection: one that it believes in, or a newer one.
    pub(super) fn takes(&self, peer: SocketAddr, epoch: u64) -> bool {
        let end = self.ends.get(&peer).copied().unwrap_or_default();
        epoch > self.floor && epoch > end.closed && end.open.is_none_or(|open| open <= epoch)
    }

    /// The connection to a peer, as this end sees it.
    pub(super) fn open(&self, peer: SocketAddr) -> Option<u64> {
        self.ends.get(&peer).and_then(|end| end.open)
    }
}
