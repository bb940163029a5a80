//! The connections of a world: order, silence, breaks and links.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::config::between;
use super::process::{Body, Letter, Mail};
use super::world::{Event, World};
use crate::{Pid, Time};

impl<M: Clone + Debug + 'static> World<M> {
    /// Sends on the connection between two processes, which is made if there is none.
    pub(super) fn transmit(&mut self, from: SocketAddr, to: SocketAddr, body: Body<M>) {
        let Some(epoch) = self.connect(from, to) else { return };
        let hostile = self.network.hostile;
        let harmed = matches!(body, Body::Message { .. }) && from.ip() != to.ip();
        if harmed && self.random.chance(hostile.drop_thousandths) {
            return;
        }
        if harmed && self.random.chance(hostile.duplicate_thousandths) {
            self.enqueue(from, to, epoch, body.clone());
        }
        if harmed && self.random.chance(hostile.reorder_thousandths) {
            let at = self.now + self.delay(from, to) * 3;
            self.at(at, Event::Stray { from, to, epoch, body });
            return;
        }
        self.enqueue(from, to, epoch, body);
    }

    fn enqueue(&mut self, from: SocketAddr, to: SocketAddr, epoch: u64, body: Body<M>) {
        let delayed = self.now + self.delay(from, to);
        let pipe = self.pipes.entry((from, to)).or_default();
        pipe.packets.push_back((epoch, body));
        pipe.last = pipe.last.max(delayed);
        let at = pipe.last;
        self.at(at, Event::Arrive { from, to });
    }

    fn delay(&mut self, from: SocketAddr, to: SocketAddr) -> Duration {
        let delay = if from.ip() == to.ip() { self.network.local_delay } else { self.network.delay };
        delay.draw(&mut self.random)
    }

    /// The connection that `from` sends on. `None`: the sender is dead.
    fn connect(&mut self, from: SocketAddr, to: SocketAddr) -> Option<u64> {
        if !self.processes.get(&from)?.alive {
            return None;
        }
        if from == to {
            return Some(0);
        }
        if let Some(open) = self.processes.get(&from)?.open(to) {
            return Some(open);
        }
        // A connection that the peer has made and that is still on its way here is used, not crossed by another one.
        let theirs = self.processes.get(&to).and_then(|peer| peer.open(from));
        let joined = theirs.filter(|epoch| self.processes.get(&from).is_some_and(|me| me.takes(to, *epoch)));
        let epoch = joined.unwrap_or_else(|| {
            self.epoch += 1;
            self.epoch
        });
        self.processes.get_mut(&from)?.ends.entry(to).or_default().open = Some(epoch);
        if self.cut(from, to).or(self.cut(to, from)).is_some() {
            let at = self.now + self.network.connect_timeout;
            self.at(at, Event::Silence { at: from, peer: to, epoch, since: self.now, connecting: true });
        }
        Some(epoch)
    }

    /// Since when nothing gets from one process to another, if so.
    fn cut(&self, from: SocketAddr, to: SocketAddr) -> Option<Time> {
        let blocked = self.way_blocked(from.ip(), to.ip());
        let paused = self.processes.get(&from).and_then(|process| process.paused);
        [blocked, paused].into_iter().flatten().min()
    }

    fn way_blocked(&self, from: IpAddr, to: IpAddr) -> Option<Time> {
        if from == to {
            return None;
        }
        let block = self.blocks.get(&(from, to)).copied();
        let off = [self.off.get(&from), self.off.get(&to)];
        off.into_iter().flatten().copied().chain(block).min()
    }

    /// Something reaches the end of its way, or finds it blocked and waits there.
    pub(super) fn arrive(&mut self, from: SocketAddr, to: SocketAddr) {
        let Some(pipe) = self.pipes.get(&(from, to)) else { return };
        let Some(&(epoch, _)) = pipe.packets.front() else { return };
        let known = self.processes.get(&to).is_some_and(|process| process.open(from) == Some(epoch));
        let handshake = (!known).then(|| self.way_blocked(to.ip(), from.ip())).flatten();
        let blocked = self.way_blocked(from.ip(), to.ip()).or(handshake).is_some();
        let pipe = self.pipes.get_mut(&(from, to)).expect("it was there");
        if blocked {
            pipe.stalled += 1;
            return;
        }
        let (epoch, body) = pipe.packets.pop_front().expect("it was there");
        self.receive(from, to, epoch, body);
    }

    /// Lets what waited at a block go on.
    pub(super) fn flush_stalled(&mut self) {
        let ways: Vec<(SocketAddr, SocketAddr)> =
            self.pipes.iter().filter(|(_, pipe)| pipe.stalled > 0).map(|(way, _)| *way).collect();
        for (from, to) in ways {
            if self.way_blocked(from.ip(), to.ip()).is_some() {
                continue;
            }
            let stalled = self.pipes.get_mut(&(from, to)).map_or(0, |pipe| std::mem::take(&mut pipe.stalled));
            for _ in 0..stalled {
                let delayed = self.now + self.delay(from, to);
                self.at(delayed, Event::Arrive { from, to });
            }
        }
    }

    pub(super) fn receive(&mut self, from: SocketAddr, to: SocketAddr, epoch: u64, body: Body<M>) {
        let Some(process) = self.processes.get(&to).filter(|process| process.alive) else {
            self.reset(to, from, epoch);
            return;
        };
        if from != to {
            let open = process.open(from);
            if open != Some(epoch) {
                if !process.takes(from, epoch) || matches!(body, Body::Close) {
                    self.reset(to, from, epoch);
                    return;
                }
                if let Some(old) = open {
                    self.break_end(to, from, old, false);
                }
                let process = self.processes.get_mut(&to).expect("it was there");
                process.ends.entry(from).or_default().open = Some(epoch);
            }
        }
        match body {
            Body::Message { from, to, message } => self.post(&to, Letter::Message { from, message }),
            Body::Link { watcher, target } => self.linked(watcher, target),
            Body::Unlink { watcher, target } => {
                if let Some(process) = self.processes.get_mut(&to) {
                    process.watchers.remove(&(target, watcher));
                }
            }
            Body::Gone { watcher, target } => self.report_exited(&watcher, &target),
            Body::Close => self.break_end(to, from, epoch, false),
        }
    }

    /// Tells a sender that its connection is unknown here.
    fn reset(&mut self, from: SocketAddr, to: SocketAddr, epoch: u64) {
        if epoch > 0 && self.way_blocked(from.ip(), to.ip()).is_none() {
            let at = self.now + self.delay(from, to);
            self.at(at, Event::Reset { at: to, peer: from, epoch });
        }
    }

    /// One end gives a connection up: what was linked across it has exited. `tell`: the other end hears of it, after
    /// what this end had sent, less a tail.
    pub(super) fn break_end(&mut self, at: SocketAddr, peer: SocketAddr, epoch: u64, tell: bool) {
        let Some(process) = self.processes.get_mut(&at) else { return };
        let Some(end) = process.ends.get_mut(&peer).filter(|end| end.open == Some(epoch)) else { return };
        end.open = None;
        end.closed = epoch;
        process.watchers.retain(|(_, watcher)| watcher.address() != peer);
        let lost: Vec<(Pid, Pid)> =
            process.links.iter().filter(|(_, target)| target.address() == peer).cloned().collect();
        self.trace.record(self.now, format_args!("{at} gives up connection {epoch} to {peer}"));
        if tell {
            self.close_pipe(at, peer, epoch, true);
        }
        for (watcher, target) in lost {
            self.report_exited(&watcher, &target);
        }
    }

    /// Ends what one end sends on a connection. `harsh`: a random tail of it is lost.
    pub(super) fn close_pipe(&mut self, from: SocketAddr, to: SocketAddr, epoch: u64, harsh: bool) {
        if harsh && let Some(pipe) = self.pipes.get_mut(&(from, to)) {
            let waiting = pipe.packets.iter().filter(|(number, _)| *number == epoch).count();
            let mut kept = self.random.below(waiting as u64 + 1);
            for (number, body) in &mut pipe.packets {
                if *number == epoch {
                    // What is lost leaves a hole that nobody takes: arrivals and packets stay in step.
                    if kept == 0 {
                        *body = Body::Close;
                    }
                    kept = kept.saturating_sub(1);
                }
            }
        }
        self.enqueue(from, to, epoch, Body::Close);
    }

    pub(super) fn look_for_silence(
        &mut self,
        at: SocketAddr,
        peer: SocketAddr,
        epoch: u64,
        since: Time,
        connecting: bool,
    ) {
        let Some(process) = self.processes.get(&at) else { return };
        if process.open(peer) != Some(epoch) || process.paused.is_some() {
            return;
        }
        let outward = if connecting { self.cut(at, peer) } else { None };
        let silent = [self.cut(peer, at), outward].into_iter().flatten().any(|from| from <= since);
        if silent {
            self.break_end(at, peer, epoch, true);
        }
    }

    /// A way was just blocked: all whom it silences start to count.
    pub(super) fn block(&mut self, from: IpAddr, to: IpAddr) {
        if self.blocks.contains_key(&(from, to)) {
            return;
        }
        self.blocks.insert((from, to), self.now);
        self.watch_peers_of(|peer| peer.ip() == from);
    }

    /// Those that have a connection to such a peer look for silence in time.
    pub(super) fn watch_peers_of(&mut self, silent: impl Fn(SocketAddr) -> bool) {
        for (at, peer, _) in self.ends_to(silent) {
            self.watch_end(at, peer);
        }
    }

    /// The open ends of connections to such peers: whose, to whom, which.
    pub(super) fn ends_to(&self, wanted: impl Fn(SocketAddr) -> bool) -> Vec<(SocketAddr, SocketAddr, u64)> {
        let ends = self.processes.iter().flat_map(|(at, process)| {
            process.ends.iter().filter_map(|(peer, end)| Some((*at, *peer, end.open?)))
        });
        ends.filter(|(_, peer, _)| wanted(*peer)).collect()
    }

    pub(super) fn watch_end(&mut self, at: SocketAddr, peer: SocketAddr) {
        let open = self.processes.get(&at).and_then(|process| process.open(peer));
        if let Some(epoch) = open
            && self.cut(peer, at).is_some()
        {
            let silence = self.network.silence;
            let jitter = between(&mut self.random, Duration::ZERO, silence / 4);
            let due = self.now + silence + jitter;
            self.at(due, Event::Silence { at, peer, epoch, since: self.now, connecting: false });
        }
    }

    /// Puts something into the mailbox of an actor; nothing happens if there is no such actor.
    fn post(&mut self, to: &Pid, what: Letter<M>) {
        let slot = self.processes.get(&to.address()).and_then(|process| process.actors.get(to));
        if let Some(life) = slot.map(|slot| slot.life) {
            self.mail.push_back(Mail { to: to.clone(), life, what });
        }
    }

    pub(super) fn link(&mut self, me: &Pid, target: Pid) {
        let Some(process) = self.processes.get_mut(&me.address()).filter(|process| process.alive) else {
            return;
        };
        if process.links.insert((me.clone(), target.clone())) {
            let to = target.address();
            self.transmit(me.address(), to, Body::Link { watcher: me.clone(), target });
        }
    }

    /// Takes a link back, also one whose end is already in the mailbox.
    pub(super) fn unlink(&mut self, me: &Pid, target: &Pid) {
        let Some(process) = self.processes.get_mut(&me.address()) else { return };
        let stays =
            |mail: &Mail<M>| mail.to != *me || !matches!(&mail.what, Letter::Exited { pid } if pid == target);
        process.inbox.retain(stays);
        self.mail.retain(stays);
        if process.links.remove(&(me.clone(), target.clone())) && process.open(target.address()).is_some() {
            let body = Body::Unlink { watcher: me.clone(), target: target.clone() };
            self.transmit(me.address(), target.address(), body);
        }
    }

    /// Somebody links to an actor of this process; if there is none, that is said.
    fn linked(&mut self, watcher: Pid, target: Pid) {
        let Some(process) = self.processes.get_mut(&target.address()) else { return };
        if process.actors.contains_key(&target) {
            process.watchers.insert((target, watcher));
        } else {
            let (from, to) = (target.address(), watcher.address());
            self.transmit(from, to, Body::Gone { watcher, target });
        }
    }

    /// A link ends, once.
    fn report_exited(&mut self, watcher: &Pid, target: &Pid) {
        let Some(process) = self.processes.get_mut(&watcher.address()) else { return };
        if process.links.remove(&(watcher.clone(), target.clone())) {
            self.post(watcher, Letter::Exited { pid: target.clone() });
        }
    }
}
