//! Between raft's types and ours. What comes from another replica is looked at before raft sees it.

use protobuf::{Message as _, ProtobufEnum};
use raft::eraftpb::{self, ConfChangeV2, ConfState, MessageType};

use super::input::{Entry, EntryKind, HardState, Membership, SnapshotPosition};
use super::limits::{
    MAX_CHANGE_BYTES, MAX_CONTEXT_BYTES, MAX_COUNT, MAX_ENTRIES_PER_MESSAGE, MAX_ENTRY_BYTES, MAX_MEMBERS,
};
use super::message::RaftMessage;

/// Why a message is dropped.
pub(super) type Odd = &'static str;

pub(super) fn entry(entry: &eraftpb::Entry) -> Entry {
    let kind = match entry.entry_type {
        eraftpb::EntryType::EntryNormal => EntryKind::Normal,
        eraftpb::EntryType::EntryConfChange => EntryKind::Change,
        eraftpb::EntryType::EntryConfChangeV2 => EntryKind::ChangeV2,
    };
    let (data, context) = (entry.data.clone(), entry.context.clone());
    Entry { kind, term: entry.term, index: entry.index, data, context }
}

pub(super) fn raft_entry(entry: Entry) -> eraftpb::Entry {
    let entry_type = match entry.kind {
        EntryKind::Normal => eraftpb::EntryType::EntryNormal,
        EntryKind::Change => eraftpb::EntryType::EntryConfChange,
        EntryKind::ChangeV2 => eraftpb::EntryType::EntryConfChangeV2,
    };
    eraftpb::Entry {
        entry_type,
        term: entry.term,
        index: entry.index,
        data: entry.data,
        context: entry.context,
        ..Default::default()
    }
}

pub(super) fn hard_state(state: &eraftpb::HardState) -> HardState {
    HardState { term: state.term, vote: state.vote, commit: state.commit }
}

pub(super) fn raft_hard_state(state: HardState) -> eraftpb::HardState {
    eraftpb::HardState { term: state.term, vote: state.vote, commit: state.commit, ..Default::default() }
}

/// In order, so that replicas hold the same.
pub(super) fn membership(state: &ConfState) -> Membership {
    let sorted = |ids: &[u64]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids
    };
    Membership {
        voters: sorted(&state.voters),
        learners: sorted(&state.learners),
        voters_outgoing: sorted(&state.voters_outgoing),
        learners_next: sorted(&state.learners_next),
        auto_leave: state.auto_leave,
    }
}

pub(super) fn conf_state(members: &Membership) -> ConfState {
    ConfState {
        voters: members.voters.clone(),
        learners: members.learners.clone(),
        voters_outgoing: members.voters_outgoing.clone(),
        learners_next: members.learners_next.clone(),
        auto_leave: members.auto_leave,
        ..Default::default()
    }
}

pub(super) fn position(snapshot: &eraftpb::Snapshot) -> SnapshotPosition {
    let metadata = snapshot.get_metadata();
    let members = membership(metadata.get_conf_state());
    SnapshotPosition { index: metadata.index, term: metadata.term, members }
}

pub(super) fn raft_snapshot(position: &SnapshotPosition) -> eraftpb::Snapshot {
    let mut snapshot = eraftpb::Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = position.index;
    metadata.term = position.term;
    metadata.set_conf_state(conf_state(&position.members));
    snapshot
}

/// What raft wants to say.
pub(super) fn message(message: eraftpb::Message) -> RaftMessage {
    let snapshot = message.snapshot.as_ref().map(position);
    RaftMessage {
        kind: message.msg_type.value(),
        to: message.to,
        from: message.from,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        entries: message.entries.iter().map(entry).collect(),
        commit: message.commit,
        commit_term: message.commit_term,
        snapshot,
        request_snapshot: message.request_snapshot,
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: message.context,
        priority: message.priority,
    }
}

/// What another replica says, if raft can be told so.
///
/// # Errors
/// What is odd about it: raft would stop the process, or grow.
pub(super) fn raft_message(message: RaftMessage) -> Result<eraftpb::Message, Odd> {
    use MessageType::*;
    let msg_type = MessageType::from_i32(message.kind).ok_or("a kind that is not known")?;
    let counts = [
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.reject_hint,
        message.from,
    ];
    if counts.iter().any(|count| *count > MAX_COUNT) {
        return Err("a number that is too large");
    }
    if message.context.len() > MAX_CONTEXT_BYTES {
        return Err("a context that is too large");
    }
    if (message.term == 0) != (msg_type == MsgReadIndex) {
        return Err("a term that does not go with its kind");
    }
    let entries = match msg_type {
        MsgAppend => appended(&message)?,
        MsgReadIndex | MsgReadIndexResp => asked(&message)?,
        MsgAppendResponse
        | MsgRequestVote
        | MsgRequestVoteResponse
        | MsgHeartbeat
        | MsgHeartbeatResponse
        | MsgTimeoutNow
        | MsgRequestPreVote
        | MsgRequestPreVoteResponse
        | MsgSnapshot => Vec::new(),
        MsgHup | MsgBeat | MsgPropose | MsgUnreachable | MsgSnapStatus | MsgCheckQuorum
        | MsgTransferLeader => {
            return Err("a kind that stays within a replica");
        }
    };
    let snapshot = match (msg_type, &message.snapshot) {
        (MsgSnapshot, Some(position)) => {
            check_position(position)?;
            Some(raft_snapshot(position)).into()
        }
        (MsgSnapshot, None) => return Err("a snapshot without its position"),
        _ => None.into(),
    };
    Ok(eraftpb::Message {
        msg_type,
        to: message.to,
        from: message.from,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        entries: entries.into(),
        commit: message.commit,
        commit_term: message.commit_term,
        snapshot,
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: message.context,
        ..Default::default()
    })
}

/// The entries of an append: one after the other, in terms that do not fall.
fn appended(message: &RaftMessage) -> Result<Vec<eraftpb::Entry>, Odd> {
    if message.entries.len() > MAX_ENTRIES_PER_MESSAGE {
        return Err("too many entries");
    }
    // Raft takes term 0 for that of whatever it does not have, and commits what is not there.
    if (message.log_term == 0) != (message.index == 0) {
        return Err("a place without its term");
    }
    let (mut index, mut term) = (message.index, message.log_term);
    for entry in &message.entries {
        index += 1;
        if entry.index != index || entry.term < term || entry.term > message.term {
            return Err("entries that do not follow one another");
        }
        term = entry.term;
        let most = if entry.kind == EntryKind::Normal { MAX_ENTRY_BYTES } else { MAX_CHANGE_BYTES };
        if entry.kind == EntryKind::Change {
            return Err("a change of members of the older form, which no master makes");
        }
        if entry.data.len() > most || entry.context.len() > MAX_ENTRY_BYTES {
            return Err("an entry that is too large");
        }
    }
    Ok(message.entries.iter().cloned().map(raft_entry).collect())
}

/// The one entry of a read barrier.
fn asked(message: &RaftMessage) -> Result<Vec<eraftpb::Entry>, Odd> {
    match &message.entries[..] {
        [one] if one.data.len() <= MAX_CONTEXT_BYTES && one.context.is_empty() => {
            Ok(vec![raft_entry(one.clone())])
        }
        _ => Err("a read without its one mark"),
    }
}

/// Whether raft can begin with these members.
pub(super) fn check_position(position: &SnapshotPosition) -> Result<(), Odd> {
    let Membership { voters, learners, voters_outgoing, learners_next, .. } = &position.members;
    if position.index == 0 || position.term == 0 || position.index > MAX_COUNT || position.term > MAX_COUNT {
        return Err("a position that can't be");
    }
    let lists = [voters, learners, voters_outgoing, learners_next];
    let ordered = |list: &Vec<u64>| list.windows(2).all(|pair| pair[0] < pair[1]) && !list.contains(&0);
    if lists.iter().any(|list| list.len() > MAX_MEMBERS + 2 || !ordered(list)) {
        return Err("members that can't be");
    }
    let apart = learners.iter().all(|id| !voters.contains(id) && !voters_outgoing.contains(id));
    let next = learners_next.iter().all(|id| voters_outgoing.contains(id) && !voters.contains(id));
    let leaving = !position.members.auto_leave || !voters_outgoing.is_empty();
    if voters.is_empty() || !apart || !next || !leaving {
        return Err("members that can't be");
    }
    Ok(())
}

/// A change of members, as it stands in the log.
///
/// # Errors
/// If it is none.
pub(super) fn change(entry: &eraftpb::Entry) -> Result<ConfChangeV2, Odd> {
    if entry.data.len() > MAX_CHANGE_BYTES {
        return Err("a change of members that is too large");
    }
    let mut change = ConfChangeV2::default();
    change.merge_from_bytes(&entry.data).map_err(|_| "a change of members that can't be read")?;
    Ok(change)
}
