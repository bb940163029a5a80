//! What a replica is told, what it asks for, and what its disk holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use libactor::Pid;
use libactor::detect::Leads;
use serde::{Deserialize, Serialize};

use super::message::Parcel;
use crate::registry::{ClusterId, DiskId, MemberId, Operation, State};

/// Facts and requests.
#[derive(Clone, Debug)]
pub enum Input {
    /// Another replica speaks.
    Peer {
        /// Its actor.
        from: Pid,
        /// What.
        parcel: Parcel,
    },
    /// A linked actor, its process or its host is gone.
    Exited {
        /// Which.
        pid: Pid,
    },
    /// The address of a master was looked up, as [`Output::Resolve`] asked.
    Resolved {
        /// Whose.
        id: MemberId,
        /// Its replica; `None`: no address belongs to the name.
        pid: Option<Pid>,
    },
    /// The master machine that leads wants operations in the registry; in order. What comes from a lead that is over is
    /// dropped.
    Propose {
        /// The term of its lead, as [`Output::Lead`] said.
        term: u64,
        /// What.
        operations: Vec<Operation>,
    },
    /// All that [`Output::Persist`] asked for up to this number is durable. In order; one may stand for several.
    Persisted {
        /// As asked.
        number: u64,
    },
    /// The disk takes nothing more. The replica ends: what it can't keep it must not promise.
    DiskFailed {
        /// What was being done, and why it failed.
        message: String,
    },
    /// A snapshot that [`Output::SaveSnapshot`] asked for is durable.
    SnapshotSaved {
        /// The last index that it holds.
        index: u64,
        /// Its size.
        bytes: u64,
    },
    /// An operator asks, and waits for one [`Output::Answer`].
    Ask {
        /// To answer with.
        ask: Ask,
        /// What.
        request: MembersRequest,
    },
    /// An actor wants to be told who leads, now and at each change, until it is gone.
    Watch {
        /// Who.
        from: Pid,
    },
    /// Somebody wants to see the machine as it is now: a turn ends after this, and with it the edge gets a look.
    Look,
}

/// Imperatives.
#[derive(Clone, Debug)]
pub enum Output {
    /// Tell another replica. May be lost: Raft repeats what matters.
    Send {
        /// Its actor.
        to: Pid,
        /// What.
        parcel: Parcel,
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
    /// Look up where a master is, and report [`Input::Resolved`].
    Resolve {
        /// Whose address it is.
        id: MemberId,
        /// `host:port`.
        address: String,
    },
    /// Put this on the disk, in order, and report [`Input::Persisted`] when it is durable.
    Persist(Persist),
    /// Encode this and put it into a file of its own, beside what [`Output::Persist`] goes on with, then report
    /// [`Input::SnapshotSaved`]. It replaces older ones. One at a time.
    SaveSnapshot(Snapshot),
    /// The log before this index is in a durable snapshot: the disk may forget it.
    Compact {
        /// The first index that is still needed.
        before: u64,
    },
    /// Send a piece of the newest durable snapshot, [`Body::Piece`](super::Body::Piece), wrapped as `parcel` is.
    SendPiece {
        /// To whom.
        to: Pid,
        /// Addressed; its body is replaced.
        parcel: Parcel,
        /// The index of the snapshot that is wanted. If it is not the newest any more nothing is sent.
        index: u64,
        /// From this byte.
        offset: u64,
    },
    /// This member leads: a master machine begins with this registry.
    Lead {
        /// Of this lead.
        term: u64,
        /// All that was ever acknowledged.
        state: Arc<State>,
    },
    /// It leads no more: the master machine of that lead ends at once.
    Deposed {
        /// Of that lead.
        term: u64,
    },
    /// Operations that this lead proposed are durable on a majority, and applied. In the order of proposing.
    Committed {
        /// Of this lead.
        term: u64,
        /// As proposed.
        operations: Vec<Operation>,
    },
    /// An operation is refused before it is proposed: a member does not understand it yet, or the registry is too full to
    /// take it. In place of being committed.
    Refused {
        /// Of this lead.
        term: u64,
        /// As proposed.
        operation: Operation,
        /// For people.
        reason: String,
    },
    /// Who leads has changed, as far as this member knows: what requests for the leader are answered with.
    Standing(Disposition),
    /// Tell one that watches.
    Leads {
        /// Who.
        to: Pid,
        /// What.
        leads: Leads,
    },
    /// Answer an [`Input::Ask`].
    Answer {
        /// Which.
        ask: Ask,
        /// How it went.
        answer: ReplicaAnswer,
    },
    /// This process must end.
    End {
        /// Why, for its operator, with the way out.
        message: String,
        /// Whether that is a failure.
        failed: bool,
    },
}

/// Where this member stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It leads, and its master machine is at work.
    Leading,
    /// Another one leads.
    Following {
        /// The `master` actor there.
        leader: Pid,
    },
    /// Nobody leads, as far as is known.
    Leaderless,
}

/// Which question an answer is for: chosen by the edge, unique among those that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask(pub u64);

/// What an operator can ask of the masters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MembersRequest {
    /// Who there is, and how far each is. Any member answers, with what it knows itself.
    Status,
    /// The registry as the leader has it now: any member answers, after it has asked the leader how far it must be.
    Registry,
    /// Take in another master: it learns, catches up, and then votes.
    Add {
        /// Its number, never used before in this cluster.
        id: MemberId,
        /// `host:port`.
        address: String,
    },
    /// Let a master go. If it leads, another one leads first.
    Remove {
        /// Which.
        id: MemberId,
    },
    /// Take in one master and let another go, in one step once the new one has caught up.
    Replace {
        /// Who goes.
        old: MemberId,
        /// Who comes; may be the same number with another disk.
        new: MemberId,
        /// `host:port` of the new one.
        address: String,
    },
    /// Let another one lead.
    Transfer {
        /// Which; `None`: the one that is furthest.
        to: Option<MemberId>,
    },
}

/// How a question to a replica went.
#[derive(Clone, Debug)]
pub enum ReplicaAnswer {
    /// It is done.
    Done,
    /// To [`MembersRequest::Status`].
    Status(Box<Status>),
    /// To [`MembersRequest::Registry`].
    Registry(Arc<State>),
    /// Ask the leader.
    NotLeading {
        /// Its replica, where it is known.
        leader: Option<Pid>,
    },
    /// It is refused, or has failed: a sentence that says why and what to do.
    Refused(String),
}

/// What a member knows of its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The cluster, once it is founded.
    pub cluster: Option<ClusterId>,
    /// Who answers.
    pub id: MemberId,
    /// Raft's term.
    pub term: u64,
    /// Who leads.
    pub leader: Option<MemberId>,
    /// The last index that a majority has.
    pub commit: u64,
    /// The last index that is applied here.
    pub applied: u64,
    /// The first and last index of the log here.
    pub log: (u64, u64),
    /// The index of the newest durable snapshot here, and its bytes.
    pub snapshot: (u64, u64),
    /// All members.
    pub masters: Vec<MasterStatus>,
    /// A change of members that is under way, in words.
    pub change: Option<String>,
}

/// A member, as another one knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterStatus {
    /// Its number.
    pub id: MemberId,
    /// `host:port`.
    pub address: String,
    /// What it does.
    pub role: MasterRole,
    /// The last index that it has, as the leader knows; `None` unless the leader answers.
    pub matched: Option<u64>,
    /// Whether it was heard of lately; `None` unless the leader answers.
    pub active: Option<bool>,
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MasterRole {
    /// It leads.
    Leader,
    /// It votes.
    Follower,
    /// It learns, and does not vote yet.
    Learner,
}

/// Who a replica is: made once for a work directory, and kept in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub id: MemberId,
    /// Of the disk: a directory that was wiped, or is another one's, is found out by it.
    pub disk: DiskId,
    /// The cluster that it belongs to, once it knows.
    pub cluster: Option<ClusterId>,
}

/// Raft's own state that must be durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The newest term.
    pub term: u64,
    /// Whom it has voted for in that term; 0: nobody.
    pub vote: u64,
    /// The last index known to be committed. May be older than what is: it is not worth a sync.
    pub commit: u64,
}

/// The kinds of log entries. Source: raft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// Operations; empty: a new leader's first.
    Normal,
    /// A change of members, as raft 0.7's older form.
    Change,
    /// A change of members.
    ChangeV2,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which kind.
    pub kind: EntryKind,
    /// The term of the leader that made it.
    pub term: u64,
    /// Its place.
    pub index: u64,
    /// [`crate::registry::codec`] for operations, raft's own bytes for changes of members.
    pub data: Bytes,
    /// Of a change of members: the operation that goes with it.
    pub context: Bytes,
}

/// The members by what they do, as raft keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Who votes.
    pub voters: Vec<u64>,
    /// Who learns.
    pub learners: Vec<u64>,
    /// Who voted before, while a joint change is under way.
    pub voters_outgoing: Vec<u64>,
    /// Who will learn when that change is over.
    pub learners_next: Vec<u64>,
    /// Whether the leader ends that change by itself.
    pub auto_leave: bool,
}

/// Up to where a snapshot goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotPosition {
    /// The last index that it holds.
    pub index: u64,
    /// The term of that entry.
    pub term: u64,
    /// The members at that index.
    pub members: Membership,
}

/// A registry at some index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Up to where.
    pub position: SnapshotPosition,
    /// The registry there.
    pub state: Arc<State>,
}

/// What goes to the disk at once: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Persist {
    /// Counts upward from 1 in each life.
    pub number: u64,
    /// Replaces what is there: the snapshot, and with it the whole log.
    pub install: Option<Snapshot>,
    /// Entries that follow one another; they replace all that the log has from the first one on.
    pub entries: Vec<Entry>,
    /// Replaces what is there.
    pub hard_state: Option<HardState>,
    /// Replaces what is there.
    pub identity: Option<Identity>,
    /// Whether anything depends on its being durable. Otherwise [`Input::Persisted`] may come at once.
    pub sync: bool,
}

/// What a disk held at the start of a life.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    /// Who it is.
    pub identity: Identity,
    /// Raft's own.
    pub hard_state: HardState,
    /// The newest snapshot; at the very start the registry that the masters begin with, at index 1 of term 1, or for a
    /// master that is to be added an empty one at index 0.
    pub snapshot: Snapshot,
    /// The log that follows it.
    pub entries: Vec<Entry>,
}

impl Recovered {
    /// What each of the first masters of a cluster begins with: the same registry, in which they are the members.
    pub fn founders(id: MemberId, disk: DiskId, masters: &BTreeMap<MemberId, String>) -> Self {
        let voters = masters.keys().map(|id| id.0).collect();
        let members = Membership { voters, ..Membership::default() };
        Self {
            identity: Identity { id, disk, cluster: None },
            hard_state: HardState { term: 1, vote: 0, commit: 1 },
            snapshot: Snapshot {
                position: SnapshotPosition { index: 1, term: 1, members },
                state: Arc::new(State::of_founders(masters)),
            },
            entries: Vec::new(),
        }
    }

    /// What a master begins with that is to be added to a cluster.
    pub fn newcomer(id: MemberId, disk: DiskId, cluster: Option<ClusterId>) -> Self {
        Self {
            identity: Identity { id, disk, cluster },
            hard_state: HardState::default(),
            snapshot: Snapshot::default(),
            entries: Vec::new(),
        }
    }
}
