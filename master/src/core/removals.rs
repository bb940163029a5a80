//! How fast agents that do not answer become unreachable.
//!
//! | who | when it is due |
//! |---|---|
//! | a registered agent | it has left as many pings in a row unanswered as it may |
//! | one that the registry named when this master began | it has not come back for the reregistration timeout |
//!
//! With `--agent_removal_rate_limit` one goes at a time; a sign of life before its turn keeps it. And where more of the
//! recovered ones would go than `--recovery_agent_removal_limit` allows, none does: this master gives up leading, for it is
//! likelier that it can't reach them than that they are all gone.

use std::collections::{BTreeSet, VecDeque};

use libactor::Time;
use protocol::AgentId;
use protocol::notation::Span;

use super::agents::Leaving;
use super::{Master, Output, Timer, Turn};
use crate::registry::Operation;

/// Agents that wait for their turn to become unreachable.
#[derive(Clone, Debug, Default)]
pub(super) struct Removals {
    waiting: BTreeSet<AgentId>,
    /// In their order. Who does not wait any more is passed over.
    queue: VecDeque<AgentId>,
    /// When the next one may go.
    next: Time,
}

impl Removals {
    /// Whether any waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Who waits.
    pub(super) fn waiting(&self) -> &BTreeSet<AgentId> {
        &self.waiting
    }

    fn push(&mut self, id: AgentId) {
        if self.queue.len() > 2 * self.waiting.len() {
            let mut seen = BTreeSet::new();
            let waiting = &self.waiting;
            self.queue.retain(|id| waiting.contains(id) && seen.insert(id.clone()));
        }
        self.queue.push_back(id.clone());
        self.waiting.insert(id);
    }

    fn pop(&mut self) -> Option<AgentId> {
        while let Some(id) = self.queue.pop_front() {
            if self.waiting.remove(&id) {
                return Some(id);
            }
        }
        None
    }
}

impl Master {
    /// An agent is due to become unreachable: at once, or when it is its turn.
    pub(super) fn schedule_removal(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        if self.removals.waiting.contains(id) {
            return;
        }
        self.counters.count("slave_unreachable_scheduled");
        let Some((permits, period)) = self.config.agent_removal_rate_limit else {
            return self.remove_silent(turn, id);
        };
        if self.removals.is_empty() && self.removals.next <= turn.now {
            self.removals.next = turn.now + period / permits.max(1);
            return self.remove_silent(turn, id);
        }
        self.removals.push(id.clone());
        self.timers.set(Timer::Removal, self.removals.next);
    }

    /// The next one may go.
    pub(super) fn removal_due(&mut self, turn: &mut Turn<'_>) {
        let Some(id) = self.removals.pop() else { return };
        if let Some((permits, period)) = self.config.agent_removal_rate_limit {
            self.removals.next = turn.now + period / permits.max(1);
        }
        self.remove_silent(turn, &id);
        if !self.removals.is_empty() {
            self.timers.set(Timer::Removal, self.removals.next);
        }
    }

    /// A sign of life, or it leaves in another way: it does not wait to become unreachable any more. Says whether it did.
    pub(super) fn cancel_removal(&mut self, id: &AgentId) -> bool {
        let waited = self.removals.waiting.remove(id);
        if waited {
            tracing::info!(agent_id = %id, "the agent is not made unreachable after all");
            self.counters.count("slave_unreachable_canceled");
            if self.removals.is_empty() {
                self.timers.cancel(&Timer::Removal);
            }
        }
        waited
    }

    fn remove_silent(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let since = turn.unix_time();
        if self.agents.contains_key(id) {
            return self.start_leaving(turn, id, Leaving::Unreachable(since));
        }
        self.expiring.insert(id.clone());
        turn.apply(Operation::MarkAgentUnreachable { agent_id: id.clone(), since });
    }

    /// A disconnected agent has not come back in time: once the registry knows, its tasks are unreachable (M-B-06).
    pub(super) fn reregister_due(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        if !self.removals.waiting.remove(id) {
            self.counters.count("slave_unreachable_scheduled");
        }
        if self.removals.is_empty() {
            self.timers.cancel(&Timer::Removal);
        }
        let since = turn.unix_time();
        self.start_leaving(turn, id, Leaving::Unreachable(since));
    }

    /// Agents that the registry named when this master began have had their time to come back (M-A-17, M-A-18).
    pub(super) fn recovery_due(&mut self, turn: &mut Turn<'_>) {
        let silent: Vec<_> = self.recovered.keys().filter(|id| self.is_silent(id)).cloned().collect();
        let (count, of, limit) =
            (silent.len(), self.recovered_count, self.config.recovery_agent_removal_limit);
        if count as u128 * 100 > u128::from(limit) * of as u128 {
            let waited = Span(self.config.agent_reregister_timeout);
            let reason = format!(
                "Post-recovery agent removal limit exceeded! After {waited} there were {count} of {of} agents recovered \
                 from the registry that did not reregister. The configured removal limit is {limit}%. Please investigate \
                 or increase this limit to proceed further"
            );
            tracing::error!(reason, "this master gives up leading");
            self.given_up = true;
            return turn.out.push(Output::GiveUp { reason });
        }
        for id in silent {
            self.schedule_removal(turn, &id);
        }
    }

    /// An agent whose process ended while it came back has not come back again.
    pub(super) fn recovered_due(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        if self.recovered.contains_key(id) && self.is_silent(id) {
            self.schedule_removal(turn, id);
        }
    }

    /// Whether nothing is heard of a recovered agent, and no other time is set for it.
    fn is_silent(&self, id: &AgentId) -> bool {
        !self.reregistering.contains_key(id)
            && !self.marking_gone.contains_key(id)
            && !self.timers.is_set(&Timer::Recovered(id.clone()))
    }
}
