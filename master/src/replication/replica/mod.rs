//! The machine of a replica.
//!
//! | file | what it does |
//! |---|---|
//! | `ready.rs` | asks raft what is to be done, puts it on the disk, lets go what waited for that |
//! | `apply.rs` | applies what is committed; takes and installs snapshots |
//! | `lead.rs` | begins and ends leads, proposes, says who leads |
//! | `peers.rs` | who the others are, who is not wanted, what is sent to whom |
//! | `pull.rs` | how a snapshot gets to a follower, in pieces |
//! | `members.rs` | changes of members, one at a time; `refusals.rs`: when not |
//! | `asks.rs` | what operators ask; the read barrier |
//!
//! Inputs change raft's mind at once; what follows from it is collected and done by one `tick` that is due at once. So a
//! turn with many inputs makes one entry, one write and one message to each of the others.

mod apply;
mod asks;
mod lead;
mod members;
mod peers;
mod pull;
mod ready;
mod refusals;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use libactor::detect::Leads;
use libactor::{Machine, Pid, Random, Time};
use raft::eraftpb::Message;
use raft::{Config, RawNode, ReadOnlyOption};

use super::config::ReplicaConfig;
use super::input::{Disposition, Identity, Input, Membership, Output, Recovered};
use super::view::LogView;
use super::{convert, drain, limits};
use crate::registry::{DiskId, MemberId, Operation, State};

/// One of the masters, as far as the registry they share is concerned. See [`crate::replication`].
pub struct Replica {
    config: ReplicaConfig,
    identity: Identity,
    node: RawNode<LogView>,
    state: Arc<State>,
    /// The last index that `state` has, and its term.
    applied: (u64, u64),
    members: Membership,
    seed: u64,
    random: Random,
    /// Ticks of raft in this life: what timers here count.
    ticks: u64,
    next_tick: Time,
    /// Since when something waits to be flushed.
    flush_at: Option<Time>,
    /// Why it can't go on, found out before it could say so.
    doomed: Option<String>,
    ended: bool,
    /// Its first tick was.
    begun: bool,

    persists: Persists,
    snapshots: Snapshots,
    lead: Option<Lead>,
    disposition: Disposition,
    /// What that was made of: the term, the leader, whether the own lead is announced, the term of the last lead applied.
    stood: (u64, u64, bool, u64),
    /// The members have changed since.
    restand: bool,
    watchers: BTreeSet<Pid>,
    told: Leads,
    peers: BTreeMap<MemberId, Peer>,
    /// Who was told lately that it is not wanted, and when.
    refused: BTreeMap<Pid, u64>,
    /// Masters that were let go in this life, when, and where they were: they are still to hear of it.
    let_go: BTreeMap<MemberId, (u64, Option<Pid>)>,
    /// It was let go, and waits for another one to know that.
    removed: bool,
    /// Who says that this one is not wanted, since a leader was heard last.
    unwanted_by: BTreeSet<MemberId>,
    /// Whether a leader was heard in this life.
    heard_a_leader: bool,
    last_leader: Option<MemberId>,
    /// Since when the leader believes that more is kept here than there is.
    lost_since: Option<u64>,
    pulling: Option<pull::Pulling>,
    change: Option<members::Change>,
    reads: asks::Reads,
}

/// What is on its way to the disk.
#[derive(Debug, Default)]
struct Persists {
    /// The last number given.
    number: u64,
    /// The last term that was put on its way.
    term: u64,
    waiting: VecDeque<Waiting>,
}

/// What happens when something is durable.
#[derive(Debug)]
struct Waiting {
    number: u64,
    /// The Ready of raft that it stands for; 0: none.
    ready: u64,
    /// Whether nothing leaves before it: a new term is in it, or the end of a change of members.
    holds: bool,
    /// What must not leave before.
    messages: Vec<Message>,
}

/// Of this replica's own.
#[derive(Debug, Default)]
struct Snapshots {
    /// The durable one's size.
    bytes: u64,
    /// One that is being saved.
    saving: Option<super::input::SnapshotPosition>,
    /// Bytes of entries since the last one that was begun.
    since_bytes: u64,
    /// The index of the last one that was begun.
    begun: u64,
    /// A newer one is wanted, however short the log.
    wanted: bool,
}

/// While this replica is raft's leader.
#[derive(Debug)]
struct Lead {
    term: u64,
    /// Its own `Lead` is proposed.
    proposed: bool,
    /// That is applied: the master machine is at work.
    announced: bool,
    /// What waits to be proposed.
    waiting: VecDeque<Operation>,
    /// What is proposed and not applied.
    own: VecDeque<Own>,
    /// What is being put into the registry of members.
    identifying: BTreeMap<MemberId, (DiskId, u32)>,
}

/// An entry of this lead.
#[derive(Debug)]
struct Own {
    index: u64,
    /// Whether the master machine is told.
    told: bool,
    operations: Vec<Operation>,
}

/// Another replica.
#[derive(Debug, Default)]
struct Peer {
    /// `host:port`; empty: only heard of.
    address: String,
    pid: Option<Pid>,
    linked: bool,
    resolving: bool,
    /// When its address is to be looked up again.
    resolve_at: u64,
    /// When it was heard last.
    heard: Option<u64>,
    /// Its actor, its process or its host has gone since then.
    lost: bool,
    /// When it was sent, or has pulled a piece of, a snapshot.
    pulled: u64,
}

impl Replica {
    /// A replica, with what its disk holds. `seed` is for its choices, another one for each life.
    pub fn new(config: ReplicaConfig, recovered: Recovered, seed: u64, now: Time) -> Self {
        let Recovered { identity, hard_state, snapshot, entries } = recovered;
        let (mut doomed, mut log) = (None, Vec::new());
        for entry in entries {
            let next = snapshot.position.index + log.len() as u64 + 1;
            if entry.index > next {
                doomed = Some(format!("the log on the disk has no entry {next}"));
                break;
            }
            if entry.index == next {
                log.push(convert::raft_entry(entry));
            }
        }
        let last = snapshot.position.index + log.len() as u64;
        let mut hard = hard_state;
        hard.commit = hard.commit.max(snapshot.position.index);
        hard.term = hard.term.max(log.last().map_or(snapshot.position.term, |entry| entry.term));
        if hard.commit > last {
            let committed = hard.commit;
            doomed = Some(format!("the log on the disk ends at {last}, though {committed} was committed"));
            hard.commit = last;
        }
        let position = snapshot.position;
        let members = position.members.clone();
        let applied = (position.index, position.term);
        let view = LogView::new(position, convert::raft_hard_state(hard), log);
        let raft_config = raft_config(&config, identity.id, applied.0);
        let node = RawNode::new(&raft_config, view, &drain::logger())
            .expect("the settings are raft's own, and what the disk holds was looked at");
        let mut replica = Self {
            next_tick: now,
            random: Random::new(seed),
            seed,
            config,
            identity,
            node,
            state: snapshot.state,
            applied,
            members,
            ticks: 0,
            flush_at: Some(now),
            doomed,
            ended: false,
            begun: false,
            persists: Persists { term: hard.term, ..Persists::default() },
            snapshots: Snapshots { begun: applied.0, ..Snapshots::default() },
            lead: None,
            disposition: Disposition::Leaderless,
            stood: (0, 0, false, 0),
            restand: true,
            watchers: BTreeSet::new(),
            told: Leads { epoch: 0, leader: None, members: Vec::new() },
            peers: BTreeMap::new(),
            refused: BTreeMap::new(),
            let_go: BTreeMap::new(),
            removed: false,
            unwanted_by: BTreeSet::new(),
            heard_a_leader: false,
            last_leader: None,
            lost_since: None,
            pulling: None,
            change: None,
            reads: asks::Reads::default(),
        };
        replica.next_tick = now + replica.config.tick;
        replica.reads.begin(replica.random.next_u64());
        replica.set_election_timeout();
        replica.told = replica.leads();
        replica
    }

    /// The registry, as far as it is applied here.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The last index that is applied here.
    pub fn applied(&self) -> u64 {
        self.applied.0
    }

    /// Where it stands.
    pub fn disposition(&self) -> &Disposition {
        &self.disposition
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Raft's term.
    pub fn term(&self) -> u64 {
        self.node.raft.term
    }

    /// Whether it has said that its process must end.
    pub fn ended(&self) -> bool {
        self.ended
    }

    fn id(&self) -> MemberId {
        self.identity.id
    }

    fn election_ticks(&self) -> u64 {
        self.config.election_ticks as u64
    }

    /// Whether so many election timeouts have passed since a tick.
    fn passed(&self, since: u64, elections: u64) -> bool {
        self.ticks - since >= elections * self.election_ticks()
    }

    /// Election timeouts come from our seed, not from raft's dice: one for each term.
    fn set_election_timeout(&mut self) {
        let term = self.node.raft.term;
        let mixed = self.seed ^ term.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let extra = Random::new(mixed).below(self.election_ticks());
        self.node.raft.set_randomized_election_timeout(self.config.election_ticks + extra as usize);
    }

    /// The process must end. Nothing happens here after this.
    fn end(&mut self, message: String, failed: bool, out: &mut Vec<Output>) {
        if !self.ended {
            self.depose(out);
            self.ended = true;
            self.flush_at = None;
            out.push(Output::End { message, failed });
        }
    }

    /// What may have changed after each call of raft.
    fn after_step(&mut self, out: &mut Vec<Output>) {
        self.set_election_timeout();
        self.watch_role(out);
    }

    /// The first that happens in a life.
    fn begin(&mut self, out: &mut Vec<Output>) {
        self.refresh_peers(out);
        // A single voter need not wait for others.
        if self.node.raft.prs().is_singleton()
            && self.node.raft.promotable()
            && let Err(error) = self.node.campaign()
        {
            tracing::debug!("a single voter waits: {error}");
        }
        self.after_step(out);
    }

    /// One unit of raft's time. A process that stood still has not waited: however late it is, this is one.
    fn raft_tick(&mut self, now: Time, out: &mut Vec<Output>) {
        self.next_tick = now + self.config.tick;
        self.ticks += 1;
        // A single voter leads as soon as it asks; raft wants all of its log to be durable then.
        let alone = self.node.raft.prs().is_singleton() && self.lead.is_none();
        // A snapshot that is not durable yet is no log to campaign with.
        if (!alone || self.persists.waiting.is_empty()) && !self.installing() {
            self.node.tick();
            self.after_step(out);
        }
        self.peers_tick(out);
        self.pull_tick(out);
        self.reads_tick(out);
        self.change_tick(out);
    }
}

fn raft_config(config: &ReplicaConfig, id: MemberId, applied: u64) -> Config {
    Config {
        id: id.0,
        election_tick: config.election_ticks,
        heartbeat_tick: config.heartbeat_ticks,
        applied,
        max_size_per_msg: limits::MESSAGE_BYTES,
        max_inflight_msgs: limits::MAX_INFLIGHT_MESSAGES,
        check_quorum: true,
        pre_vote: true,
        // A lease would be believed by a leader that stood still.
        read_only_option: ReadOnlyOption::Safe,
        max_uncommitted_size: limits::MAX_UNCOMMITTED_BYTES,
        max_committed_size_per_ready: limits::MAX_APPLIED_AT_ONCE,
        ..Config::default()
    }
}

impl Machine for Replica {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if self.ended {
            return;
        }
        match input {
            Input::Peer { from, parcel } => self.on_parcel(from, parcel, out),
            Input::Exited { pid } => self.on_exited(&pid, out),
            Input::Resolved { id, pid } => self.on_resolved(id, pid),
            Input::Propose { term, operations } => self.on_propose(term, operations, out),
            Input::Persisted { number } => self.on_persisted(number, out),
            Input::DiskFailed { message } => {
                let advice =
                    "Free space or replace the disk, then start this master again; the others go on.";
                self.end(format!("The disk takes nothing more: {message}. {advice}"), true, out);
            }
            Input::SnapshotSaved { index, bytes } => self.on_snapshot_saved(index, bytes, out),
            Input::Ask { ask, request } => self.on_ask(ask, request, out),
            Input::Watch { from } => self.on_watch(from, out),
            Input::Look => return,
        }
        if !self.ended {
            self.flush_at.get_or_insert(now);
        }
    }

    fn deadline(&self) -> Option<Time> {
        if self.ended {
            return None;
        }
        Some(self.flush_at.map_or(self.next_tick, |at| at.min(self.next_tick)))
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.ended {
            return;
        }
        if let Some(reason) = self.doomed.take() {
            let advice = "What it had acknowledged is lost here. Repair it from the others: \
                          meseta masters repair --from-peer";
            self.end(format!("{reason}. {advice}"), true, out);
            return;
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.begin(out);
        }
        let ticks = now >= self.next_tick;
        if ticks {
            self.raft_tick(now, out);
        }
        if ticks || self.flush_at.is_some_and(|at| now >= at) {
            self.flush_at = None;
            self.flush(now, out);
        }
    }

    fn check(&self) {
        let log = &self.node.raft.raft_log;
        assert!(self.applied.0 <= log.committed, "nothing is applied that is not committed");
        assert!(self.node.store().first() <= self.applied.0 + 1, "what is not applied is in the log");
        let announced = self.lead.as_ref().is_some_and(|lead| lead.announced);
        assert!(
            self.ended || announced == (self.disposition == Disposition::Leading) || self.flush_at.is_some()
        );
        let numbers: Vec<_> = self.persists.waiting.iter().map(|waiting| waiting.number).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "what waits for the disk is in order");
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("id", &self.identity.id)
            .field("term", &self.term())
            .field("applied", &self.applied)
            .field("disposition", &self.disposition)
            .finish_non_exhaustive()
    }
}
