//! What is committed is applied, in order, by every replica alike; snapshots of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use raft::eraftpb::{Entry, EntryType};

use super::{Own, Replica};
use crate::registry::{MemberId, Operation, codec};
use crate::replication::input::{Membership, Output, Snapshot, SnapshotPosition};
use crate::replication::limits::PATIENCE_WITH_PULLERS;
use crate::replication::{convert, view};

impl Replica {
    pub(super) fn apply_all(&mut self, entries: Vec<Entry>, out: &mut Vec<Output>) {
        for entry in entries {
            if self.ended {
                return;
            }
            self.snapshots.since_bytes += view::size(&entry);
            self.applied = (entry.index, entry.term);
            match entry.entry_type {
                EntryType::EntryNormal if entry.data.is_empty() => {}
                EntryType::EntryNormal => self.apply_operations(entry, out),
                EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => self.apply_change(entry, out),
            }
        }
    }

    fn apply_operations(&mut self, entry: Entry, out: &mut Vec<Output>) {
        if let Some(own) = self.take_own(entry.index, entry.term) {
            self.apply_each(&own.operations, out);
            if let Some(lead) = self.lead.as_ref().filter(|lead| own.told && lead.announced) {
                out.push(Output::Committed { term: lead.term, operations: own.operations });
            }
            return;
        }
        match codec::decode_operations(&entry.data) {
            Ok(operations) => self.apply_each(&operations, out),
            Err(error) => self.end(unreadable(entry.index, &error), true, out),
        }
    }

    /// What this lead has proposed at this place: nobody else can have, in this term.
    fn take_own(&mut self, index: u64, term: u64) -> Option<Own> {
        let lead = self.lead.as_mut().filter(|lead| lead.term == term)?;
        if lead.own.front()?.index != index {
            return None;
        }
        let own = lead.own.pop_front()?;
        debug_assert!(
            lead.own.front().is_none_or(|next| next.index > index),
            "what was proposed is in order"
        );
        Some(own)
    }

    fn apply_each(&mut self, operations: &[Operation], out: &mut Vec<Output>) {
        let state = Arc::make_mut(&mut self.state);
        for operation in operations {
            state.apply(operation);
        }
        for operation in operations {
            match operation {
                Operation::Found { .. } => self.learn_cluster(out),
                Operation::Lead { leader } => self.lead_is_applied(leader.id, leader.term, out),
                Operation::IdentifyMaster { id, .. } => {
                    if let Some(lead) = &mut self.lead {
                        lead.identifying.remove(id);
                    }
                }
                Operation::AddMaster { .. }
                | Operation::RemoveMaster { .. }
                | Operation::ReplaceMaster { .. } => self.refresh_peers(out),
                _ => {}
            }
        }
    }

    fn learn_cluster(&mut self, out: &mut Vec<Output>) {
        if self.identity.cluster.is_none() && self.state.cluster.is_some() {
            self.identity.cluster = self.state.cluster;
            self.keep_identity(out);
        }
    }

    /// A change of members, and the operation that goes with it.
    fn apply_change(&mut self, entry: Entry, out: &mut Vec<Output>) {
        let change = match convert::change(&entry) {
            Ok(change) => change,
            Err(odd) => return self.end(unreadable(entry.index, &odd), true, out),
        };
        let operations =
            if entry.context.is_empty() { Ok(Vec::new()) } else { codec::decode_operations(&entry.context) };
        let operations = match operations {
            Ok(operations) => operations,
            Err(error) => return self.end(unreadable(entry.index, &error), true, out),
        };
        let before = std::mem::take(&mut self.members);
        match self.node.apply_conf_change(&change) {
            Ok(state) => self.members = convert::membership(&state),
            Err(error) => {
                // The same everywhere: it depends on the members before it alone.
                tracing::warn!("a change of members at {} changes nothing: {error}", entry.index);
                self.members = before;
                return;
            }
        }
        let disk = self.state.masters.get(&self.id()).and_then(|member| member.disk);
        self.apply_each(&operations, out);
        if self.members.voters_outgoing.is_empty() {
            self.let_go_of_the_others(out);
        }
        let me = self.id().0;
        // The log may also tell of one who had this number before, on another disk. Whose disk was never heard of is told that
        // it is not wanted.
        if holds(&before, me) && !holds(&self.members, me) && disk == Some(self.identity.disk) {
            // A leader that tells others so knows it for good. If there is none, the others may need this one's vote to learn it.
            if self.heard_a_leader && !self.is_raft_leader() {
                return self.end_removed(out);
            }
            tracing::info!("master {me} was removed: it ends when another one knows that as well");
            self.removed = true;
            if self.is_raft_leader() {
                // Raft knows no leader that is no member.
                let term = self.node.raft.term;
                self.node.raft.become_follower(term, raft::INVALID_ID);
            }
            self.after_step(out);
        }
        self.change_is_applied(entry.index, out);
    }

    pub(super) fn end_removed(&mut self, out: &mut Vec<Output>) {
        let me = self.id();
        let message = format!(
            "This master, number {me}, was removed from the cluster. Its work directory can be deleted."
        );
        self.end(message, false, out);
    }

    /// Once a change is over, the registry has no masters that neither vote nor learn.
    fn let_go_of_the_others(&mut self, out: &mut Vec<Output>) {
        let stay: BTreeSet<u64> = all(&self.members).collect();
        let gone: Vec<MemberId> =
            self.state.masters.keys().filter(|id| !stay.contains(&id.0)).copied().collect();
        let gone: Vec<Operation> = gone.into_iter().map(|id| Operation::RemoveMaster { id }).collect();
        if !gone.is_empty() {
            self.apply_each(&gone, out);
        }
    }

    /// A snapshot takes the place of what was applied.
    pub(super) fn install(&mut self, snapshot: Snapshot, out: &mut Vec<Output>) {
        let Snapshot { position, state } = snapshot;
        self.applied = (position.index, position.term);
        self.members = position.members;
        self.state = state;
        self.snapshots.begun = position.index;
        self.snapshots.since_bytes = 0;
        self.learn_cluster(out);
        self.refresh_peers(out);
    }

    /// Asks for a snapshot when the log has become long.
    pub(super) fn maybe_save_snapshot(&mut self, out: &mut Vec<Output>) {
        self.snapshots.wanted |= self.node.store().take_wanted();
        if self.snapshots.saving.is_some() || self.applied.0 <= self.snapshots.begun {
            return;
        }
        let entries = self.applied.0 - self.snapshots.begun;
        let long = |times: u64| {
            entries >= self.config.snapshot_entries.saturating_mul(times)
                || self.snapshots.since_bytes >= self.config.snapshot_bytes.saturating_mul(times)
        };
        let due = if self.somebody_pulls() { long(PATIENCE_WITH_PULLERS) } else { long(1) };
        if !due && !self.snapshots.wanted {
            return;
        }
        let (index, term) = self.applied;
        let position = SnapshotPosition { index, term, members: self.members.clone() };
        self.snapshots.saving = Some(position.clone());
        self.snapshots.begun = index;
        self.snapshots.since_bytes = 0;
        self.snapshots.wanted = false;
        out.push(Output::SaveSnapshot(Snapshot { position, state: self.state.clone() }));
    }

    pub(super) fn on_snapshot_saved(&mut self, index: u64, bytes: u64, out: &mut Vec<Output>) {
        let Some(position) = self.snapshots.saving.take() else { return };
        // One that was installed in between is newer.
        if position.index != index || index <= self.node.store().snapshot_position().index {
            return;
        }
        self.snapshots.bytes = bytes;
        let (entries, bytes) = (self.config.kept_entries, self.config.snapshot_bytes);
        let before = self.node.mut_store().compact(position, entries, bytes);
        out.push(Output::Compact { before });
    }
}

/// Everybody who votes or learns.
pub(super) fn all(members: &Membership) -> impl Iterator<Item = u64> + '_ {
    let Membership { voters, learners, voters_outgoing, .. } = members;
    voters.iter().chain(learners).chain(voters_outgoing).copied()
}

fn holds(members: &Membership, id: u64) -> bool {
    all(members).any(|other| other == id)
}

fn unreadable(index: u64, error: &dyn std::fmt::Display) -> String {
    format!("This master can't go on at entry {index} of the masters' log: {error}")
}
