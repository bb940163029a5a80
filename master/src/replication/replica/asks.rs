//! What operators ask. Reads of the registry wait for a word of the leader: how far this replica must be.

use super::Replica;
use crate::registry::MemberId;
use crate::replication::input::{
    Ask, MasterRole, MasterStatus, MembersRequest, Output, ReplicaAnswer, Status,
};
use crate::replication::limits::{MAX_READS, READ_ELECTIONS, RETRY_ELECTIONS};

/// Reads that wait.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// The next barrier's mark: it begins at random, so that an answer to an earlier life is not taken for one to this.
    next: u64,
    /// For the next barrier, and since when.
    waiting: Vec<(Ask, u64)>,
    barrier: Option<Barrier>,
}

#[derive(Debug)]
struct Barrier {
    mark: Vec<u8>,
    asked: u64,
    /// How far this replica must be.
    index: Option<u64>,
    reads: Vec<(Ask, u64)>,
}

impl Reads {
    pub(super) fn begin(&mut self, first: u64) {
        self.next = first;
    }

    /// The leader has spoken.
    pub(super) fn confirm(&mut self, mark: &[u8], index: u64) {
        if let Some(barrier) = self.barrier.as_mut().filter(|barrier| barrier.mark == mark) {
            barrier.index = Some(index);
        }
    }
}

impl Replica {
    pub(super) fn on_ask(&mut self, ask: Ask, request: MembersRequest, out: &mut Vec<Output>) {
        match request {
            MembersRequest::Status => {
                let answer = ReplicaAnswer::Status(Box::new(self.status()));
                out.push(Output::Answer { ask, answer });
            }
            MembersRequest::Registry if self.reads.waiting.len() >= MAX_READS => {
                let why = format!("{MAX_READS} questions wait for the leader already: ask again later");
                out.push(Output::Answer { ask, answer: ReplicaAnswer::Refused(why) });
            }
            MembersRequest::Registry => {
                self.reads.waiting.push((ask, self.ticks));
                self.begin_barrier(out);
            }
            change => self.on_change(ask, change, out),
        }
    }

    fn begin_barrier(&mut self, out: &mut Vec<Output>) {
        if self.reads.barrier.is_some() || self.reads.waiting.is_empty() {
            return;
        }
        let mut mark = self.identity.id.0.to_le_bytes().to_vec();
        mark.extend(self.reads.next.to_le_bytes());
        self.reads.next = self.reads.next.wrapping_add(1);
        let reads = std::mem::take(&mut self.reads.waiting);
        self.reads.barrier = Some(Barrier { mark: mark.clone(), asked: self.ticks, index: None, reads });
        self.node.read_index(mark);
        self.after_step(out);
    }

    pub(super) fn answer_reads(&mut self, out: &mut Vec<Output>) {
        let applied = self.applied.0;
        let far_enough = |barrier: &mut Barrier| barrier.index.is_some_and(|index| index <= applied);
        if let Some(barrier) = self.reads.barrier.take_if(far_enough) {
            for (ask, _) in barrier.reads {
                let answer = ReplicaAnswer::Registry(self.state.clone());
                out.push(Output::Answer { ask, answer });
            }
            self.begin_barrier(out);
        }
    }

    /// Raft drops a barrier without a word when nobody leads, or the leader is new.
    pub(super) fn reads_tick(&mut self, out: &mut Vec<Output>) {
        let late =
            self.reads.barrier.as_ref().is_some_and(|barrier| {
                barrier.index.is_none() && self.passed(barrier.asked, RETRY_ELECTIONS)
            });
        if late && let Some(barrier) = self.reads.barrier.take() {
            let waiting = std::mem::take(&mut self.reads.waiting);
            let (old, young): (Vec<_>, Vec<_>) = barrier
                .reads
                .into_iter()
                .chain(waiting)
                .partition(|(_, since)| self.passed(*since, READ_ELECTIONS));
            self.reads.waiting = young;
            for (ask, _) in old {
                let why = "no leader has answered: too few masters can reach one another".to_owned();
                out.push(Output::Answer { ask, answer: ReplicaAnswer::Refused(why) });
            }
            self.begin_barrier(out);
        }
    }

    /// What this replica knows of its group.
    pub fn status(&self) -> Status {
        let raft = &self.node.raft;
        let store = self.node.store();
        Status {
            cluster: self.identity.cluster,
            id: self.identity.id,
            term: raft.term,
            leader: Some(MemberId(raft.leader_id)).filter(|id| id.0 != 0),
            commit: raft.raft_log.committed,
            applied: self.applied.0,
            log: (store.first(), raft.raft_log.last_index()),
            snapshot: (store.snapshot_position().index, self.snapshots.bytes),
            masters: self
                .state
                .masters
                .iter()
                .map(|(id, member)| self.master(*id, &member.address))
                .collect(),
            change: self.change.as_ref().map(|change| change.in_words()),
        }
    }

    fn master(&self, id: MemberId, address: &str) -> MasterStatus {
        let raft = &self.node.raft;
        let role = if raft.leader_id == id.0 {
            MasterRole::Leader
        } else if self.members.learners.contains(&id.0) {
            MasterRole::Learner
        } else {
            MasterRole::Follower
        };
        let progress = raft.prs().get(id.0).filter(|_| self.lead.is_some());
        MasterStatus {
            id,
            address: address.to_owned(),
            role,
            matched: progress.map(|progress| progress.matched),
            active: progress.map(|_| self.answers(id)),
        }
    }
}
