//! Why a change of members is refused.

use super::Replica;
use crate::registry::MemberId;
use crate::replication::limits::MAX_MEMBERS;

impl Replica {
    /// Whether a master was heard lately; this one always was.
    pub(super) fn answers(&self, id: MemberId) -> bool {
        let heard = self.peers.get(&id).and_then(|peer| peer.heard);
        id == self.identity.id || heard.is_some_and(|since| !self.passed(since, 2))
    }

    pub(super) fn votes(&self, id: MemberId) -> bool {
        self.members.voters.contains(&id.0)
    }

    pub(super) fn refuse_unknown(&self, id: MemberId) -> Result<(), String> {
        if self.state.masters.contains_key(&id) {
            return Ok(());
        }
        let known: Vec<String> = self.state.masters.keys().map(MemberId::to_string).collect();
        Err(format!("there is no master {id}; there are {}", known.join(", ")))
    }

    /// A number that can't be given to a new master.
    pub(super) fn refuse_number(&self, id: MemberId) -> Result<(), String> {
        if id.0 == 0 {
            return Err("0 is not the number of a master: numbers begin at 1".to_owned());
        }
        if let Some(member) = self.state.masters.get(&id) {
            return Err(format!(
                "number {id} is in use, by the master at {}: choose another one",
                member.address
            ));
        }
        if self.state.former_masters.contains_key(&id) {
            return Err(format!(
                "number {id} was used before: choose another one, or replace master {id} by itself if it has a new disk"
            ));
        }
        if self.state.masters.len() >= MAX_MEMBERS {
            return Err(format!("there are {MAX_MEMBERS} masters, which is as many as there can be"));
        }
        Ok(())
    }

    pub(super) fn refuse_address(&self, id: MemberId, address: &str) -> Result<(), String> {
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if port.and_then(|(_, port)| port.parse::<u16>().ok()).is_none_or(|port| port == 0)
            || address.len() > 261
        {
            return Err(format!("expected host:port as the address of master {id}, not {address:?}"));
        }
        let other =
            self.state.masters.iter().find(|(other, member)| **other != id && member.address == address);
        match other {
            Some((other, _)) => Err(format!("master {other} is at {address} already")),
            None => Ok(()),
        }
    }

    /// Who stays must be able to agree at once.
    pub(super) fn refuse_minority(&self, leaves: MemberId, comes: Option<MemberId>) -> Result<(), String> {
        let stay = self.members.voters.iter().map(|id| MemberId(*id)).filter(|id| *id != leaves);
        let after: Vec<MemberId> = stay.chain(comes).collect();
        if after.is_empty() {
            return Err(format!("master {leaves} is the last one that votes: add another one first"));
        }
        let silent: Vec<String> =
            after.iter().filter(|id| !self.answers(**id)).map(MemberId::to_string).collect();
        if (after.len() - silent.len()) * 2 > after.len() {
            return Ok(());
        }
        Err(format!(
            "without master {leaves} no majority would be left: of {} masters that then vote, these do not answer: {}. \
             Start them, or remove them first",
            after.len(),
            silent.join(", ")
        ))
    }
}
