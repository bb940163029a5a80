//! How processes begin, end, stand still and come back.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::config::between;
use super::faults::life;
use super::host::UNKNOWN_STATUS;
use super::process::{Letter, Mail, Parent, Process, Slot, Way, shift};
use super::world::{Event, Seen, World};
use super::{Host, Hostile};
use crate::Pid;

impl<M: Clone + Debug + 'static> World<M> {
    pub(super) fn begin_life(&mut self, pid: &Pid) {
        let place = self.factories.range(..pid).count() as u64;
        let now = shift(self.now, self.ahead(pid.address().ip()));
        let boot = self.boots.get(&pid.address().ip()).copied().unwrap_or(0);
        let added = self.factories.get_mut(pid).expect("only added hosts begin lives");
        let host = (added.factory)(life(self.seed, place, added.lives, now, boot));
        added.lives += 1;
        self.install(pid, host, None);
    }

    pub(super) fn install(&mut self, pid: &Pid, host: Box<dyn Host<Message = M>>, parent: Option<Parent>) {
        let (epoch, ahead) = (self.epoch, self.ahead(pid.address().ip()));
        let process =
            self.processes.entry(pid.address()).or_insert_with(|| Process::new(epoch, ahead, parent.clone()));
        if !process.alive {
            *process = Process::new(epoch, ahead, parent);
        }
        self.begin(pid, host);
    }

    /// Begins a life of an actor in its living process.
    fn begin(&mut self, pid: &Pid, host: Box<dyn Host<Message = M>>) {
        let life = self.next_life;
        self.next_life += 1;
        let process = self.processes.get_mut(&pid.address()).expect("only living processes get actors");
        process.actors.insert(pid.clone(), Slot { life, host, tick_at: None, idle_ticks: 0 });
        self.mail.push_back(Mail { to: pid.clone(), life, what: Letter::Start });
    }

    /// How far the clock of a machine is ahead of the world's, for processes that begin now.
    fn ahead(&self, machine: IpAddr) -> i64 {
        self.clocks.get(&machine).copied().unwrap_or(0)
    }

    /// A host becomes the parent of a process, also of one that is gone.
    pub(super) fn adopt(&mut self, parent: Parent) {
        match self.processes.get_mut(&parent.child.address()).filter(|process| process.alive) {
            Some(process) => process.parent = Some(parent),
            None => {
                let what = Letter::Child { pid: parent.child, status: UNKNOWN_STATUS };
                let at = self.now + self.network.local_delay.draw(&mut self.random);
                self.at(at, Event::Mail(Mail { to: parent.pid, life: parent.life, what }));
            }
        }
    }

    /// An actor stops and its process lives on, unless it was the last one.
    pub(super) fn stop(&mut self, me: &Pid) {
        let Some(process) = self.processes.get_mut(&me.address()) else { return };
        if process.actors.remove(me).is_none() {
            return;
        }
        process.links.retain(|(watcher, _)| watcher != me);
        if process.actors.is_empty() {
            self.end_process(me.address(), 0, false);
            return;
        }
        self.tell_watchers(me);
    }

    /// An actor ends, and another life of it begins in the same process.
    pub(super) fn restart_actor(&mut self, me: &Pid, host: Box<dyn Host<Message = M>>) {
        let Some(process) = self.processes.get_mut(&me.address()) else { return };
        if process.actors.remove(me).is_none() {
            return;
        }
        let links: Vec<Pid> =
            process.links.iter().filter(|(watcher, _)| watcher == me).map(|(_, pid)| pid.clone()).collect();
        for target in links {
            self.unlink(me, &target);
        }
        self.tell_watchers(me);
        self.trace.record(self.now, format_args!("{me} ends and begins anew"));
        self.begin(me, host);
    }

    /// An actor is gone, its process is not.
    fn tell_watchers(&mut self, me: &Pid) {
        let Some(process) = self.processes.get_mut(&me.address()) else { return };
        let watchers: Vec<(Pid, Pid)> =
            process.watchers.iter().filter(|(target, _)| target == me).cloned().collect();
        process.watchers.retain(|(target, _)| target != me);
        for (target, watcher) in watchers {
            self.notify(watcher, target);
        }
    }

    /// Ends a process. `harsh`: it did not end by itself, so that a tail of what it sent is lost.
    pub(super) fn end_process(&mut self, address: SocketAddr, status: i32, harsh: bool) {
        let Some(process) = self.processes.get_mut(&address) else { return };
        if !process.alive {
            return;
        }
        process.alive = false;
        process.paused = None;
        process.actors.clear();
        process.inbox.clear();
        process.links.clear();
        process.watchers.clear();
        let parent = process.parent.take();
        let dialed = std::mem::take(&mut process.dialed);
        let accepted = std::mem::take(&mut process.accepted);
        for (peer, epoch) in dialed.into_iter().filter_map(|(peer, end)| Some((peer, end.open?))) {
            self.close_pipe(Way::forth(address, peer), epoch, harsh);
        }
        for (peer, epoch) in accepted {
            self.close_pipe(Way::back(peer, address), epoch, harsh);
        }
        self.trace.record(self.now, format_args!("process {address} ends, status {status}"));
        self.show(&Seen::Ended { process: address });
        if let Some(Parent { pid: to, life, child: pid }) = parent {
            self.processes.remove(&address);
            let at = self.now + self.network.local_delay.draw(&mut self.random);
            self.at(at, Event::Mail(Mail { to, life, what: Letter::Child { pid, status } }));
        }
    }

    pub(super) fn restart(&mut self, address: SocketAddr) {
        let alive = self.processes.get(&address).is_some_and(|process| process.alive);
        if alive || self.off.contains_key(&address.ip()) {
            return;
        }
        let pids: Vec<Pid> = self.factories.keys().filter(|pid| pid.address() == address).cloned().collect();
        for pid in pids {
            self.begin_life(&pid);
        }
    }

    pub(super) fn pause(&mut self, address: SocketAddr) {
        let now = self.now;
        if let Some(process) = self.processes.get_mut(&address).filter(|process| process.alive)
            && process.paused.is_none()
        {
            process.paused = Some(now);
            self.watch(|_, peer| peer == address);
        }
    }

    pub(super) fn resume(&mut self, address: SocketAddr) {
        let Some(process) = self.processes.get_mut(&address) else { return };
        let Some(since) = process.paused.take() else { return };
        let inbox = std::mem::take(&mut process.inbox);
        let pids: Vec<Pid> = process.actors.keys().cloned().collect();
        self.mail.extend(inbox);
        for pid in pids {
            self.plan_tick(&pid);
        }
        let stale = self.now.since(since) >= self.network.silence;
        for (_, peer, epoch) in self.dialed(|dialer, _| dialer == address) {
            // By its clock all peers were silent: it may think so before it reads what they have said.
            if stale && self.random.chance(500) {
                self.break_dialed(address, peer, epoch, true);
            } else {
                self.watch_end(address, peer);
            }
        }
    }

    pub(super) fn power_off(&mut self, machine: IpAddr) {
        if self.off.contains_key(&machine) {
            return;
        }
        let addresses: Vec<SocketAddr> =
            self.processes.keys().filter(|address| address.ip() == machine).copied().collect();
        for address in addresses {
            self.end_process(address, 137, true);
        }
        self.off.insert(machine, self.now);
        *self.boots.entry(machine).or_default() += 1;
        self.pipes.retain(|way, _| way.from().ip() != machine);
        self.watch(|_, peer| peer.ip() == machine);
    }

    pub(super) fn power_on(&mut self, machine: IpAddr) {
        if self.off.remove(&machine).is_none() {
            return;
        }
        let addresses: BTreeSet<SocketAddr> =
            self.factories.keys().map(Pid::address).filter(|address| address.ip() == machine).collect();
        for address in addresses {
            self.restart(address);
        }
        self.flush_stalled();
        // Who has not noticed yet learns it from the answer to its next heartbeat.
        let silence = self.network.silence;
        for (at, peer, epoch) in self.dialed(|_, peer| peer.ip() == machine) {
            let due = self.now + between(&mut self.random, Duration::ZERO, silence / 3);
            self.at(due, Event::Reset { at, peer, epoch });
        }
    }

    pub(super) fn calm(&mut self) {
        self.network.hostile = Hostile::default();
        self.blocks.clear();
        for machine in self.off.keys().copied().collect::<Vec<_>>() {
            self.power_on(machine);
        }
        let addresses: BTreeSet<SocketAddr> = self.factories.keys().map(Pid::address).collect();
        let paused: Vec<SocketAddr> = self.processes.keys().copied().collect();
        for address in paused {
            self.resume(address);
        }
        for address in addresses {
            self.restart(address);
        }
        self.flush_stalled();
    }
}
