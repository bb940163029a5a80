//! What must hold, whoever leads: kept outside of all replicas.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use protocol::{AgentId, UnixTime};

use super::host::pid;
use crate::registry::{MemberId, Operation, State, codec};
use crate::replication::Replica;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Told as committed.
    pub(super) acknowledged: BTreeSet<AgentId>,
    proposed: u64,
    /// What each lead has proposed and not been told of.
    open: BTreeMap<(MemberId, u64), VecDeque<Operation>>,
    leaders: BTreeMap<u64, MemberId>,
    /// The registry at an index, by its bytes.
    registries: BTreeMap<u64, u64>,
    pub(super) ended: BTreeMap<MemberId, (String, bool)>,
}

impl Ledger {
    /// A lead begins: only one in its term, and it knows all that was acknowledged.
    pub(super) fn leads(&mut self, id: MemberId, term: u64, state: &State) {
        let other = self.leaders.insert(term, id);
        assert!(other.is_none(), "{id} leads in term {term}, and {other:?} did");
        assert_eq!(self.leaders.keys().next_back(), Some(&term), "leads begin in the order of their terms");
        let lost: Vec<_> = self.acknowledged.iter().filter(|id| !state.gone.contains_key(id)).collect();
        assert!(lost.is_empty(), "{id} leads in term {term} without {lost:?}");
        self.open.insert((id, term), VecDeque::new());
    }

    pub(super) fn deposed(&mut self, id: MemberId, term: u64) {
        assert!(self.open.remove(&(id, term)).is_some(), "a lead that ends had begun");
    }

    pub(super) fn leading(&self) -> Option<(MemberId, u64)> {
        self.open.keys().max_by_key(|(_, term)| *term).copied()
    }

    pub(super) fn propose(&mut self, id: MemberId, term: u64) -> Operation {
        self.proposed += 1;
        let agent_id = AgentId::from(format!("P{}", self.proposed));
        let operation = Operation::MarkAgentGone { agent_id, since: UnixTime(self.proposed) };
        self.open.get_mut(&(id, term)).expect("who proposes leads").push_back(operation.clone());
        operation
    }

    /// Told in the order of proposing, and to nobody whose lead is over.
    pub(super) fn committed(&mut self, id: MemberId, term: u64, operations: &[Operation]) {
        let open = self.open.get_mut(&(id, term)).expect("who is told leads");
        for operation in operations {
            assert_eq!(open.pop_front().as_ref(), Some(operation), "in the order of proposing");
            if let Operation::MarkAgentGone { agent_id, .. } = operation {
                self.acknowledged.insert(agent_id.clone());
            }
        }
    }

    /// Replicas that have applied the same hold the same bytes.
    pub(super) fn applied(&mut self, replica: &Replica) {
        let hash = crc32fast::hash(&codec::encode_state(replica.state()));
        let place = self.registries.entry(replica.applied()).or_insert(u64::from(hash));
        assert_eq!(*place, u64::from(hash), "{:?} differs at {}", replica.identity().id, replica.applied());
    }

    /// A process is gone.
    pub(super) fn gone(&mut self, process: SocketAddr) {
        self.open.retain(|(id, _), _| pid(id.0).address() != process);
    }

    /// A process is gone without a word.
    pub(super) fn crashed(&mut self, id: MemberId) {
        self.open.retain(|(other, _), _| *other != id);
    }

    pub(super) fn read(&self, state: &Arc<State>, least: &BTreeSet<AgentId>) {
        assert!(
            least.iter().all(|id| state.gone.contains_key(id)),
            "a read has all that was acknowledged before it"
        );
    }
}
