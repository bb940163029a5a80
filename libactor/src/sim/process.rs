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
    /// How far its clock is ahead of the world's, in nanoseconds: its machine's when it began.
    pub(super) ahead: i64,
    pub(super) actors: BTreeMap<Pid, Slot<M>>,
    /// What waits for a process that stands still.
    pub(super) inbox: VecDeque<Mail<M>>,
    /// The connections that it has dialed, by peer.
    pub(super) dialed: BTreeMap<SocketAddr, End>,
    /// The newest connection that each peer has dialed to it.
    pub(super) accepted: BTreeMap<SocketAddr, u64>,
    /// The newest of them that it has given up.
    pub(super) refused: BTreeMap<SocketAddr, u64>,
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

/// A dialer's end of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    /// The connection that it believes in.
    pub(super) open: Option<u64>,
}

/// One direction of the connections that one process dials to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    pub(super) dialer: SocketAddr,
    pub(super) acceptor: SocketAddr,
    /// From the acceptor to the dialer: notices of exits.
    pub(super) back: bool,
}

impl Way {
    pub(super) fn forth(dialer: SocketAddr, acceptor: SocketAddr) -> Self {
        Self { dialer, acceptor, back: false }
    }

    pub(super) fn back(dialer: SocketAddr, acceptor: SocketAddr) -> Self {
        Self { dialer, acceptor, back: true }
    }

    pub(super) fn from(self) -> SocketAddr {
        if self.back { self.acceptor } else { self.dialer }
    }

    pub(super) fn to(self) -> SocketAddr {
        if self.back { self.dialer } else { self.acceptor }
    }
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

/// What is under way. Order is kept by keeping it here: an arrival takes the head.
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
    pub(super) fn new(floor: u64, ahead: i64, parent: Option<Parent>) -> Self {
        Self {
            alive: true,
            paused: None,
            ahead,
            actors: BTreeMap::new(),
            inbox: VecDeque::new(),
            dialed: BTreeMap::new(),
            accepted: BTreeMap::new(),
            refused: BTreeMap::new(),
            floor,
            links: BTreeSet::new(),
            watchers: BTreeSet::new(),
            parent,
        }
    }

    /// What its clock shows when the world's shows this.
    pub(super) fn clock(&self, world: Time) -> Time {
        shift(world, self.ahead)
    }

    /// What the world's clock shows when its own shows this.
    pub(super) fn world_time(&self, own: Time) -> Time {
        shift(own, self.ahead.saturating_neg())
    }

    /// The connection that it has dialed to a peer.
    pub(super) fn open(&self, peer: SocketAddr) -> Option<u64> {
        self.dialed.get(&peer).and_then(|end| end.open)
    }
}

/// A time so many nanoseconds later, or earlier.
pub(super) fn shift(time: Time, nanos: i64) -> Time {
    Time::from_nanos(time.as_nanos().saturating_add_signed(nanos))
}
