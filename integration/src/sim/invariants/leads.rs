//! One leader a term.

use std::collections::BTreeMap;

use libactor::sim::Seen;
use libactor::{Pid, Time};

use super::Invariant;
use crate::sim::message::Group;
use crate::sim::{Cluster, Message};

/// Who has led, by raft's word and by what masters were told to begin.
#[derive(Debug, Default)]
pub struct Leads {
    /// Whom replicas have called themselves.
    raft: BTreeMap<u64, Pid>,
    /// Whose master has begun to lead.
    begun: BTreeMap<u64, Pid>,
}

impl Invariant for Leads {
    fn seen(&mut self, _now: Time, seen: &Seen<'_, Message>) {
        if let Seen::Sent { from, message: Message::Group(Group::Lead { term, .. }), .. } = seen {
            let other = self.begun.insert(*term, (*from).clone());
            assert_eq!(other, None, "{from} begins to lead in term {term}, in which one has led");
        }
    }

    fn always(&mut self, cluster: &Cluster) {
        for (pid, replica) in cluster.replicas() {
            let status = replica.machine().status();
            if status.leader == Some(status.id) {
                let known = self.raft.entry(status.term).or_insert_with(|| pid.clone());
                assert_eq!(known, pid, "two lead in term {}", status.term);
            }
        }
    }
}
