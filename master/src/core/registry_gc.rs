//! What the registry remembers of agents that are away for good or for long: the oldest are forgotten, first those that are
//! too many, then those that are too old.

use protocol::{AgentId, UnixTime};

use super::input::Change;
use super::ring::Ring;
use super::{Master, Timer, Turn, limits};
use crate::registry::Operation;

impl Master {
    /// It is time to forget some.
    pub(super) fn registry_gc_due(&mut self, turn: &mut Turn<'_>) {
        self.timers.set(Timer::RegistryGc, turn.now + self.config.registry_gc_interval);
        let now = turn.unix_time();
        let busy = |id: &AgentId| self.reregistering.contains_key(id) || self.marking_gone.contains_key(id);
        let unreachable = self.forgettable(&self.unreachable, now, busy);
        let gone = self.forgettable(&self.gone, now, |_| false);
        let most = limits::MAX_AGENTS_IN_PRUNE;
        for ids in unreachable.chunks(most) {
            turn.apply(Operation::Prune { unreachable: ids.to_vec(), gone: Vec::new() });
        }
        for ids in gone.chunks(most) {
            turn.apply(Operation::Prune { unreachable: Vec::new(), gone: ids.to_vec() });
        }
    }

    fn forgettable(
        &self,
        list: &Ring<AgentId, UnixTime>,
        now: UnixTime,
        busy: impl Fn(&AgentId) -> bool,
    ) -> Vec<AgentId> {
        let mut by_age: Vec<_> = list.iter().collect();
        by_age.sort_by_key(|(id, since)| (**since, *id));
        let too_many = by_age.len().saturating_sub(self.config.registry_max_agent_count);
        let oldest = u64::try_from(self.config.registry_max_agent_age.as_nanos()).unwrap_or(u64::MAX);
        let too_old = |since: UnixTime| now.0.saturating_sub(since.0) > oldest;
        let forgotten =
            by_age.into_iter().enumerate().filter(|(at, (_, since))| *at < too_many || too_old(**since));
        forgotten.map(|(_, (id, _))| id.clone()).filter(|id| !busy(id)).collect()
    }

    /// The registry has forgotten some.
    pub(super) fn pruned(&mut self, turn: &mut Turn<'_>, unreachable: &[AgentId], gone: &[AgentId]) {
        tracing::info!(unreachable = unreachable.len(), gone = gone.len(), "agents are forgotten");
        for id in unreachable {
            if self.unreachable.remove(id).is_some() {
                self.forget_wish(id);
                turn.changed(Change::AgentMoved(id.clone()));
            }
        }
        for id in gone {
            if self.gone.remove(id).is_some() {
                turn.changed(Change::AgentMoved(id.clone()));
            }
        }
    }
}
