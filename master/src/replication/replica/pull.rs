//! How a snapshot gets to a follower: raft's message announces it, the follower pulls it piece by piece, and raft hears the
//! message when all is there.

use std::sync::Arc;

use raft::eraftpb::Message;
use raft::{ProgressState, SnapshotStatus};

use super::Replica;
use crate::registry::{MemberId, State, codec};
use crate::replication::convert;
use crate::replication::input::{Output, SnapshotPosition};
use crate::replication::limits::{MAX_SNAPSHOT_BYTES, RETRY_ELECTIONS, SNAPSHOT_ELECTIONS};
use crate::replication::message::Body;

/// A snapshot that is being pulled, or is about to be installed.
#[derive(Debug)]
pub(super) struct Pulling {
    from: MemberId,
    /// What raft is told in the end.
    message: Message,
    position: SnapshotPosition,
    total: Option<u64>,
    bytes: Vec<u8>,
    /// When a piece was asked for last, and when one came.
    asked: u64,
    came: u64,
    /// All of it.
    state: Option<Arc<State>>,
}

impl Replica {
    /// A leader announces a snapshot. Says whether raft can be told now.
    pub(super) fn on_announced(&mut self, message: &Message, out: &mut Vec<Output>) -> bool {
        let position = convert::position(message.get_snapshot());
        let raft = &self.node.raft;
        let log = &raft.raft_log;
        // Too old, or all there: raft needs no registry to answer this.
        if message.term < raft.term
            || position.index <= log.committed
            || log.match_term(position.index, position.term)
        {
            return true;
        }
        let from = MemberId(message.from);
        if let Some(pulling) = &mut self.pulling
            && (pulling.from, &pulling.position) == (from, &position)
        {
            pulling.message = message.clone();
            return false;
        }
        tracing::info!("pulling the snapshot at {} from master {from}", position.index);
        self.pulling = Some(Pulling {
            from,
            message: message.clone(),
            position,
            total: None,
            bytes: Vec::new(),
            asked: self.ticks,
            came: self.ticks,
            state: None,
        });
        self.pull(out);
        false
    }

    fn pull(&mut self, out: &mut Vec<Output>) {
        let Some(pulling) = &mut self.pulling else { return };
        pulling.asked = self.ticks;
        let (to, index, offset) = (pulling.from, pulling.position.index, pulling.bytes.len() as u64);
        self.send(to, Body::Pull { index, offset }, out);
    }

    /// A follower pulls.
    pub(super) fn on_pull(&mut self, from: MemberId, index: u64, offset: u64, out: &mut Vec<Output>) {
        let newest = self.node.store().snapshot_position().index;
        let ticks = self.ticks;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let Some(to) = peer.pid.clone() else { return };
        if index != newest {
            // It was replaced: raft announces the newer one.
            self.node.report_snapshot(from.0, SnapshotStatus::Failure);
            self.after_step(out);
            return;
        }
        peer.pulled = ticks;
        let parcel = self.parcel(from, Body::Hello);
        out.push(Output::SendPiece { to, parcel, index, offset });
    }

    pub(super) fn on_piece(
        &mut self,
        from: MemberId,
        index: u64,
        offset: u64,
        total: u64,
        bytes: &[u8],
        out: &mut Vec<Output>,
    ) {
        let Some(pulling) = &mut self.pulling else { return };
        let next = pulling.bytes.len() as u64;
        if pulling.state.is_some() || (pulling.from, pulling.position.index, next) != (from, index, offset) {
            return;
        }
        let fits = next + bytes.len() as u64 <= total && total <= MAX_SNAPSHOT_BYTES;
        if !fits || bytes.is_empty() || *pulling.total.get_or_insert(total) != total {
            tracing::warn!("master {from} sends a piece of a snapshot that can't be: begun anew");
            self.pulling = None;
            return;
        }
        pulling.came = self.ticks;
        pulling.bytes.extend_from_slice(bytes);
        if (pulling.bytes.len() as u64) < total {
            return self.pull(out);
        }
        let bytes = std::mem::take(&mut pulling.bytes);
        match codec::decode_state(&bytes) {
            Ok(state) => {
                pulling.state = Some(Arc::new(state));
                self.snapshots.bytes = total;
                let message = pulling.message.clone();
                if let Err(error) = self.node.step(message) {
                    tracing::debug!("raft drops a snapshot: {error}");
                }
                self.after_step(out);
                // What raft does not take now it never will.
                if self.node.snap().is_none() {
                    self.pulling = None;
                }
            }
            Err(error) => {
                let message =
                    format!("This master can't take the registry that master {from} sends: {error}");
                self.end(message, true, out);
            }
        }
    }

    /// The registry of a snapshot that raft wants installed.
    pub(super) fn take_pulled(&mut self, position: &SnapshotPosition) -> Option<Arc<State>> {
        let pulling = self.pulling.take()?;
        pulling
            .state
            .filter(|_| pulling.position.index == position.index && pulling.position.term == position.term)
    }

    pub(super) fn pull_tick(&mut self, out: &mut Vec<Output>) {
        self.watch_followers(out);
        let Some(pulling) = &self.pulling else { return };
        let log = &self.node.raft.raft_log;
        let needless = pulling.position.index <= log.committed;
        let (asked, came, waits) = (pulling.asked, pulling.came, pulling.state.is_none());
        if waits && (needless || self.passed(came, SNAPSHOT_ELECTIONS)) {
            self.pulling = None;
        } else if waits && self.passed(asked, RETRY_ELECTIONS) {
            self.pull(out);
        }
    }

    pub(super) fn announced_snapshot(&mut self, to: MemberId) {
        let ticks = self.ticks;
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.pulled = ticks;
        }
    }

    /// Whether a follower takes a snapshot at the moment: the next one can wait.
    pub(super) fn somebody_pulls(&self) -> bool {
        self.is_raft_leader() && self.receivers().next().is_some()
    }

    fn receivers(&self) -> impl Iterator<Item = MemberId> + '_ {
        let progresses = self.node.raft.prs().iter();
        let receiving = progresses.filter(|(_, progress)| progress.state == ProgressState::Snapshot);
        receiving.map(|(id, _)| MemberId(*id))
    }

    /// A follower that has stopped pulling is looked at anew.
    fn watch_followers(&mut self, out: &mut Vec<Output>) {
        if !self.is_raft_leader() {
            return;
        }
        let silent = |id: &MemberId| {
            self.peers.get(id).is_none_or(|peer| self.passed(peer.pulled, SNAPSHOT_ELECTIONS))
        };
        let mut failed: Vec<MemberId> = self.receivers().filter(silent).collect();
        failed.sort_unstable();
        for id in failed {
            self.node.report_snapshot(id.0, SnapshotStatus::Failure);
            self.after_step(out);
        }
    }
}
