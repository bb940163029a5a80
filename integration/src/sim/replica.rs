//! The other half of a master's process: the replica, its disk, and what the process says to itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use libactor::sim::{Context, Host, Life};
use libactor::{Machine, Pid, Random, Time, Timers};
use master::disk::DiskEvent;
use master::registry::MemberId;
use master::replication::{Input, Output, Replica, ReplicaConfig};

use super::Message;
use super::disk::{Disk, Speed, Writer};
use super::invariants::Ledger;
use super::message::Group;

/// What makes a replica.
#[derive(Clone, Debug)]
pub struct ReplicaSetup {
    /// Its settings.
    pub config: ReplicaConfig,
    /// What outlives it.
    pub disk: Disk,
    /// How that behaves.
    pub speed: Speed,
    /// Told what each replica has applied.
    pub ledger: Rc<RefCell<Ledger>>,
    /// Told when it decides to end.
    pub ended: Ended,
}

/// Masters that have ended by their own decision, and what they had to say.
pub type Ended = Rc<RefCell<Vec<(Pid, String, bool)>>>;

/// A replica and its disk.
pub struct ReplicaHost {
    replica: Replica,
    setup: ReplicaSetup,
    random: Random,
    writer: Writer,
    /// Addresses that are being looked up.
    lookups: Timers<(MemberId, String)>,
    applied: u64,
}

impl ReplicaHost {
    /// A new life, with what is left on the disk.
    pub fn new(setup: ReplicaSetup, life: Life) -> Self {
        let mut random = Random::new(life.seed);
        let recovered = setup.disk.recover(&mut random);
        let writer = Writer::new(&setup.disk, setup.speed, random.next_u64());
        let replica = Replica::new(setup.config.clone(), recovered, random.next_u64(), life.began);
        let applied = replica.applied();
        setup.ledger.borrow_mut().applied(&setup.config.pid, applied, replica.state());
        Self { replica, setup, random, writer, lookups: Timers::default(), applied }
    }

    /// The machine.
    pub fn machine(&self) -> &Replica {
        &self.replica
    }

    fn feed(&mut self, now: Time, input: Input, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.replica.handle(now, input, &mut out);
        self.carry_out(now, out, cx);
    }

    fn carry_out(&mut self, now: Time, out: Vec<Output>, cx: &mut Context<Message>) {
        self.replica.check();
        for output in out {
            match output {
                Output::Send { to, parcel } => cx.send(&to, Message::Parcel(parcel)),
                Output::Link { pid } => cx.link(&pid),
                Output::Unlink { pid } => cx.unlink(&pid),
                Output::Resolve { id, address } => {
                    let took = Duration::from_micros(self.random.below(50_000));
                    self.lookups.set((id, address), now + took);
                }
                Output::Persist(persist) => self.writer.persist(now, persist),
                Output::SaveSnapshot(snapshot) => self.writer.save(now, &snapshot),
                Output::Compact { before } => self.writer.compact(now, before),
                Output::SendPiece { to, parcel, index, offset } => {
                    self.writer.read_piece(now, to, parcel, index, offset);
                }
                Output::Lead { term, state } => self.tell_master(Group::Lead { term, state }, cx),
                Output::Deposed { term } => self.tell_master(Group::Deposed { term }, cx),
                Output::Committed { term, operations } => {
                    self.tell_master(Group::Committed { term, operations }, cx);
                }
                Output::Refused { term, operation, reason } => {
                    self.tell_master(Group::Refused { term, operation, reason }, cx);
                }
                Output::Standing(standing) => self.tell_master(Group::Standing(standing), cx),
                Output::Leads { to, leads } => cx.send(&to, Message::Leads(leads)),
                Output::Answer { ask, answer } => {
                    let operator = super::operator::address();
                    cx.send(&operator, Message::MembersAnswer { ask, answer });
                }
                Output::End { message, failed } => {
                    cx.note(format!("master ends: {message}"));
                    self.setup.ended.borrow_mut().push((cx.me().clone(), message, failed));
                    cx.exit(i32::from(failed));
                }
            }
        }
        if self.replica.applied() != self.applied {
            self.applied = self.replica.applied();
            let mut ledger = self.setup.ledger.borrow_mut();
            ledger.applied(&self.setup.config.pid, self.applied, self.replica.state());
        }
    }

    fn tell_master(&self, what: Group, cx: &mut Context<Message>) {
        cx.send(&self.setup.config.master, Message::Group(what));
    }

    fn reported(&mut self, now: Time, event: DiskEvent, cx: &mut Context<Message>) {
        let input = match event {
            DiskEvent::Persisted(number) => Input::Persisted { number },
            DiskEvent::Saved(index, bytes) => Input::SnapshotSaved { index, bytes },
            DiskEvent::Piece(to, parcel) => return cx.send(&to, Message::Parcel(parcel)),
            DiskEvent::Failed(message) => Input::DiskFailed { message },
        };
        self.feed(now, input, cx);
    }

    /// A look-up has taken its time; now and then it finds nothing.
    fn looked_up(&mut self, now: Time, id: MemberId, address: &str, cx: &mut Context<Message>) {
        let fails = self.random.chance(50);
        let pid = format!("{}@{address}", master::replication::NAME).parse().ok().filter(|_| !fails);
        self.feed(now, Input::Resolved { id, pid }, cx);
    }
}

impl std::fmt::Debug for ReplicaHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicaHost").field("applied", &self.applied).finish_non_exhaustive()
    }
}

impl Host for ReplicaHost {
    type Message = Message;

    fn start(&mut self, now: Time, _me: &Pid, cx: &mut Context<Message>) {
        self.feed(now, Input::Look, cx);
    }

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        let input = match message {
            Message::Parcel(parcel) => Input::Peer { from, parcel },
            Message::Watch => Input::Watch { from },
            Message::MembersCall { ask, request } => Input::Ask { ask, request },
            Message::Group(Group::Propose { term, operations }) => Input::Propose { term, operations },
            other => panic!("{other:?} is nothing for a replica"),
        };
        self.feed(now, input, cx);
    }

    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<Message>) {
        self.feed(now, Input::Exited { pid }, cx);
    }

    fn deadline(&self) -> Option<Time> {
        [self.replica.deadline(), self.writer.deadline(), self.lookups.next()].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.replica.tick(now, &mut out);
        self.carry_out(now, out, cx);
        while let Some(event) = self.writer.next(now) {
            self.reported(now, event, cx);
        }
        while let Some((id, address)) = self.lookups.pop(now) {
            self.looked_up(now, id, &address, cx);
        }
    }
}
