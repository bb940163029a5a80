//! The world: hosts, virtual time and the loop that moves it on.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::host::Command;
use super::process::{Body, Letter, Mail, Parent, Pipe, Process, Way};
use super::{Context, Factory, Fault, Host, Network, Plan, Trace};
use crate::{Pid, Random, Time};

/// When a world begins: 2001-09-09, so that a zero stands out.
pub const BEGINNING: Time = Time::from_nanos(1_000_000_000_000_000_000);
/// More ticks in a row than this without moving on are a host that never sleeps.
const MAX_IDLE_TICKS: u32 = 1000;
/// The first port of spawned processes; added hosts should stay below.
const FIRST_SPAWN_PORT: u16 = 10_000;

/// What an observer sees.
#[derive(Debug)]
pub enum Seen<'a, M> {
    /// A host sends.
    Sent {
        /// Who.
        from: &'a Pid,
        /// To whom.
        to: &'a Pid,
        /// What.
        message: &'a M,
    },
    /// A message is handed to its host.
    Delivered {
        /// Who sent it.
        from: &'a Pid,
        /// Who gets it.
        to: &'a Pid,
        /// What.
        message: &'a M,
    },
    /// A host begins a life.
    Started {
        /// Which.
        pid: &'a Pid,
    },
    /// A process has ended, whatever way.
    Ended {
        /// Which.
        process: SocketAddr,
    },
}

/// Looks at what happens; may panic where it must not have happened.
pub type Observer<M> = Box<dyn FnMut(Time, &Seen<'_, M>)>;

/// Hosts on virtual time, with a seeded network between them. See [`crate::sim`].
pub struct World<M> {
    pub(super) now: Time,
    pub(super) network: Network,
    pub(super) random: Random,
    pub(super) processes: BTreeMap<SocketAddr, Process<M>>,
    pub(super) pipes: BTreeMap<Way, Pipe<M>>,
    /// Numbers connections, of all pairs and dialers.
    pub(super) epoch: u64,
    /// Ways that are blocked, and since when.
    pub(super) blocks: BTreeMap<(IpAddr, IpAddr), Time>,
    /// Machines without power, and since when.
    pub(super) off: BTreeMap<IpAddr, Time>,
    /// How often machines were started anew.
    pub(super) boots: BTreeMap<IpAddr, u64>,
    /// How far clocks of machines are ahead of the world's, in nanoseconds.
    pub(super) clocks: BTreeMap<IpAddr, i64>,
    pub(super) mail: VecDeque<Mail<M>>,
    pub(super) trace: Trace,
    pub(super) seed: u64,
    queue: BTreeMap<(Time, u64), Event<M>>,
    sequence: u64,
    pub(super) factories: BTreeMap<Pid, Added<M>>,
    pub(super) next_life: u64,
    next_port: u16,
    observers: Vec<Observer<M>>,
}

pub(super) struct Added<M> {
    pub(super) factory: Factory<M>,
    pub(super) lives: u64,
}

/// What is to happen.
pub(super) enum Event<M> {
    /// Something arrives at the head of a pipe.
    Arrive {
        way: Way,
    },
    /// A message that left its order.
    Stray {
        way: Way,
        epoch: u64,
        body: Body<M>,
    },
    /// A peer has said that it does not know this connection.
    Reset {
        at: SocketAddr,
        peer: SocketAddr,
        epoch: u64,
    },
    /// The dialer of a connection looks whether its peer is silent since then.
    Silence {
        at: SocketAddr,
        peer: SocketAddr,
        epoch: u64,
        since: Time,
    },
    Tick {
        pid: Pid,
        life: u64,
        at: Time,
    },
    Mail(Mail<M>),
    Fault(Fault),
}

impl<M: Clone + Debug + 'static> World<M> {
    /// An empty world. The same seed and the same calls give the same trace.
    pub fn new(seed: u64, network: Network) -> Self {
        Self {
            now: BEGINNING,
            network,
            random: Random::new(seed),
            processes: BTreeMap::new(),
            pipes: BTreeMap::new(),
            epoch: 0,
            blocks: BTreeMap::new(),
            off: BTreeMap::new(),
            boots: BTreeMap::new(),
            clocks: BTreeMap::new(),
            mail: VecDeque::new(),
            trace: Trace::new(),
            seed,
            queue: BTreeMap::new(),
            sequence: 0,
            factories: BTreeMap::new(),
            next_life: 1,
            next_port: FIRST_SPAWN_PORT,
            observers: Vec::new(),
        }
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        self.now
    }

    /// What has happened.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Keeps the text of the last `lines` events from here on.
    pub fn keep_trace(&mut self, lines: usize) {
        self.trace.keep(lines);
    }

    /// Adds a host and starts its first life. Hosts of one address are one process, processes of one IP address
    /// one machine.
    ///
    /// # Panics
    /// If the name is taken.
    pub fn add(&mut self, pid: &Pid, factory: Factory<M>) {
        let replaced = self.factories.insert(pid.clone(), Added { factory, lives: 0 });
        assert!(replaced.is_none(), "{pid} is added once");
        self.begin_life(pid);
    }

    /// Lets somebody look at all that happens from here on.
    pub fn observe(&mut self, observer: Observer<M>) {
        self.observers.push(observer);
    }

    /// A living host, if it is of this type.
    pub fn host<T: Host<Message = M>>(&self, pid: &Pid) -> Option<&T> {
        let slot = self.processes.get(&pid.address())?.actors.get(pid)?;
        let any: &dyn Any = &*slot.host;
        any.downcast_ref()
    }

    /// All living hosts.
    pub fn living(&self) -> impl Iterator<Item = &Pid> {
        self.processes.values().flat_map(|process| process.actors.keys())
    }

    /// Sets the clock of a machine so many nanoseconds ahead of the world's (behind it, below zero). Processes that begin
    /// from here on go by it; one that lives keeps what it has, as a node does.
    pub fn set_clock(&mut self, machine: IpAddr, ahead: i64) {
        self.clocks.insert(machine, ahead);
    }

    /// Lets something go wrong now.
    pub fn inflict(&mut self, fault: Fault) {
        self.trace.record(self.now, format_args!("fault {fault:?}"));
        match fault {
            Fault::Crash { process } => self.end_process(process, 137, true),
            Fault::Restart { process } => self.restart(process),
            Fault::PowerOff { machine } => self.power_off(machine),
            Fault::PowerOn { machine } => self.power_on(machine),
            Fault::Block { from, to } => self.block(from, to),
            Fault::Unblock { from, to } => {
                self.blocks.remove(&(from, to));
                self.flush_stalled();
            }
            Fault::Pause { process } => self.pause(process),
            Fault::Resume { process } => self.resume(process),
            Fault::SetHostile { hostile } => self.network.hostile = hostile,
            Fault::Calm => self.calm(),
        }
    }

    /// Puts the faults of a plan into the future.
    pub fn schedule(&mut self, plan: Plan) {
        for (time, fault) in plan.faults {
            self.at(time, Event::Fault(fault));
        }
    }

    /// Does the next thing; `None` if there is nothing left to do.
    pub fn step(&mut self) -> Option<Time> {
        if let Some(mail) = self.mail.pop_front() {
            self.hand_over(mail);
            return Some(self.now);
        }
        let ((time, _), event) = self.queue.pop_first()?;
        self.now = self.now.max(time);
        match event {
            Event::Arrive { way } => self.arrive(way),
            Event::Stray { way, epoch, body } => self.receive(way, epoch, body),
            Event::Reset { at, peer, epoch } => self.break_dialed(at, peer, epoch, false),
            Event::Silence { at, peer, epoch, since } => self.look_for_silence(at, peer, epoch, since),
            Event::Tick { pid, life, at } => self.tick(&pid, life, at),
            Event::Mail(mail) => self.mail.push_back(mail),
            Event::Fault(fault) => self.inflict(fault),
        }
        Some(self.now)
    }

    /// Does all that happens up to a time, and leaves the clock there.
    pub fn run_until(&mut self, time: Time) {
        while !self.mail.is_empty() || self.next_at().is_some_and(|next| next <= time) {
            self.step();
        }
        self.now = self.now.max(time);
    }

    /// Does all that happens within a duration, and leaves the clock there.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    fn next_at(&self) -> Option<Time> {
        self.queue.keys().next().map(|(time, _)| *time)
    }

    pub(super) fn at(&mut self, time: Time, event: Event<M>) {
        self.sequence += 1;
        self.queue.insert((time.max(self.now), self.sequence), event);
    }

    fn hand_over(&mut self, mail: Mail<M>) {
        let Some(process) = self.processes.get_mut(&mail.to.address()) else { return };
        if process.paused.is_some() {
            process.inbox.push_back(mail);
            return;
        }
        if process.actors.get(&mail.to).is_none_or(|slot| slot.life != mail.life) {
            return;
        }
        let Mail { to, what, .. } = mail;
        self.trace_letter(&to, &what);
        self.call(&to, |host, now, cx| match what {
            Letter::Start => {
                let me = cx.me.clone();
                host.start(now, &me, cx);
            }
            Letter::Message { from, message } => host.message(now, from, message, cx),
            Letter::Exited { pid } => host.exited(now, pid, cx),
            Letter::Child { pid, status } => host.child_ended(now, pid, status, cx),
        });
    }

    fn trace_letter(&mut self, to: &Pid, what: &Letter<M>) {
        let now = self.now;
        match what {
            Letter::Start => {
                self.trace.record(now, format_args!("{to} starts"));
                self.show(&Seen::Started { pid: to });
            }
            Letter::Message { from, message } => {
                self.trace.record(now, format_args!("{from} -> {to} {message:?}"));
                self.show(&Seen::Delivered { from, to, message });
            }
            Letter::Exited { pid } => self.trace.record(now, format_args!("{to} hears {pid} exited")),
            Letter::Child { pid, status } => {
                self.trace.record(now, format_args!("{to} reaps {pid} status {status}"));
            }
        }
    }

    pub(super) fn show(&mut self, seen: &Seen<'_, M>) {
        for observer in &mut self.observers {
            observer(self.now, seen);
        }
    }

    fn tick(&mut self, pid: &Pid, life: u64, at: Time) {
        let Some(process) = self.processes.get_mut(&pid.address()) else { return };
        let paused = process.paused.is_some();
        let clock = process.clock(self.now);
        let Some(slot) = process.actors.get_mut(pid) else { return };
        if slot.life != life || slot.tick_at != Some(at) {
            return;
        }
        slot.tick_at = None;
        if paused || slot.host.deadline().is_none_or(|deadline| deadline > clock) {
            self.plan_tick(pid);
            return;
        }
        self.trace.record(self.now, format_args!("{pid} ticks"));
        self.call(pid, |host, now, cx| host.tick(now, cx));
        let Some(process) = self.processes.get_mut(&pid.address()) else { return };
        let clock = process.clock(self.now);
        if let Some(slot) = process.actors.get_mut(pid) {
            let idle = slot.host.deadline().is_some_and(|deadline| deadline <= clock);
            slot.idle_ticks = if idle { slot.idle_ticks + 1 } else { 0 };
            assert!(slot.idle_ticks < MAX_IDLE_TICKS, "{pid} ticks and its deadline stays in the past");
        }
    }

    /// Makes sure that a tick comes at the host's deadline. A process that stands still gets none.
    pub(super) fn plan_tick(&mut self, pid: &Pid) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid.address()) else { return };
        if process.paused.is_some() {
            return;
        }
        let Some(deadline) = process.actors.get(pid).and_then(|slot| slot.host.deadline()) else { return };
        let deadline = process.world_time(deadline).max(now);
        let Some(slot) = process.actors.get_mut(pid) else { return };
        if slot.tick_at.is_some_and(|at| at <= deadline) {
            return;
        }
        slot.tick_at = Some(deadline);
        let life = slot.life;
        self.at(deadline, Event::Tick { pid: pid.clone(), life, at: deadline });
    }

    /// Calls a host, checks it, and carries out what it asks for.
    fn call(&mut self, pid: &Pid, call: impl FnOnce(&mut dyn Host<Message = M>, Time, &mut Context<M>)) {
        let mut cx = Context { me: pid.clone(), next_port: self.next_port, commands: Vec::new() };
        let Some(process) = self.processes.get_mut(&pid.address()) else { return };
        let clock = process.clock(self.now);
        let Some(slot) = process.actors.get_mut(pid) else { return };
        call(&mut *slot.host, clock, &mut cx);
        slot.host.check();
        let life = slot.life;
        self.next_port = cx.next_port;
        for command in cx.commands {
            self.carry_out(pid, life, command);
        }
        self.plan_tick(pid);
    }

    fn carry_out(&mut self, me: &Pid, life: u64, command: Command<M>) {
        match command {
            Command::Send { to, message } => {
                self.show(&Seen::Sent { from: me, to: &to, message: &message });
                let body = Body::Message { from: me.clone(), to: to.clone(), message };
                self.transmit(me.address(), to.address(), body);
            }
            Command::Link { pid } => self.link(me, pid),
            Command::Unlink { pid } => self.unlink(me, &pid),
            Command::Spawn { pid, host } => {
                let parent = Parent { pid: me.clone(), life, child: pid.clone() };
                self.install(&pid, host, Some(parent));
            }
            Command::Adopt { pid: child } => self.adopt(Parent { pid: me.clone(), life, child }),
            Command::Kill { pid } => {
                self.trace.record(self.now, format_args!("{me} kills {pid}"));
                self.end_process(pid.address(), 137, true);
            }
            Command::Stop => self.stop(me),
            Command::Restart { host } => self.restart_actor(me, host),
            Command::Exit { status } => self.end_process(me.address(), status, false),
            Command::Note { text } => self.trace.record(self.now, format_args!("{me} notes {text}")),
        }
    }
}
