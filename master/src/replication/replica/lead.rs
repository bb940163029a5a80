//! Leads: how one begins and ends, what it proposes, and who is told who leads.

use std::collections::{BTreeMap, VecDeque};

use libactor::detect::Leads;
use libactor::{Pid, Time};
use protocol::{UnixTime, Uuid};

use super::{Lead, Own, Replica};
use crate::registry::{ClusterId, Leader, MemberId, Operation, VERSION, codec};
use crate::replication::input::{Disposition, Output};
use crate::replication::limits::{
    ENTRY_BYTES, FULL_REGISTRY_BYTES, MAX_OPERATION_BYTES, MAX_OPERATIONS_PER_ENTRY, MAX_WAITING_OPERATIONS,
    MAX_WATCHERS,
};

impl Replica {
    /// Raft's role may have changed.
    pub(super) fn watch_role(&mut self, out: &mut Vec<Output>) {
        let term = self.node.raft.term;
        let leads = self.is_raft_leader() && !self.ended && !self.removed;
        if self.lead.as_ref().is_some_and(|lead| !leads || lead.term != term) {
            self.depose(out);
        }
        if leads && self.lead.is_none() {
            self.lead = Some(Lead {
                term,
                proposed: false,
                announced: false,
                waiting: VecDeque::new(),
                own: VecDeque::new(),
                identifying: BTreeMap::new(),
            });
        }
    }

    pub(super) fn depose(&mut self, out: &mut Vec<Output>) {
        let Some(lead) = self.lead.take() else { return };
        if lead.announced {
            out.push(Output::Deposed { term: lead.term });
        }
        self.change_is_deposed(out);
    }

    /// A lead begins with its own word in the log: when that is applied, so is all that came before.
    pub(super) fn begin_lead(&mut self, now: Time) {
        let Some(lead) = self.lead.as_ref().filter(|lead| !lead.proposed) else { return };
        let leader = Leader {
            id: self.identity.id,
            term: lead.term,
            pid: self.config.master.to_string(),
            hostname: self.config.hostname.clone(),
            version: self.config.version.clone(),
            since: UnixTime(now.as_nanos()),
        };
        let mut operations = Vec::new();
        if self.state.cluster.is_none() {
            let cluster = ClusterId(Uuid::from_random(self.random.next_u128()));
            operations.push(Operation::Found { cluster });
        }
        operations.push(Operation::Lead { leader });
        let proposed = self.propose_entry(&operations, false);
        if let (true, Some(lead)) = (proposed, &mut self.lead) {
            lead.proposed = true;
        }
        self.identify(self.identity.id, self.identity.disk, VERSION);
    }

    pub(super) fn lead_is_applied(&mut self, id: MemberId, term: u64, out: &mut Vec<Output>) {
        let me = self.identity.id;
        let Some(lead) = self.lead.as_mut().filter(|lead| lead.term == term && id == me) else { return };
        lead.announced = true;
        tracing::info!("master {me} leads in term {term}");
        out.push(Output::Lead { term, state: self.state.clone() });
    }

    pub(super) fn on_propose(&mut self, term: u64, operations: Vec<Operation>, out: &mut Vec<Output>) {
        let understood = self.understood();
        let full = self.snapshots.bytes >= FULL_REGISTRY_BYTES;
        let Some(lead) = self.lead.as_mut().filter(|lead| lead.term == term && lead.announced) else {
            return;
        };
        for operation in operations {
            let version = operation.version();
            let reason = if version > understood {
                format!(
                    "it needs version {version} of the registry, and a master understands no more than {understood}: \
                     upgrade all masters first"
                )
            } else if full && grows(&operation) {
                "the registry is full: remove frameworks and agents that are gone".to_owned()
            } else if lead.waiting.len() >= MAX_WAITING_OPERATIONS {
                "the registry takes no more at the moment: its disks or the other masters are too slow"
                    .to_owned()
            } else {
                lead.waiting.push_back(operation);
                continue;
            };
            out.push(Output::Refused { term, operation, reason });
        }
    }

    /// The newest operations that all members understand, as far as they have been heard of.
    fn understood(&self) -> u32 {
        let versions =
            self.state.masters.values().map(|member| member.version).filter(|version| *version > 0);
        versions.min().unwrap_or(1).min(VERSION)
    }

    /// All that waits becomes entries, as few as possible.
    pub(super) fn propose_waiting(&mut self, out: &mut Vec<Output>) {
        while let Some(lead) = self.lead.as_mut().filter(|lead| lead.announced && !lead.waiting.is_empty()) {
            let term = lead.term;
            let mut count = lead.waiting.len().min(MAX_OPERATIONS_PER_ENTRY);
            let (bytes, count) = loop {
                let bytes = codec::encode_operations(&lead.waiting.make_contiguous()[..count]);
                if bytes.len() <= ENTRY_BYTES || count == 1 {
                    break (bytes, count);
                }
                count = count.div_ceil(2);
            };
            if bytes.len() > MAX_OPERATION_BYTES {
                if let Some(operation) = lead.waiting.pop_front() {
                    let reason =
                        format!("it has {} bytes: at most {MAX_OPERATION_BYTES} are allowed", bytes.len());
                    out.push(Output::Refused { term, operation, reason });
                }
                continue;
            }
            debug_assert_eq!(
                codec::decode_operations(&bytes).as_deref().ok(),
                Some(&lead.waiting.make_contiguous()[..count]),
                "followers apply what was proposed"
            );
            // Dropped while another one is to take over, or too much is under way: it waits.
            if self.node.propose(Vec::new(), bytes).is_err() {
                break;
            }
            let index = self.node.raft.raft_log.last_index();
            let operations = lead.waiting.drain(..count).collect();
            lead.own.push_back(Own { index, told: true, operations });
        }
    }

    /// What the replica itself has to say.
    pub(super) fn propose_entry(&mut self, operations: &[Operation], told: bool) -> bool {
        let Some(lead) = &mut self.lead else { return false };
        if self.node.propose(Vec::new(), codec::encode_operations(operations)).is_err() {
            return false;
        }
        let index = self.node.raft.raft_log.last_index();
        lead.own.push_back(Own { index, told, operations: operations.to_vec() });
        true
    }

    /// Where it stands now, if that has changed.
    pub(super) fn say_where_it_stands(&mut self, out: &mut Vec<Output>) {
        let raft = &self.node.raft;
        let announced = self.lead.as_ref().is_some_and(|lead| lead.announced);
        let lead = self.state.leader.as_ref().map_or(0, |leader| leader.term);
        let stood = (raft.term, raft.leader_id, announced, lead);
        if std::mem::replace(&mut self.stood, stood) == stood && !std::mem::take(&mut self.restand) {
            return;
        }
        let disposition = self.stands();
        if disposition != self.disposition {
            self.disposition = disposition.clone();
            out.push(Output::Standing(disposition));
        }
        let leads = self.leads();
        if leads != self.told {
            self.told = leads;
            for to in &self.watchers {
                out.push(Output::Leads { to: to.clone(), leads: self.told.clone() });
            }
        }
    }

    fn stands(&self) -> Disposition {
        if self.lead.as_ref().is_some_and(|lead| lead.announced) {
            return Disposition::Leading;
        }
        let raft = &self.node.raft;
        let leader = self.state.leader.as_ref();
        let leader = leader.filter(|leader| leader.id.0 == raft.leader_id && leader.term == raft.term);
        let leader = leader.filter(|leader| leader.id != self.identity.id);
        match leader.and_then(|leader| leader.pid.parse().ok()) {
            Some(leader) => Disposition::Following { leader },
            None => Disposition::Leaderless,
        }
    }

    /// What watchers are told. The epoch is the term of the last lead that was heard of.
    pub(super) fn leads(&self) -> Leads {
        let leader = match &self.disposition {
            Disposition::Leading => Some(self.config.master.clone()),
            Disposition::Following { leader } => Some(leader.clone()),
            Disposition::Leaderless => None,
        };
        Leads {
            epoch: self.state.leader.as_ref().map_or(0, |leader| leader.term),
            leader,
            members: self.state.masters.values().map(|member| member.address.clone()).collect(),
        }
    }

    pub(super) fn on_watch(&mut self, from: Pid, out: &mut Vec<Output>) {
        if self.watchers.len() >= MAX_WATCHERS && !self.watchers.contains(&from) {
            tracing::warn!("{from} is not told who leads: {MAX_WATCHERS} are told already");
            return;
        }
        if self.watchers.insert(from.clone()) {
            out.push(Output::Link { pid: from.clone() });
        }
        out.push(Output::Leads { to: from, leads: self.told.clone() });
    }
}

/// Whether the registry grows by it.
fn grows(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::AdmitAgent { .. }
            | Operation::UpdateAgent { .. }
            | Operation::SubscribeFramework { .. }
            | Operation::UpdateWeights { .. }
            | Operation::UpdateQuotas { .. }
            | Operation::UpdateSchedule { .. }
            | Operation::StartMaintenance { .. }
    )
}
