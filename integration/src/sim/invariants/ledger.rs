//! Registries agree: replicas that have applied the same index hold the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libactor::Pid;
use master::registry::{State, codec};

/// What replicas have applied, as they say.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The bytes of the registry by the index that is applied, and who has come there first.
    known: BTreeMap<u64, (u64, Pid)>,
    newest: Option<(u64, Arc<State>)>,
    /// Terms in which somebody has led.
    leads: BTreeSet<u64>,
}

impl Ledger {
    /// A replica has applied all up to an index.
    ///
    /// # Panics
    /// If another one has something else there.
    pub fn applied(&mut self, pid: &Pid, index: u64, state: &Arc<State>) {
        if index == 0 {
            return;
        }
        let hash = hash(&codec::encode_state(state));
        let (known, first) = self.known.entry(index).or_insert_with(|| (hash, pid.clone()));
        assert_eq!(
            *known, hash,
            "the registry at {index} is one at {first} and another one at {pid}: {state:#?}"
        );
        self.leads.extend(state.leader.as_ref().map(|leader| leader.term));
        if self.newest.as_ref().is_none_or(|(newest, _)| *newest < index) {
            self.newest = Some((index, state.clone()));
        }
    }

    /// The newest registry that any replica has.
    pub fn newest(&self) -> Option<Arc<State>> {
        self.newest.as_ref().map(|(_, state)| state.clone())
    }

    /// How many leads there have been.
    pub fn leads(&self) -> u64 {
        self.leads.len() as u64
    }

    /// Its index.
    pub fn newest_index(&self) -> u64 {
        self.newest.as_ref().map_or(0, |(index, _)| *index)
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
