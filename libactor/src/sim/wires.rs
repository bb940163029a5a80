//! The connections of a world: order, silence, breaks and links.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::config::between;
use super::process::{Body, Letter, Mail, Way};
use super::world::{Event, World};
use crate::{Pid, Time};

impl<M: Clone + Debug + 'static> World<M> {
    /// Sends on the connection that one process has dialed to another; it is dialed if there is none.
    pub(super) fn transmit(&mut self, from: SocketAddr, to: SocketAddr, body: Body<M>) {
        let Some(epoch) = self.connect(from, to) else { return };
        let way = Way::forth(from, to);
        let hostile = self.network.hostile;
        let harmed = matches!(body, Body::Message { .. }) && from.ip() != to.ip();
        if harmed && self.random.chance(hostile.drop_thousandths) {
            return;
        }
        if harmed && self.random.chance(hostile.duplicate_thousandths) {
            self.enqueue(way, epoch, body.clone());
        }
        if harmed && self.random.chance(hostile.reorder_thousandths) {
            let at = self.now + self.delay(from, to) * 3;
            self.at(at, Event::Stray { way, epoch, body });
            return;
        }
        self.enqueue(way, epoch, body);
    }

    /// Says that the target of a link is gone, on the connection that the link came by.
    pub(super) fn notify(&mut self, watcher: Pid, target: Pid) {
        let (dialer, acceptor) = (watcher.address(), target.address());
        if dialer == acceptor {
            return self.enqueue(Way::back(dialer, acceptor), 0, Body::Gone { watcher, target });
        }
        let epoch = self.processes.get(&acceptor).and_then(|process| process.accepted.get(&dialer));
        if let Some(epoch) = epoch.copied() {
            self.enqueue(Way::back(dialer, acceptor), epoch, Body::Gone { watcher, target });
        }
    }

    fn enqueue(&mut self, way: Way, epoch: u64, body: Body<M>) {
        let delayed = self.now + self.delay(way.from(), way.to());
        let pipe = self.pipes.entry(way).or_default();
        pipe.packets.push_back((epoch, body));
        pipe.last = pipe.last.max(delayed);
        let at = pipe.last;
        self.at(at, Event::Arrive { way });
    }

    fn delay(&mut self, from: SocketAddr, to: SocketAddr) -> Duration {
        let delay = if from.ip() == to.ip() { self.network.local_delay } else { self.network.delay };
        delay.draw(&mut self.random)
    }

    /// The connection that `from` sends on. `None`: the sender is dead.
    fn connect(&mut self, from: SocketAddr, to: SocketAddr) -> Option<u64> {
        let process = self.processes.get_mut(&from).filter(|process| process.alive)?;
        if from == to {
            return Some(0);
        }
        if let Some(open) = process.open(to) {
            return Some(open);
        }
        self.epoch += 1;
        let epoch = self.epoch;
        process.dialed.entry(to).or_default().open = Some(epoch);
        if self.cut(from, to).is_some() {
            let at = self.now + self.network.connect_timeout;
            self.at(at, Event::Silence { at: from, peer: to, epoch, since: self.now });
        }
        Some(epoch)
    }

    /// Since when a dialer gets no answer from a peer, if so: the question or the answer is stopped, or the peer.
    fn cut(&self, dialer: SocketAddr, acceptor: SocketAddr) -> Option<Time> {
        let question = self.way_blocked(dialer.ip(), acceptor.ip());
        let answer = self.way_blocked(acceptor.ip(), dialer.ip());
        let paused = self.processes.get(&acceptor).and_then(|process| process.paused);
        [question, answer, paused].into_iter().flatten().min()
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
    pub(super) fn arrive(&mut self, way: Way) {
        let Some(pipe) = self.pipes.get(&way) else { return };
        let Some(&(epoch, _)) = pipe.packets.front() else { return };
        let (from, to) = (way.from(), way.to());
        let accepted = self.processes.get(&to).and_then(|process| process.accepted.get(&from));
        let known = way.back || accepted == Some(&epoch);
        let handshake = (!known).then(|| self.way_blocked(to.ip(), from.ip())).flatten();
        let blocked = self.way_blocked(from.ip(), to.ip()).or(handshake).is_some();
        let pipe = self.pipes.get_mut(&way).expect("it was there");
        if blocked {
            pipe.stalled += 1;
            return;
        }
        let (epoch, body) = pipe.packets.pop_front().expect("it was there");
        self.receive(way, epoch, body);
    }

    /// Lets what waited at a block go on.
    pub(super) fn flush_stalled(&mut self) {
        let ways: Vec<Way> =
            self.pipes.iter().filter(|(_, pipe)| pipe.stalled > 0).map(|(way, _)| *way).collect();
        for way in ways {
            let (from, to) = (way.from(), way.to());
            if self.way_blocked(from.ip(), to.ip()).is_some() {
                continue;
            }
            let stalled = self.pipes.get_mut(&way).map_or(0, |pipe| std::mem::take(&mut pipe.stalled));
            for _ in 0..stalled {
                let delayed = self.now + self.delay(from, to);
                self.at(delayed, Event::Arrive { way });
            }
        }
    }

    pub(super) fn receive(&mut self, way: Way, epoch: u64, body: Body<M>) {
        if way.dialer != way.acceptor
            && !(if way.back { self.awaits(way, epoch) } else { self.accepts(way, epoch) })
        {
            return;
        }
        match body {
            Body::Message { from, to, message } => self.post(&to, Letter::Message { from, message }),
            Body::Link { watcher, target } => self.linked(watcher, target),
            Body::Unlink { watcher, target } => {
                if let Some(process) = self.processes.get_mut(&way.to()) {
                    process.watchers.remove(&(target, watcher));
                }
            }
            Body::Gone { watcher, target } => self.report_exited(&watcher, &target),
            Body::Close if way.back => self.break_dialed(way.dialer, way.acceptor, epoch, false),
            Body::Close => {
                if let Some(process) = self.processes.get_mut(&way.acceptor) {
                    process.accepted.remove(&way.dialer);
                    process.watchers.retain(|(_, watcher)| watcher.address() != way.dialer);
                }
                if self.network.shared_fate {
                    self.break_open(way.acceptor, way.dialer);
                }
            }
        }
    }

    /// Whether the dialer still believes in the connection by which an answer comes.
    fn awaits(&self, way: Way, epoch: u64) -> bool {
        self.processes.get(&way.dialer).is_some_and(|process| process.open(way.acceptor) == Some(epoch))
    }

    /// Whether an acceptor takes what comes by a connection: the newest of its dialer, dialed to this life of it. If
    /// not, the dialer hears of it.
    fn accepts(&mut self, way: Way, epoch: u64) -> bool {
        let process = self.processes.get_mut(&way.acceptor).filter(|process| process.alive);
        if let Some(process) = process
            && epoch > process.floor
            && process.refused.get(&way.dialer).is_none_or(|refused| *refused < epoch)
        {
            let newest = process.accepted.get(&way.dialer).copied();
            if newest == Some(epoch) {
                return true;
            }
            if newest.is_none_or(|newest| newest < epoch) {
                if self.network.shared_fate {
                    self.break_with_former(way, newest.is_some());
                }
                let process = self.processes.get_mut(&way.acceptor).expect("it was there");
                process.watchers.retain(|(_, watcher)| watcher.address() != way.dialer);
                process.accepted.insert(way.dialer, epoch);
                return true;
            }
        }
        if self.way_blocked(way.acceptor.ip(), way.dialer.ip()).is_none() {
            let at = self.now + self.delay(way.acceptor, way.dialer);
            self.at(at, Event::Reset { at: way.dialer, peer: way.acceptor, epoch });
        }
        false
    }

    /// A peer dials anew. What was dialed to it before the former connection broke, or to a former life of it, is over.
    fn break_with_former(&mut self, way: Way, dialed_before: bool) {
        let floor = self.processes.get(&way.dialer).map_or(0, |process| process.floor);
        let open = self.processes.get(&way.acceptor).and_then(|process| process.open(way.dialer));
        if open.is_some_and(|open| dialed_before || open <= floor) {
            self.break_open(way.acceptor, way.dialer);
        }
    }

    /// Gives the connection to a peer up, if there is one.
    fn break_open(&mut self, at: SocketAddr, peer: SocketAddr) {
        let open = self.processes.get(&at).and_then(|process| process.open(peer));
        if let Some(epoch) = open {
            self.break_dialed(at, peer, epoch, true);
        }
    }

    /// A dialer gives a connection up: what was linked by it has exited. `tell`: the other end hears of it, after what
    /// was sent, less a tail.
    pub(super) fn break_dialed(&mut self, at: SocketAddr, peer: SocketAddr, epoch: u64, tell: bool) {
        let Some(process) = self.processes.get_mut(&at) else { return };
        let Some(end) = process.dialed.get_mut(&peer).filter(|end| end.open == Some(epoch)) else { return };
        end.open = None;
        let accepted = self.network.shared_fate.then(|| process.accepted.remove(&peer)).flatten();
        if let Some(accepted) = accepted {
            process.refused.insert(peer, accepted);
            process.watchers.retain(|(_, watcher)| watcher.address() != peer);
        }
        let lost: Vec<(Pid, Pid)> =
            process.links.iter().filter(|(_, target)| target.address() == peer).cloned().collect();
        self.trace.record(self.now, format_args!("{at} gives up connection {epoch} to {peer}"));
        if tell {
            self.close_pipe(Way::forth(at, peer), epoch, true);
        }
        if let Some(accepted) = accepted {
            self.close_pipe(Way::back(peer, at), accepted, false);
        }
        for (watcher, target) in lost {
            self.report_exited(&watcher, &target);
        }
    }

    /// Ends what one side sends on a connection. `harsh`: a random tail of it is lost.
    pub(super) fn close_pipe(&mut self, way: Way, epoch: u64, harsh: bool) {
        if harsh && let Some(pipe) = self.pipes.get_mut(&way) {
            let waiting = pipe.packets.iter().filter(|(number, _)| *number == epoch).count();
            let mut kept = self.random.below(waiting as u64 + 1);
            for (number, body) in &mut pipe.packets {
                if *number == epoch {
                    // What is lost becomes an end that comes early: arrivals and packets stay in step.
                    if kept == 0 {
                        *body = Body::Close;
                    }
                    kept = kept.saturating_sub(1);
                }
            }
        }
        self.enqueue(way, epoch, Body::Close);
    }

    pub(super) fn look_for_silence(&mut self, at: SocketAddr, peer: SocketAddr, epoch: u64, since: Time) {
        let Some(process) = self.processes.get(&at) else { return };
        if process.open(peer) != Some(epoch) || process.paused.is_some() {
            return;
        }
        if self.cut(at, peer).is_some_and(|from| from <= since) {
            self.break_dialed(at, peer, epoch, true);
        }
    }

    /// A way was just blocked: all whom it silences start to count.
    pub(super) fn block(&mut self, from: IpAddr, to: IpAddr) {
        if self.blocks.contains_key(&(from, to)) {
            return;
        }
        self.blocks.insert((from, to), self.now);
        let parted = |a: IpAddr, b: IpAddr| (a, b) == (from, to) || (b, a) == (from, to);
        self.watch(|dialer, peer| parted(dialer.ip(), peer.ip()));
    }

    /// Dialers look for silence in time.
    pub(super) fn watch(&mut self, wanted: impl Fn(SocketAddr, SocketAddr) -> bool) {
        for (at, peer, _) in self.dialed(wanted) {
            self.watch_end(at, peer);
        }
    }

    /// Connections by dialer and acceptor: by whom, to whom, which.
    pub(super) fn dialed(
        &self,
        wanted: impl Fn(SocketAddr, SocketAddr) -> bool,
    ) -> Vec<(SocketAddr, SocketAddr, u64)> {
        let ends = self.processes.iter().flat_map(|(at, process)| {
            process.dialed.iter().filter_map(|(peer, end)| Some((*at, *peer, end.open?)))
        });
        ends.filter(|(at, peer, _)| wanted(*at, *peer)).collect()
    }

    pub(super) fn watch_end(&mut self, at: SocketAddr, peer: SocketAddr) {
        let open = self.processes.get(&at).and_then(|process| process.open(peer));
        if let Some(epoch) = open
            && self.cut(at, peer).is_some()
        {
            let silence = self.network.silence;
            let jitter = between(&mut self.random, Duration::ZERO, silence / 4);
            let due = self.now + silence + jitter;
            self.at(due, Event::Silence { at, peer, epoch, since: self.now });
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
            self.notify(watcher, target);
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
