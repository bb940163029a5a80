//! What raft wants done, in the order that it asks for.

use std::collections::BTreeMap;

use libactor::Time;
use raft::eraftpb::{Message, MessageType};
use raft::{Ready, StateRole};

use super::{Replica, Waiting};
use crate::registry::MemberId;
use crate::replication::input::{Output, Persist, Snapshot};
use crate::replication::message::{Body, RaftMessage};
use crate::replication::{convert, limits};

impl Replica {
    /// Does all that there is to do.
    pub(super) fn flush(&mut self, now: Time, out: &mut Vec<Output>) {
        self.begin_lead(now);
        self.propose_waiting(out);
        while !self.ended && self.node.has_ready() {
            let ready = self.node.ready();
            self.take_ready(ready, out);
            self.after_step(out);
            self.propose_waiting(out);
        }
        if !self.ended {
            self.maybe_save_snapshot(out);
            self.say_where_it_stands(out);
        }
    }

    fn take_ready(&mut self, mut ready: Ready, out: &mut Vec<Output>) {
        for read in ready.take_read_states() {
            self.reads.confirm(&read.request_ctx, read.index);
        }
        let change_is_over = self.commits_a_change(&ready);
        let mut persist = Persist { sync: ready.must_sync() || change_is_over, ..Persist::default() };
        if !ready.snapshot().is_empty() {
            let position = convert::position(ready.snapshot());
            let Some(state) = self.take_pulled(&position) else {
                self.end("a snapshot came without its registry".to_owned(), true, out);
                return;
            };
            self.node.mut_store().install(position.clone());
            persist.install = Some(Snapshot { position, state });
        }
        if !ready.entries().is_empty() {
            let entries = ready.take_entries();
            persist.entries = entries.iter().map(convert::entry).collect();
            self.node.mut_store().append(&entries);
        }
        if let Some(hard_state) = ready.hs() {
            persist.hard_state = Some(convert::hard_state(hard_state));
            self.node.mut_store().set_hard_state(hard_state.clone());
        }
        let installed = persist.install.clone();
        let term_is_new =
            ready.must_sync() && ready.hs().is_some_and(|state| state.term != self.persists.term);
        let mut held = ready.take_persisted_messages();
        // What a leader says leaves at once: nothing of it promises that it is kept here. But its term must be: a single
        // voter leads before that is durable, and would give the same places to other entries in its next life.
        if term_is_new || change_is_over || self.persists.waiting.iter().any(|waiting| waiting.holds) {
            held.extend(ready.take_messages());
        } else {
            let messages = ready.take_messages();
            self.send_raft(messages, out);
        }
        let prompt = |message: &mut Message| message.msg_type == MessageType::MsgHeartbeatResponse;
        let at_once: Vec<Message> = held.extract_if(.., prompt).collect();
        self.send_raft(at_once, out);
        let number = ready.number();
        let committed = ready.take_committed_entries();
        self.put_on_disk(persist, number, held, change_is_over, out);
        self.node.advance_append_async(ready);
        if self.persists.waiting.is_empty() {
            self.node.on_persist_ready(number);
        }
        if let Some(snapshot) = installed {
            self.install(snapshot, out);
        }
        self.apply_all(committed, out);
        if !self.ended {
            self.tell_applied();
            self.answer_reads(out);
        }
    }

    /// Whether a leader learns that a change of members is committed. It must not forget that: who goes by it hears of it and
    /// ends, and in its next life this one would wait for the vote of one that is gone.
    fn commits_a_change(&self, ready: &Ready) -> bool {
        let change = self.node.raft.pending_conf_index;
        let before = self.node.store().committed();
        self.is_raft_leader() && ready.hs().is_some_and(|state| before < change && change <= state.commit)
    }

    /// Asks for what is to be durable. What must not leave before that waits for it; with `holds` all that comes later, too.
    fn put_on_disk(
        &mut self,
        mut persist: Persist,
        ready: u64,
        held: Vec<Message>,
        holds: bool,
        out: &mut Vec<Output>,
    ) {
        let nothing = persist.install.is_none() && persist.entries.is_empty() && persist.hard_state.is_none();
        let sync = persist.sync;
        let term = persist.hard_state.map_or(self.persists.term, |state| state.term);
        let holds = std::mem::replace(&mut self.persists.term, term) != term || holds;
        if !nothing {
            self.persists.number += 1;
            persist.number = self.persists.number;
            out.push(Output::Persist(persist));
        }
        if sync && !nothing {
            let number = self.persists.number;
            self.persists.waiting.push_back(Waiting { number, ready, holds, messages: held });
        } else if let Some(last) = self.persists.waiting.back_mut() {
            last.ready = ready;
            last.messages.extend(held);
        } else {
            self.send_raft(held, out);
        }
    }

    /// Something else that must be durable, though nothing waits for it.
    pub(super) fn keep_identity(&mut self, out: &mut Vec<Output>) {
        self.persists.number += 1;
        let number = self.persists.number;
        let identity = Some(self.identity.clone());
        out.push(Output::Persist(Persist { number, identity, sync: true, ..Persist::default() }));
    }

    pub(super) fn on_persisted(&mut self, number: u64, out: &mut Vec<Output>) {
        while self.persists.waiting.front().is_some_and(|waiting| waiting.number <= number) {
            let waiting = self.persists.waiting.pop_front().expect("there is a front");
            self.node.on_persist_ready(waiting.ready);
            self.send_raft(waiting.messages, out);
        }
        self.tell_applied();
        self.after_step(out);
    }

    /// Raft hears what is applied. A snapshot counts as applied when it is durable.
    fn tell_applied(&mut self) {
        if self.node.raft.raft_log.persisted >= self.applied.0 && self.installing() {
            self.node.advance_apply_to(self.applied.0);
        }
    }

    /// Whether raft has not heard of all that is applied here.
    pub(super) fn installing(&self) -> bool {
        self.node.raft.raft_log.applied() < self.applied.0
    }

    /// Sends what raft says, in few parcels.
    pub(super) fn send_raft(&mut self, messages: Vec<Message>, out: &mut Vec<Output>) {
        let mut parcels: BTreeMap<MemberId, (usize, Vec<RaftMessage>)> = BTreeMap::new();
        for message in messages {
            // Proposals are not forwarded: who proposed would not hear of them.
            if matches!(message.msg_type, MessageType::MsgPropose | MessageType::MsgTransferLeader) {
                continue;
            }
            let to = MemberId(message.to);
            if message.msg_type == MessageType::MsgSnapshot {
                self.announced_snapshot(to);
            }
            let message = convert::message(message);
            let size: usize =
                message.entries.iter().map(|entry| entry.data.len() + entry.context.len() + 48).sum();
            let (bytes, waiting) = parcels.entry(to).or_default();
            if *bytes > 0
                && (*bytes + size > limits::PARCEL_BYTES || waiting.len() >= limits::MAX_MESSAGES_PER_PARCEL)
            {
                let full = std::mem::take(waiting);
                *bytes = 0;
                self.send(to, Body::Raft(full), out);
            }
            *bytes += size + 48;
            waiting.push(message);
        }
        for (to, (_, messages)) in parcels {
            self.send(to, Body::Raft(messages), out);
        }
    }

    pub(super) fn is_raft_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }
}
