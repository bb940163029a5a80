//! What is believed of what nodes say.

use super::{Leader, Leads};
use crate::Pid;

/// The newest epoch that was heard of, and its leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Belief {
    pub(super) epoch: u64,
    /// Who leads in it, or has led.
    leader: Option<Pid>,
    /// Whether its own node has said that it leads no more.
    over: bool,
}

impl Belief {
    /// Takes a node's word; says whether it is of the newest epoch.
    pub(super) fn take(&mut self, from: &Pid, leads: &Leads) -> bool {
        if leads.epoch < self.epoch {
            return false;
        }
        if leads.epoch > self.epoch {
            *self = Self { epoch: leads.epoch, leader: leads.leader.clone(), over: false };
            return true;
        }
        let speaks_for = |leader: &Pid| leader.address() == from.address();
        match (&leads.leader, &self.leader) {
            (Some(new), known) if known.is_none() || speaks_for(new) => {
                self.leader = Some(new.clone());
                self.over = false;
            }
            (None, Some(known)) if speaks_for(known) => self.over = true,
            (Some(new), Some(known)) if new != known => {
                tracing::warn!(%from, epoch = leads.epoch, %new, %known, "two leaders in one epoch: the first is believed");
            }
            _ => {}
        }
        true
    }

    pub(super) fn leader(&self) -> Option<Leader> {
        let pid = self.leader.clone().filter(|_| !self.over)?;
        Some(Leader { pid, epoch: self.epoch })
    }
}
