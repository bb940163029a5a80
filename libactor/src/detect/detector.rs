//! The machine that finds out who leads.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::belief::Belief;
use super::place::{Phase, Place};
use super::{Address, Leader, Leads};
use crate::limits::{DETECT_ADDRESSES, DETECT_MEMBERS, DETECT_RESOLVE};
use crate::{Machine, Pid, Random, Time};

/// Facts.
#[derive(Clone, Debug)]
pub enum Input {
    /// An actor says who leads.
    Leads {
        /// Who says so.
        from: Pid,
        /// What.
        leads: Leads,
    },
    /// A linked actor, its process or its host is gone.
    Exited {
        /// Which.
        pid: Pid,
    },
    /// The look-up that [`Output::Resolve`] asked for has come to something.
    Resolved {
        /// As asked.
        index: u64,
        /// Where the node may be, best first; or why that is not known.
        result: Result<Vec<SocketAddr>, String>,
    },
}

/// Imperatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send [`Watch`](super::Watch) to an actor. It may get lost: it is repeated.
    Watch {
        /// Whom.
        to: Pid,
    },
    /// Report [`Input::Exited`] once when this actor is gone.
    Link {
        /// Which.
        pid: Pid,
    },
    /// Report nothing more of this actor.
    Unlink {
        /// Which.
        pid: Pid,
    },
    /// Look up where a node is, and report [`Input::Resolved`].
    Resolve {
        /// To report with.
        index: u64,
        /// Its `host` is a name: IP addresses are not looked up.
        address: Address,
    },
    /// Who leads has changed. Before the first of these nobody is known.
    Detected(Option<Leader>),
}

/// Finds out who leads a group, by asking all its nodes. See [`crate::detect`].
///
/// Nothing that nodes say makes it grow: it watches what it was given and at most [`DETECT_MEMBERS`] others.
#[derive(Clone, Debug)]
pub struct Detector {
    /// The name of the actors that know who leads.
    watched: Arc<str>,
    places: BTreeMap<u64, Place>,
    next_index: u64,
    /// The nodes of the group, as those say that have the newest epoch.
    members: BTreeSet<Address>,
    belief: Belief,
    /// What was said last.
    detected: Option<Leader>,
    random: Random,
}

impl Detector {
    /// A detector that asks the actors of this name on these nodes; its first [`tick`](Machine::tick) is due at once. The same
    /// seed gives the same waits.
    ///
    /// # Panics
    /// If there are more than [`DETECT_ADDRESSES`] nodes.
    pub fn new(watched: &str, nodes: Vec<Address>, seed: u64, now: Time) -> Self {
        assert!(nodes.len() <= DETECT_ADDRESSES, "a group has few nodes");
        let mut detector = Self {
            watched: watched.into(),
            places: BTreeMap::new(),
            next_index: 0,
            members: BTreeSet::new(),
            belief: Belief::default(),
            detected: None,
            random: Random::new(seed),
        };
        nodes.into_iter().for_each(|node| {
            detector.add(node, true, now);
        });
        detector
    }

    /// Who leads, as it said last.
    pub fn leader(&self) -> Option<&Leader> {
        self.detected.as_ref()
    }

    /// Takes in a node, unless it is known.
    fn add(&mut self, address: Address, given: bool, now: Time) -> Option<u64> {
        if self.places.values().any(|place| place.address == address) {
            return None;
        }
        let index = self.next_index;
        self.next_index += 1;
        self.places.insert(index, Place::new(address, given, now));
        Some(index)
    }

    /// Takes in a node that was not given, if there is room, and asks it at once.
    fn learn(&mut self, address: Address, now: Time, out: &mut Vec<Output>) {
        if self.places.values().any(|place| place.address == address) {
            return;
        }
        let learned = || self.places.iter().filter(|(_, place)| !place.given);
        if learned().count() >= DETECT_MEMBERS {
            let stale = learned().find(|(_, place)| !self.members.contains(&place.address));
            let Some(index) = stale.map(|(index, _)| *index) else { return };
            self.forget(index, out);
        }
        if let Some(index) = self.add(address, false, now) {
            self.attempt(now, index, out);
        }
    }

    fn forget(&mut self, index: u64, out: &mut Vec<Output>) {
        if let Some(place) = self.places.remove(&index) {
            self.unlink(place.watching().cloned(), out);
        }
    }

    /// Takes a link back that a place has had, unless another place needs it: two addresses may be one node.
    fn unlink(&self, pid: Option<Pid>, out: &mut Vec<Output>) {
        if let Some(pid) = pid
            && !self.places.values().any(|place| place.watches(&pid))
        {
            out.push(Output::Unlink { pid });
        }
    }

    fn attempt(&mut self, now: Time, index: u64, out: &mut Vec<Output>) {
        let Some(place) = self.places.get_mut(&index) else { return };
        match place.address.ip() {
            Some(ip) => {
                let node = SocketAddr::new(ip, place.address.port);
                self.watch(now, index, node, out);
            }
            None => {
                place.phase = Phase::Resolving { until: now + DETECT_RESOLVE };
                out.push(Output::Resolve { index, address: place.address.clone() });
            }
        }
    }

    fn resolved(
        &mut self,
        now: Time,
        index: u64,
        result: Result<Vec<SocketAddr>, String>,
        out: &mut Vec<Output>,
    ) {
        let Some(place) = self.places.get_mut(&index) else { return };
        if !matches!(place.phase, Phase::Resolving { .. }) {
            return;
        }
        match result {
            Ok(nodes) if !nodes.is_empty() => {
                let node = nodes[place.attempts % nodes.len()];
                place.attempts = place.attempts.wrapping_add(1);
                self.watch(now, index, node, out);
            }
            Ok(_) => self.fail(now, index, out),
            Err(error) => {
                if place.failures == 0 {
                    tracing::warn!(node = %place.address, %error, "its address was not found: trying on");
                }
                self.fail(now, index, out);
            }
        }
    }

    /// Asks the actor on a node.
    fn watch(&mut self, now: Time, index: u64, node: SocketAddr, out: &mut Vec<Output>) {
        let pid = Pid::new(self.watched.clone(), node);
        let Some(place) = self.places.get_mut(&index) else { return };
        let before = place.watching().filter(|before| **before != pid).cloned();
        let again = place.watches(&pid);
        place.linked = false;
        self.unlink(before, out);
        // Another address may have led there already.
        let other = self.places.values().find(|other| other.watches(&pid)).map(|other| other.heard);
        if other.is_none() {
            if !again {
                out.push(Output::Link { pid: pid.clone() });
            }
            out.push(Output::Watch { to: pid.clone() });
        }
        let Some(place) = self.places.get_mut(&index) else { return };
        place.heard = other.unwrap_or(again && place.heard);
        place.linked = true;
        place.pid = Some(pid);
        place.asked(now, &mut self.random);
    }

    /// Time is up for a node.
    fn due(&mut self, now: Time, index: u64, out: &mut Vec<Output>) {
        let Some(place) = self.places.get_mut(&index) else { return };
        match place.phase {
            Phase::Waiting { .. } => self.attempt(now, index, out),
            Phase::Resolving { .. } => self.fail(now, index, out),
            Phase::Watching { .. } if place.heard => {
                // Messages may be lost where links are not.
                out.extend(place.watching().cloned().map(|to| Output::Watch { to }));
                place.asked(now, &mut self.random);
            }
            Phase::Watching { .. } => {
                place.failures = place.failures.saturating_add(1);
                self.attempt(now, index, out);
            }
        }
    }

    fn fail(&mut self, now: Time, index: u64, out: &mut Vec<Output>) {
        let Some(place) = self.places.get_mut(&index) else { return };
        let before = place.watching().cloned();
        place.fails(now, &mut self.random);
        let wanted = place.given || self.members.contains(&place.address);
        self.unlink(before, out);
        if !wanted {
            self.places.remove(&index);
        }
    }

    fn exited(&mut self, now: Time, pid: &Pid, out: &mut Vec<Output>) {
        let places: Vec<u64> = self.watching(pid);
        for index in places {
            if let Some(place) = self.places.get_mut(&index) {
                place.linked = false;
                place.heard = false;
                // Where an address is being looked up the attempt goes on.
                if !matches!(place.phase, Phase::Resolving { .. }) {
                    self.fail(now, index, out);
                }
            }
        }
    }

    fn watching(&self, pid: &Pid) -> Vec<u64> {
        self.places.iter().filter(|(_, place)| place.watches(pid)).map(|(index, _)| *index).collect()
    }

    fn leads(&mut self, now: Time, from: &Pid, leads: &Leads, out: &mut Vec<Output>) {
        let sane = leads.leader.as_ref().is_none_or(|leader| leader.stream_id().is_none() && usable(leader));
        if *from.name() != *self.watched || !usable(from) || !sane {
            tracing::debug!(%from, "ignored: nothing to be believed");
            return;
        }
        let places = self.watching(from);
        if places.is_empty() {
            // A node that was asked by one address may answer by another.
            if self.places.values().any(|place| place.linked && !place.heard) {
                self.learn(from.address().into(), now, out);
            }
            return;
        }
        for index in places {
            if let Some(place) = self.places.get_mut(&index) {
                place.hears(now, &mut self.random);
            }
        }
        let before = self.belief.epoch;
        if self.belief.take(from, leads) {
            self.take_members(now, self.belief.epoch > before, &leads.members, out);
        }
    }

    /// A new epoch's members take the place of the old ones. Within an epoch the nodes add to them: they may not know the same.
    fn take_members(&mut self, now: Time, anew: bool, members: &[String], out: &mut Vec<Output>) {
        let members: Vec<Address> = members
            .iter()
            .take(DETECT_MEMBERS)
            .filter_map(|member| member.parse::<Address>().ok())
            .filter(|member| member.ip().is_none_or(speakable))
            .collect();
        if members.is_empty() {
            return;
        }
        if anew {
            self.members.clear();
        }
        for member in members {
            if self.members.len() < DETECT_MEMBERS {
                self.members.insert(member);
            }
        }
        let stale = |place: &Place| !place.given && !place.heard && !self.members.contains(&place.address);
        let stale: Vec<u64> =
            self.places.iter().filter(|(_, place)| stale(place)).map(|(index, _)| *index).collect();
        stale.into_iter().for_each(|index| self.forget(index, out));
        for member in self.members.clone() {
            self.learn(member, now, out);
        }
    }

    /// The leader, if its own node has been heard and is not gone. Where that node is none of those that are known, the others
    /// are believed.
    fn reachable(&self) -> Option<Leader> {
        let leader = self.belief.leader()?;
        let there =
            |place: &&Place| place.pid.as_ref().is_some_and(|pid| pid.address() == leader.pid.address());
        let mut places = self.places.values().filter(there).peekable();
        // One that was detected is not lost only because its node is now asked as well.
        let known = self.detected.as_ref() == Some(&leader);
        let reachable = places.peek().is_none()
            || places.any(|place| place.linked && (place.heard || (known && place.failures == 0)));
        reachable.then_some(leader)
    }

    /// Says what has changed.
    fn settle(&mut self, out: &mut Vec<Output>) {
        if !self.places.values().any(|place| place.linked && place.heard) {
            // Whoever speaks next may be of another group, that counts anew.
            self.belief = Belief::default();
        }
        let leader = self.reachable();
        if leader != self.detected {
            match &leader {
                Some(Leader { pid, epoch }) => tracing::info!(%pid, epoch, "a leader is detected"),
                None => tracing::info!("no leader is known any more"),
            }
            self.detected = leader.clone();
            out.push(Output::Detected(leader));
        }
    }
}

/// Whether an actor's address can be one that others speak to.
fn usable(pid: &Pid) -> bool {
    pid.address().port() != 0 && speakable(pid.address().ip())
}

fn speakable(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && ip != IpAddr::V4(std::net::Ipv4Addr::BROADCAST)
}

impl Machine for Detector {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Leads { from, leads } => self.leads(now, &from, &leads, out),
            Input::Exited { pid } => self.exited(now, &pid, out),
            Input::Resolved { index, result } => self.resolved(now, index, result, out),
        }
        self.settle(out);
    }

    fn deadline(&self) -> Option<Time> {
        self.places.values().map(Place::until).min()
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        let due: Vec<u64> =
            self.places.iter().filter(|(_, place)| place.until() <= now).map(|(index, _)| *index).collect();
        for index in due {
            self.due(now, index, out);
        }
        self.settle(out);
    }

    fn check(&self) {
        let learned = self.places.values().filter(|place| !place.given).count();
        assert!(
            learned <= DETECT_MEMBERS && self.members.len() <= DETECT_MEMBERS,
            "what is learned is bounded"
        );
        for place in self.places.values() {
            assert!(!place.heard || place.linked, "who is heard is linked to");
            assert!(
                !matches!(place.phase, Phase::Watching { .. }) || place.linked,
                "who is watched is linked to"
            );
            assert!(
                !matches!(place.phase, Phase::Waiting { .. }) || !place.linked,
                "who is gone is not linked to"
            );
        }
        assert_eq!(self.detected, self.reachable(), "what has changed has been said");
    }
}
