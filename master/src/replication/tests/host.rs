//! A replica in a simulated world: what its shell, its disk and its master machine do.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use libactor::detect::Leads;
use libactor::sim::{Context, Host, Life};
use libactor::{Machine, Pid, Random, Time};
use protocol::AgentId;

use super::disk::{Disk, Done};
use super::ledger::Ledger;
use crate::registry::MemberId;
use crate::replication::{
    Ask, Body, Disposition, Input, MembersRequest, NAME, Output, Parcel, Replica, ReplicaAnswer,
    ReplicaConfig,
};

/// What travels.
#[derive(Clone)]
pub(super) enum Word {
    Parcel(Parcel),
    Watch,
    Leads(Leads),
    Ask(MembersRequest),
    Answer(ReplicaAnswer),
}

/// Short: the trace is hashed.
impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Parcel(parcel) => match &parcel.body {
                Body::Raft(messages) => {
                    f.write_str("raft")?;
                    for message in messages {
                        let (index, entries) = (message.index, message.entries.len());
                        write!(f, " {}:{}:{index}+{entries}", message.kind, message.term)?;
                        write!(f, "c{}{}", message.commit, if message.reject { "!" } else { "" })?;
                    }
                    Ok(())
                }
                Body::Piece { index, offset, total, .. } => write!(f, "piece {index} {offset}/{total}"),
                other => write!(f, "{other:?}"),
            },
            Word::Watch => f.write_str("watch"),
            Word::Leads(leads) => write!(f, "{leads:?}"),
            Word::Ask(request) => write!(f, "{request:?}"),
            Word::Answer(ReplicaAnswer::Registry(state)) => write!(f, "registry of {}", state.gone.len()),
            Word::Answer(answer) => write!(f, "{answer:?}"),
        }
    }
}

/// What outlives a process: by member.
pub(super) type Disks = Rc<RefCell<BTreeMap<MemberId, Disk>>>;

pub(super) struct ReplicaHost {
    pub(super) replica: Replica,
    disks: Disks,
    ledger: Rc<RefCell<Ledger>>,
    id: MemberId,
    random: Random,
    lead: Option<u64>,
    propose_at: Option<Time>,
    /// Between two proposals, at most; zero: none are made.
    pub(super) pace: Duration,
    pub(super) piece_bytes: usize,
    asks: BTreeMap<Ask, (Pid, BTreeSet<AgentId>)>,
    next_ask: u64,
    out: Vec<Output>,
    pub(super) standing: Disposition,
    applied: u64,
}

/// Where a member lives.
pub(super) fn pid(id: u64) -> Pid {
    Pid::new(NAME, SocketAddr::from(([10, 0, 0, id as u8], 5050)))
}

pub(super) fn address(id: u64) -> String {
    pid(id).address().to_string()
}

pub(super) fn config(id: u64) -> ReplicaConfig {
    let master = Pid::new("master", pid(id).address());
    ReplicaConfig {
        tick: Duration::from_millis(250),
        snapshot_entries: 60,
        kept_entries: 20,
        ..ReplicaConfig::new(pid(id), master)
    }
}

impl ReplicaHost {
    pub(super) fn new(
        config: ReplicaConfig,
        id: MemberId,
        life: Life,
        disks: Disks,
        ledger: Rc<RefCell<Ledger>>,
        pace: Duration,
    ) -> Self {
        let recovered = {
            let mut disks = disks.borrow_mut();
            let disk = disks.get_mut(&id).expect("a master has a disk");
            disk.crash();
            disk.recovered()
        };
        ledger.borrow_mut().crashed(id);
        let replica = Replica::new(config, recovered, life.seed, life.began);
        Self {
            applied: replica.applied(),
            replica,
            disks,
            ledger,
            id,
            random: Random::new(life.seed ^ 1),
            lead: None,
            propose_at: None,
            pace,
            piece_bytes: 300,
            asks: BTreeMap::new(),
            next_ask: 0,
            out: Vec::new(),
            standing: Disposition::Leaderless,
        }
    }

    fn tell(&mut self, now: Time, input: Input, cx: &mut Context<Word>) {
        self.replica.handle(now, input, &mut self.out);
        self.carry_out(now, cx);
    }

    fn carry_out(&mut self, now: Time, cx: &mut Context<Word>) {
        while !self.out.is_empty() {
            for output in std::mem::take(&mut self.out) {
                self.one(now, output, cx);
            }
        }
        if self.replica.applied() != self.applied && !self.replica.ended() {
            self.applied = self.replica.applied();
            if self.applied.is_multiple_of(32) {
                self.ledger.borrow_mut().applied(&self.replica);
            }
        }
    }

    fn one(&mut self, now: Time, output: Output, cx: &mut Context<Word>) {
        let mut disks = self.disks.borrow_mut();
        let disk = disks.get_mut(&self.id).expect("a master has a disk");
        let mut ledger = self.ledger.borrow_mut();
        match output {
            Output::Send { to, parcel } => cx.send(&to, Word::Parcel(parcel)),
            Output::Link { pid } => cx.link(&pid),
            Output::Unlink { pid } => cx.unlink(&pid),
            Output::Resolve { id, address } => {
                let pid = address.parse().ok().map(|address| Pid::new(NAME, address));
                self.replica.handle(now, Input::Resolved { id, pid }, &mut self.out);
            }
            Output::Persist(persist) => disk.persist(now, persist),
            Output::SaveSnapshot(snapshot) => disk.save(now, snapshot),
            Output::Compact { before } => disk.compact(now, before),
            Output::SendPiece { to, mut parcel, index, offset } => {
                if let Some((total, bytes)) = disk.piece(index, offset, self.piece_bytes) {
                    parcel.body = Body::Piece { index, offset, total, bytes };
                    cx.send(&to, Word::Parcel(parcel));
                }
            }
            Output::Lead { term, state } => {
                ledger.leads(self.id, term, &state);
                self.lead = Some(term);
                self.propose_at = (!self.pace.is_zero()).then_some(now);
                cx.note(format!("leads in {term}"));
            }
            Output::Deposed { term } => {
                assert_eq!(self.lead.take(), Some(term), "the lead that ends is the one that began");
                ledger.deposed(self.id, term);
                self.propose_at = None;
                cx.note(format!("is deposed in {term}"));
            }
            Output::Committed { term, operations } => ledger.committed(self.id, term, &operations),
            Output::Refused { reason, .. } => panic!("refused: {reason}"),
            Output::Standing(standing) => {
                assert_eq!(standing == Disposition::Leading, self.lead.is_some());
                self.standing = standing;
            }
            Output::Leads { to, leads } => cx.send(&to, Word::Leads(leads)),
            Output::Answer { ask, answer } => {
                let (from, least) = self.asks.remove(&ask).expect("each question is answered once");
                if let ReplicaAnswer::Registry(state) = &answer {
                    ledger.read(state, &least);
                }
                cx.send(&from, Word::Answer(answer));
            }
            Output::End { message, failed } => {
                cx.note(format!("ends: {message}"));
                ledger.crashed(self.id);
                ledger.ended.insert(self.id, (message, failed));
                cx.exit(i32::from(failed));
            }
        }
    }
}

impl Host for ReplicaHost {
    type Message = Word;

    fn start(&mut self, _now: Time, _me: &Pid, _cx: &mut Context<Word>) {}

    fn message(&mut self, now: Time, from: Pid, message: Word, cx: &mut Context<Word>) {
        let input = match message {
            Word::Parcel(parcel) => Input::Peer { from, parcel },
            Word::Watch => Input::Watch { from },
            Word::Ask(request) => {
                self.next_ask += 1;
                let ask = Ask(self.next_ask);
                let least = match request {
                    MembersRequest::Registry => self.ledger.borrow().acknowledged.clone(),
                    _ => BTreeSet::new(),
                };
                self.asks.insert(ask, (from, least));
                Input::Ask { ask, request }
            }
            Word::Leads(_) | Word::Answer(_) => return,
        };
        self.tell(now, input, cx);
    }

    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<Word>) {
        self.tell(now, Input::Exited { pid }, cx);
    }

    fn deadline(&self) -> Option<Time> {
        let disk = self.disks.borrow().get(&self.id).and_then(Disk::deadline);
        self.replica.deadline().into_iter().chain(disk).chain(self.propose_at).min()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Word>) {
        let done = self.disks.borrow_mut().get_mut(&self.id).map(|disk| disk.done(now)).unwrap_or_default();
        for done in done {
            let input = match done {
                Done::Persisted(number) => Input::Persisted { number },
                Done::Saved(index, bytes) => Input::SnapshotSaved { index, bytes },
            };
            self.tell(now, input, cx);
        }
        if let Some(term) = self.lead
            && self.propose_at.is_some_and(|at| at <= now)
        {
            let many = 1 + self.random.below(5);
            let operations = (0..many).map(|_| self.ledger.borrow_mut().propose(self.id, term)).collect();
            self.propose_at = Some(now + self.pace * (1 + self.random.below(100) as u32) / 100);
            self.tell(now, Input::Propose { term, operations }, cx);
        }
        if self.replica.deadline().is_some_and(|at| at <= now) {
            self.replica.tick(now, &mut self.out);
            self.carry_out(now, cx);
        }
    }

    fn check(&self) {
        self.replica.check();
    }
}
