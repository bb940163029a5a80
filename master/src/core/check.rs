//! The invariants of the master, run after every input in tests and simulation.

use protocol::{Resources, TaskState};

use super::frameworks::Stored;
use super::{Master, Timer, limits};

impl Master {
    /// Panics if an invariant does not hold.
    pub(super) fn check_all(&self) {
        self.check_agents();
        self.check_frameworks();
        self.check_offers();
        self.allocator.check();
    }

    fn check_agents(&self) {
        for (id, agent) in &self.agents {
            let total = &agent.info.resources;
            let free = total.clone() - agent.used.clone();
            let offered = &agent.offered;
            assert!(free.contains(offered), "agent {id}: offered {offered} is what is not used of {total}");
            let used: Resources = self.used_on(id).into_values().sum();
            assert_eq!(
                agent.used, used,
                "agent {id}: what is used is what tasks, executors and orphans hold"
            );
            let offered: Resources = agent.offers.iter().map(|offer| &self.offers[offer].resources).sum();
            assert_eq!(agent.offered, offered, "agent {id}: what is offered is what its offers hold");
            let mut expected = self.used_on(id);
            for offer in agent.offers.iter().map(|offer| &self.offers[offer]) {
                let key = (offer.framework_id.clone(), offer.role.clone());
                *expected.entry(key).or_default() += &offer.resources;
            }
            expected.retain(|_, resources| !resources.is_empty());
            let mut allocated = self.allocator.allocated(id);
            allocated.retain(|_, resources| !resources.is_empty());
            assert_eq!(allocated, expected, "agent {id}: the allocator's books are the master's");
            assert!(agent.active() || agent.offers.is_empty(), "agent {id}: only an active one is offered");
            for (framework_id, task_id) in &agent.tasks {
                let task = &self.frameworks[framework_id].tasks[task_id].task;
                assert_eq!(task.agent_id, *id, "task {task_id} is on the agent that lists it");
            }
            let pinged = self.timers.is_set(&Timer::Ping(id.clone()));
            assert_eq!(pinged, agent.leaving.is_none(), "agent {id}: is pinged unless it leaves");
            let waited_for = self.timers.is_set(&Timer::Reregister(id.clone()));
            let away = !agent.connected && agent.leaving.is_none();
            assert_eq!(waited_for, away, "agent {id}: a disconnected one has a time to be back");
            assert!(!self.unreachable.contains_key(id), "agent {id}: is not unreachable and registered");
            assert!(!self.removed.contains_key(id), "agent {id}: a removed one never returns");
            assert!(!self.gone.contains_key(id), "agent {id}: one that is gone never returns");
            let down = agent.leaving.is_none() && self.is_down(&agent.info, &agent.pid);
            assert!(!down, "agent {id}: its machine is not down");
        }
        self.check_waited_for();
        for (id, _) in self.gone.iter() {
            let elsewhere = self.unreachable.contains_key(id) || self.recovered.contains_key(id);
            assert!(!elsewhere, "agent {id}: one that is gone is not waited for");
        }
        for (pid, id) in &self.agent_pids {
            assert_eq!(self.agents[id].pid, *pid, "an address leads to the agent that speaks from it");
        }
        let admitting = self.admitting.iter().map(|(id, admission)| (&admission.pid, id));
        let reregistering = self.reregistering.iter().map(|(id, back)| (&back.pid, id));
        let mut deciding: Vec<_> = admitting.chain(reregistering).collect();
        deciding.sort();
        assert!(self.deciding.iter().eq(deciding), "what the registry decides on is found by address");
    }

    /// Agents that are not here, and those that will not be.
    fn check_waited_for(&self) {
        for id in self.recovered.keys() {
            assert!(!self.agents.contains_key(id), "agent {id}: is not waited for while it is there");
            let timed =
                self.timers.is_set(&Timer::Recovery) || self.timers.is_set(&Timer::Recovered(id.clone()));
            let decided = self.reregistering.contains_key(id)
                || self.marking_gone.contains_key(id)
                || self.expiring.contains(id)
                || self.removals.waiting().contains(id);
            assert!(timed || decided || self.given_up, "agent {id}: is not waited for without end");
        }
        for id in &self.expiring {
            let (back, lost) = (self.reregistering.contains_key(id), self.recovered.contains_key(id));
            let elsewhere = self.gone.contains_key(id) || self.agents.contains_key(id);
            assert!(back || lost || elsewhere, "agent {id}: was waited for until the registry was told");
        }
        for id in self.removals.waiting() {
            let stays = self.agents.get(id).is_some_and(|agent| agent.leaving.is_none());
            assert!(stays || self.recovered.contains_key(id), "agent {id}: may still become unreachable");
        }
        let timed = self.timers.is_set(&Timer::Removal);
        assert_eq!(timed, !self.removals.is_empty(), "those that wait to become unreachable will");
        assert!(self.timers.is_set(&Timer::RegistryGc), "what is too old will be forgotten");
        for (id, wish) in &self.wishes {
            assert!(self.is_remembered(id), "agent {id}: nothing is wanted of one that will not be back");
            assert_ne!(*wish, Default::default(), "agent {id}: what is not wanted is not kept");
        }
        for (id, agent) in &self.agents {
            let deactivated = self.wishes.get(id).is_some_and(|wish| wish.deactivated);
            assert_eq!(agent.deactivated, deactivated, "agent {id}: is offered as it is wanted");
            let wanted = self.wishes.get(id).and_then(|wish| wish.drain.as_ref());
            let drain = agent.draining.as_ref().map(|draining| &draining.drain);
            assert_eq!(drain, wanted, "agent {id}: is drained as it is wanted");
            let unnoticed = agent.drains() && self.is_found_empty(id) && !self.marking_drained.contains(id);
            assert!(!unnoticed, "agent {id}: the registry is told that it is empty");
        }
        for (id, drain) in self.wishes.iter().filter_map(|(id, wish)| Some((id, wish.drain.as_ref()?))) {
            let leaving = self.agents.get(id).is_some_and(|agent| agent.leaving.is_some());
            let under_way = leaving || self.marking_gone.contains_key(id) || self.maybe_empty.contains(id);
            assert!(!drain.drained || !drain.mark_gone || under_way, "agent {id}: becomes gone");
        }
    }

    fn check_frameworks(&self) {
        for (id, framework) in &self.frameworks {
            assert_eq!(framework.info.id.as_ref(), Some(id), "framework {id} knows its id");
            assert!(
                !self.completed_frameworks.contains_key(id),
                "framework {id}: a removed one never returns"
            );
            assert!(
                framework.pid.is_some() || framework.offers.is_empty(),
                "framework {id}: offers need a scheduler"
            );
            for (task_id, record) in &framework.tasks {
                let agent = &self.agents[&record.task.agent_id];
                let key = (id.clone(), task_id.clone());
                assert!(agent.tasks.contains(&key), "task {task_id} is listed by its agent");
                assert!(!framework.unreachable.contains_key(task_id), "task {task_id} is in one place");
            }
            for offer in &framework.offers {
                assert_eq!(self.offers[offer].framework_id, *id, "offer {offer} is this framework's");
            }
            if let Some(pid) = &framework.pid {
                assert_eq!(self.schedulers.get(pid), Some(id), "framework {id}: its scheduler leads to it");
            }
            let beats = self.timers.is_set(&Timer::Heartbeat(id.clone()));
            let stream = framework.pid.as_ref().is_some_and(|pid| pid.stream_id().is_some());
            assert_eq!(beats, stream, "framework {id}: one on a stream is told that the master is there");
            for state in TaskState::ALL {
                let live = framework.tasks.values().filter(|record| record.task.state == state).count();
                let name = format!("tasks/active/{}", state.name().to_ascii_lowercase());
                let counted = framework.counters.named().find(|(counter, _)| *counter == name);
                let counted = counted.map_or(live as u64, |(_, counted)| counted);
                assert_eq!(counted, live as u64, "framework {id}: its tasks in {state} are counted");
            }
            let timed = self.timers.is_set(&Timer::Failover(id.clone()));
            let away = framework.away_until.is_some() && !self.expects_subscriber(id);
            assert_eq!(timed, away, "framework {id}: a disconnected one has a time to be back");
            assert!(
                framework.pid.is_none() || framework.away_until.is_none(),
                "framework {id}: one that is there has no time to be back"
            );
            let under_way = self.subscribing.contains_key(id);
            let known = match framework.stored {
                Stored::Unknown => framework.recovered && !under_way,
                Stored::Connected => framework.pid.is_some() || framework.recovered || under_way,
                Stored::Disconnected => framework.pid.is_none(),
            };
            assert!(known, "framework {id}: the registry was told how it is: {:?}", framework.stored);
        }
        self.check_subscribing();
        for (pid, id) in &self.schedulers {
            assert_eq!(
                self.frameworks[id].pid.as_ref(),
                Some(pid),
                "a scheduler leads to a framework of its own"
            );
        }
    }

    fn check_subscribing(&self) {
        for (id, waiting) in &self.subscribing {
            assert_eq!(
                waiting.info.id.as_ref(),
                Some(id),
                "framework {id} is told to the registry by its id"
            );
            assert!(!self.removed_frameworks.contains_key(id), "framework {id}: a removed one never returns");
            let count = waiting.under_way();
            assert!(
                (1..=limits::MAX_SUBSCRIPTIONS_UNDER_WAY).contains(&count),
                "framework {id}: {count} wait"
            );
        }
        let waiting = self.subscribing.iter().filter_map(|(id, waiting)| Some((waiting.pid()?, id)));
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort();
        assert!(self.subscribers.iter().eq(waiting), "who waits to be subscribed is found by address");
        for id in self.frameworks.keys() {
            assert!(!self.removed_frameworks.contains_key(id), "framework {id}: a removed one never returns");
        }
        for id in self.tearing_down.keys() {
            assert!(self.removed_frameworks.contains_key(id), "framework {id}: is removed");
        }
    }

    fn check_offers(&self) {
        for (id, offer) in &self.offers {
            assert!(
                self.frameworks[&offer.framework_id].offers.contains(id),
                "offer {id} is its framework's"
            );
            assert!(self.agents[&offer.agent_id].offers.contains(id), "offer {id} is its agent's");
        }
        let by_framework: usize = self.frameworks.values().map(|framework| framework.offers.len()).sum();
        let by_agent: usize = self.agents.values().map(|agent| agent.offers.len()).sum();
        assert_eq!(
            (by_framework, by_agent),
            (self.offers.len(), self.offers.len()),
            "every offer is counted once"
        );
    }
}
