//! The other replicas: who they are, where they are, and who is not wanted.

use libactor::Pid;
use raft::SnapshotStatus;
use raft::eraftpb::MessageType;

use super::{Peer, Replica};
use crate::registry::{DiskId, MemberId, Operation, VERSION};
use crate::replication::NAME;
use crate::replication::convert;
use crate::replication::input::Output;
use crate::replication::limits::{
    LET_GO_ELECTIONS, MAX_MEMBERS, MAX_MESSAGES_PER_PARCEL, MAX_REASON_BYTES, MAX_REFUSED,
};
use crate::replication::message::{Body, Parcel, RaftMessage};

impl Replica {
    /// An empty parcel of this replica.
    pub(super) fn parcel(&self, to: MemberId, body: Body) -> Parcel {
        let (from, disk) = (self.identity.id, self.identity.disk);
        Parcel { cluster: self.identity.cluster, from, disk, to, version: VERSION, body }
    }

    /// Sends, if it is known where to. Who is sent to is linked: its end is heard of.
    pub(super) fn send(&mut self, to: MemberId, body: Body, out: &mut Vec<Output>) {
        let Some(peer) = self.peers.get_mut(&to) else {
            // That it is let go was said before it was done here, and may have waited for the disk.
            if let Some((_, Some(pid))) = self.let_go.get(&to).filter(|_| self.is_leaving(to)).cloned() {
                let parcel = self.parcel(to, body);
                out.push(Output::Send { to: pid, parcel });
            }
            return;
        };
        let Some(pid) = peer.pid.clone() else { return };
        if !std::mem::replace(&mut peer.linked, true) {
            out.push(Output::Link { pid: pid.clone() });
            if body != Body::Hello {
                let parcel = self.parcel(to, Body::Hello);
                out.push(Output::Send { to: pid.clone(), parcel });
            }
        }
        let parcel = self.parcel(to, body);
        out.push(Output::Send { to: pid, parcel });
    }

    /// Whether a master was let go just now.
    fn is_leaving(&self, id: MemberId) -> bool {
        self.let_go.get(&id).is_some_and(|(since, _)| !self.passed(*since, LET_GO_ELECTIONS))
    }

    /// Peers are the masters in the registry, and who speaks before it is known there.
    pub(super) fn refresh_peers(&mut self, out: &mut Vec<Output>) {
        let me = self.identity.id;
        let mut gone: Vec<MemberId> = self.peers.keys().copied().collect();
        gone.retain(|id| !self.state.masters.contains_key(id) && self.state.former_masters.contains_key(id));
        for id in gone {
            let peer = self.peers.remove(&id).unwrap_or_default();
            self.let_go.insert(id, (self.ticks, peer.pid.clone()));
            if let Peer { pid: Some(pid), linked: true, .. } = peer {
                out.push(Output::Unlink { pid });
            }
        }
        let wanted: Vec<_> = self.state.masters.iter().filter(|(id, _)| **id != me).collect();
        for (id, member) in wanted {
            let peer = self.peers.entry(*id).or_default();
            if peer.address.is_empty() {
                peer.address = member.address.clone();
            } else if peer.address != member.address {
                if let (Some(pid), true) = (peer.pid.take(), peer.linked) {
                    out.push(Output::Unlink { pid });
                }
                *peer = Peer { address: member.address.clone(), resolve_at: self.ticks, ..Peer::default() };
            }
        }
        self.restand = true;
        self.resolve_peers(out);
    }

    fn resolve_peers(&mut self, out: &mut Vec<Output>) {
        let again = self.ticks + 2 * self.election_ticks();
        for (id, peer) in &mut self.peers {
            let lost = !peer.linked && !peer.resolving && !peer.address.is_empty();
            if lost && peer.resolve_at <= self.ticks {
                peer.resolving = true;
                peer.resolve_at = again;
                out.push(Output::Resolve { id: *id, address: peer.address.clone() });
            }
        }
    }

    pub(super) fn on_resolved(&mut self, id: MemberId, pid: Option<Pid>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.resolving = false;
        if let (Some(pid), false) = (pid, peer.linked) {
            peer.pid = Some(pid);
        }
    }

    pub(super) fn on_exited(&mut self, pid: &Pid, out: &mut Vec<Output>) {
        self.watchers.remove(pid);
        let gone = self.peers.iter_mut().find(|(_, peer)| peer.linked && peer.pid.as_ref() == Some(pid));
        if let Some((id, peer)) = gone {
            peer.linked = false;
            peer.resolve_at = self.ticks;
            peer.lost = true;
            let id = id.0;
            self.node.report_unreachable(id);
            self.node.report_snapshot(id, SnapshotStatus::Failure);
            self.after_step(out);
        }
    }

    pub(super) fn peers_tick(&mut self, out: &mut Vec<Output>) {
        self.resolve_peers(out);
        let ticks = self.ticks;
        if self.removed && ticks.is_multiple_of(self.election_ticks()) {
            for id in self.members.voters.clone() {
                self.send(MemberId(id), Body::Hello, out);
            }
        }
        let while_refused = self.election_ticks() * 8;
        self.refused.retain(|_, since| ticks - *since < while_refused);
    }

    pub(super) fn on_parcel(&mut self, from: Pid, parcel: Parcel, out: &mut Vec<Output>) {
        if from.name() != NAME || parcel.to != self.identity.id || parcel.from == MemberId(0) {
            return self.complain(&from, "a parcel that is for another master", None, out);
        }
        if let Body::NotWanted { reason } = parcel.body {
            return self.on_not_wanted(parcel.from, &reason, out);
        }
        if let Some(reason) = self.why_not_wanted(&parcel).filter(|_| !self.is_led_by(&parcel)) {
            // Who was removed just now hears of it from the log, and ends well.
            if self.is_leaving(parcel.from) {
                return;
            }
            return self.complain(&from, &reason, Some(parcel.from), out);
        }
        // Who is not known may be newer than what is applied here, but then it knows the cluster.
        let new = !self.peers.contains_key(&parcel.from);
        let stranger = parcel.cluster.is_none() && self.identity.cluster.is_some();
        if new && (stranger || self.peers.len() >= MAX_MEMBERS * 2) {
            return;
        }
        let ticks = self.ticks;
        let peer = self.peers.entry(parcel.from).or_default();
        peer.heard = Some(ticks);
        peer.lost = false;
        if peer.pid.as_ref() != Some(&from) {
            let before = peer.pid.replace(from);
            if let (Some(pid), true) = (before, std::mem::replace(&mut peer.linked, false)) {
                out.push(Output::Unlink { pid });
            }
        }
        self.identify(parcel.from, parcel.disk, parcel.version);
        match parcel.body {
            Body::Raft(messages) => self.on_raft(parcel.from, messages, out),
            Body::Pull { index, offset } => self.on_pull(parcel.from, index, offset, out),
            Body::Piece { index, offset, total, bytes } => {
                self.on_piece(parcel.from, index, offset, total, &bytes, out);
            }
            Body::Hello | Body::NotWanted { .. } => {}
        }
    }

    fn on_raft(&mut self, from: MemberId, messages: Vec<RaftMessage>, out: &mut Vec<Output>) {
        for message in messages.into_iter().take(MAX_MESSAGES_PER_PARCEL) {
            if message.from != from.0 || message.to != self.identity.id.0 {
                tracing::debug!("master {from} sends a message that is not its own");
                continue;
            }
            match convert::raft_message(message) {
                Ok(message) => self.step(message, out),
                Err(odd) => tracing::warn!("master {from} sends {odd}: dropped"),
            }
            if self.ended {
                return;
            }
        }
    }

    /// Tells raft, unless that would stop the process.
    fn step(&mut self, message: raft::eraftpb::Message, out: &mut Vec<Output>) {
        let raft = &self.node.raft;
        let last = raft.raft_log.last_index();
        let from_leader = matches!(
            message.msg_type,
            MessageType::MsgAppend | MessageType::MsgHeartbeat | MessageType::MsgSnapshot
        );
        if from_leader && message.term >= raft.term {
            if message.msg_type == MessageType::MsgHeartbeat && message.commit > last {
                return self.something_is_lost(MemberId(message.from), message.commit, out);
            }
            if message.msg_type != MessageType::MsgAppend {
                self.lost_since = None;
            }
            self.heard_a_leader = true;
            self.last_leader = Some(MemberId(message.from));
            self.unwanted_by.clear();
        }
        if message.msg_type == MessageType::MsgTimeoutNow && self.installing() {
            return;
        }
        let beyond =
            message.msg_type == MessageType::MsgAppendResponse && !message.reject && message.index > last;
        if beyond {
            tracing::warn!("master {} acknowledges what was not sent", message.from);
            return;
        }
        if message.msg_type == MessageType::MsgSnapshot && !self.on_announced(&message, out) {
            return;
        }
        if let Err(error) = self.node.step(message) {
            tracing::debug!("raft drops a message: {error}");
        }
        self.after_step(out);
    }

    /// The leader counts on entries that are not here: the disk has lost them, or it is another one. In the second case
    /// the leader says so.
    fn something_is_lost(&mut self, leader: MemberId, commit: u64, out: &mut Vec<Output>) {
        let ticks = self.ticks;
        let since = *self.lost_since.get_or_insert(ticks);
        self.send(leader, Body::Hello, out);
        if self.passed(since, 4) {
            let last = self.node.raft.raft_log.last_index();
            let message = format!(
                "The log here ends at {last}, though this master has acknowledged {commit}: its disk has lost what it \
                 had reported as durable. Repair it from the others: meseta masters repair --from-peer"
            );
            self.end(message, true, out);
        }
    }

    /// A leader puts into the registry whose disk it hears, and what its program understands.
    pub(super) fn identify(&mut self, id: MemberId, disk: DiskId, version: u32) {
        let Some(member) = self.state.masters.get(&id) else { return };
        let known = member.disk.is_some() && member.version == version;
        let Some(lead) = &mut self.lead else { return };
        if known || !lead.proposed || lead.identifying.get(&id) == Some(&(disk, version)) {
            return;
        }
        if self.propose_entry(&[Operation::IdentifyMaster { id, disk, version }], false)
            && let Some(lead) = &mut self.lead
        {
            lead.identifying.insert(id, (disk, version));
        }
    }

    /// Why the sender of a parcel is not one of us.
    fn why_not_wanted(&self, parcel: &Parcel) -> Option<String> {
        let (id, state) = (parcel.from, &self.state);
        if let (Some(ours), Some(theirs)) = (self.identity.cluster, parcel.cluster)
            && ours != theirs
        {
            return Some(format!(
                "master {id} belongs to cluster {theirs}, this is cluster {ours}: check the lists of masters, or give it \
                 an empty work directory"
            ));
        }
        if id == self.identity.id {
            return Some(format!("there is another master with the number {id}: each needs its own"));
        }
        let former = state.former_masters.get(&id);
        let removed = format!(
            "master {id} was removed from the cluster: add it again under a number never used before"
        );
        match state.masters.get(&id) {
            Some(member) if member.disk.is_some_and(|disk| disk != parcel.disk) => Some(format!(
                "the work directory of master {id} is another one than the cluster knows: if it was lost, ask one of the \
                 others, `meseta masters --master=HOST:PORT replace {id} {id}={}`, then start it again",
                member.address
            )),
            Some(member) if member.disk.is_none() && former == Some(&Some(parcel.disk)) => Some(removed),
            Some(_) => None,
            None => former.filter(|disk| disk.is_none_or(|disk| disk == parcel.disk)).map(|_| removed),
        }
    }

    /// Whether the word of a leader comes from another disk than the registry here says. That registry is older then: nobody leads
    /// without the votes of those who know its disk. What it leads with brings the newer registry.
    fn is_led_by(&self, parcel: &Parcel) -> bool {
        let raft = &self.node.raft;
        let kinds = [MessageType::MsgAppend, MessageType::MsgHeartbeat, MessageType::MsgSnapshot];
        let leads = match &parcel.body {
            Body::Raft(messages) => messages.iter().all(|message| {
                kinds.iter().any(|kind| *kind as i32 == message.kind) && message.term >= raft.term
            }),
            Body::Piece { .. } => raft.leader_id == parcel.from.0,
            Body::Hello | Body::Pull { .. } | Body::NotWanted { .. } => false,
        };
        let ours = parcel.cluster.is_some() && parcel.cluster == self.identity.cluster;
        leads && ours && parcel.from != self.identity.id && self.state.masters.contains_key(&parcel.from)
    }

    /// Somebody speaks who is not wanted: it is told, and so are the operators, once.
    fn complain(&mut self, from: &Pid, reason: &str, whom: Option<MemberId>, out: &mut Vec<Output>) {
        if self.refused.contains_key(from) || self.refused.len() >= MAX_REFUSED {
            return;
        }
        tracing::warn!("{from} is not wanted: {reason}");
        self.refused.insert(from.clone(), self.ticks);
        if let Some(to) = whom {
            let parcel = self.parcel(to, Body::NotWanted { reason: reason.to_owned() });
            out.push(Output::Send { to: from.clone(), parcel });
        }
    }

    /// One lagging or stray master does not end this one; its last leader does, or more than half of the others. Who never
    /// belonged to a cluster believes the first.
    fn on_not_wanted(&mut self, from: MemberId, reason: &str, out: &mut Vec<Output>) {
        let reason: String = reason.chars().take(MAX_REASON_BYTES).filter(|c| !c.is_control()).collect();
        tracing::warn!("master {from} says: {reason}");
        if self.removed {
            return self.end_removed(out);
        }
        let me = self.identity.id.0;
        let others: Vec<u64> = self.members.voters.iter().copied().filter(|id| *id != me).collect();
        if others.contains(&from.0) {
            self.unwanted_by.insert(from);
        }
        let stranger = self.identity.cluster.is_none() && !self.heard_a_leader;
        if stranger || self.last_leader == Some(from) || self.unwanted_by.len() * 2 > others.len() {
            self.end(format!("The other masters do not want this one, number {me}: {reason}"), true, out);
        }
    }
}
