//! The master's tables once more, in a form that can be handed out: what reads are served from.
//!
//! The machine says what it has changed ([`Change`]); the names of that are collected ([`Touched`]), and looked up in the
//! machine before a snapshot is taken, or when there are many of them. So the master's thread spends its time on what has
//! changed, never on all that there is, and what a reader looks at stays as it is however long that takes.

mod shelf;
#[cfg(test)]
mod tests;
pub(crate) mod totals;
mod touched;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use libactor::Time;
use protocol::{AgentId, ExecutorId, FrameworkId, OfferId, Role, Task, TaskId};

use super::snapshot::{AgentView, ExecutorView, FrameworkView, Snapshot, TaskView};
use crate::core::agents::Agent;
use crate::core::frameworks::Framework;
use crate::core::tasks::TaskRecord;
use crate::core::{Change, Master};

pub use shelf::Shelf;
use totals::Totals;
use touched::Touched;

/// Names that may wait to be looked up. Ours: looking up so many takes about a millisecond.
const MAX_TOUCHED: usize = 1024;

/// The copy.
#[derive(Debug)]
pub(crate) struct Mirror {
    snapshot: Snapshot,
    totals: Totals,
    touched: Touched,
}

impl Mirror {
    /// A copy of all that there is.
    pub(crate) fn new(master: &Master, now: Time) -> Self {
        let agents = master.agents().values();
        let frameworks = master.frameworks().values();
        let completed = master.completed_frameworks().map(|one| Arc::new(framework_view(master, one, None)));
        let snapshot = Snapshot {
            info: Arc::new(master.info().clone()),
            cluster: master.config().cluster.as_deref().map(Arc::from),
            started_at: master.started_at(),
            taken_at: now,
            agents: agents.map(|agent| (agent.id.clone(), Arc::new(agent_view(agent)))).collect(),
            recovered_agents: Arc::new(master.recovered_agents().values().cloned().collect()),
            unreachable_agents: master.unreachable_agent_count(),
            frameworks: frameworks
                .map(|one| (one.id.clone(), Arc::new(framework_view(master, one, None))))
                .collect(),
            completed_frameworks: Arc::new(completed.collect()),
            weights: Arc::new(master.weights().clone()),
            maintenance: Arc::new(master.maintenance().clone()),
            loads: Arc::default(),
        };
        let mut totals = Totals::default();
        snapshot.agents.values().for_each(|agent| totals.agent(None, Some(agent)));
        snapshot.frameworks.values().for_each(|framework| totals.framework(None, Some(framework)));
        let mut mirror = Self { snapshot, totals, touched: Touched::default() };
        for agent in master.agents().values() {
            let mut owners: Vec<&FrameworkId> = agent.executors.keys().map(|(owner, _)| owner).collect();
            owners.dedup();
            owners.into_iter().for_each(|owner| mirror.sync_executors(master, owner, &agent.id));
        }
        mirror
    }

    /// Notes what has changed.
    pub(crate) fn note(&mut self, change: &Change) {
        self.touched.note(change);
    }

    /// Looks up what was noted, if that is much.
    pub(crate) fn keep_up(&mut self, master: &Master) {
        if self.touched.len() >= MAX_TOUCHED {
            self.sync(master);
        }
    }

    /// Sums over the machine as it is now.
    pub(crate) fn totals(&mut self, master: &Master) -> &Totals {
        self.sync(master);
        &self.totals
    }

    /// The machine as it is now.
    pub(crate) fn snapshot(&mut self, master: &Master, now: Time) -> Snapshot {
        self.sync(master);
        self.snapshot.taken_at = now;
        self.snapshot.clone()
    }

    fn sync(&mut self, master: &Master) {
        if self.touched.is_empty() {
            return;
        }
        let touched = std::mem::take(&mut self.touched).settled();
        // What was told of the old state is no longer asked for.
        self.snapshot.loads = Arc::new(OnceLock::new());
        self.sync_frameworks(master, &touched);
        for (framework_id, task_ids) in by_framework(&touched.tasks) {
            self.sync_tasks(master, framework_id, task_ids);
        }
        for (framework_id, agent_id) in &touched.executors {
            self.sync_executors(master, framework_id, agent_id);
        }
        for (framework_id, offer_id) in &touched.offers {
            self.sync_offer(master, framework_id, offer_id);
        }
        self.sync_agents(master, &touched);
        if touched.weights {
            self.snapshot.weights = Arc::new(master.weights().clone());
        }
        if touched.maintenance {
            self.snapshot.maintenance = Arc::new(master.maintenance().clone());
        }
    }

    fn sync_frameworks(&mut self, master: &Master, touched: &Touched) {
        let Self { snapshot, totals, .. } = self;
        let mut gone: BTreeMap<&FrameworkId, Arc<FrameworkView>> = BTreeMap::new();
        for id in &touched.frameworks {
            let Some(framework) = master.frameworks().get(id) else {
                if let Some(view) = snapshot.frameworks.remove(id) {
                    totals.framework(Some(&view), None);
                    gone.insert(id, view);
                }
                continue;
            };
            match snapshot.frameworks.get_mut(id) {
                Some(view) => {
                    totals.framework(Some(view), None);
                    describe(Arc::make_mut(view), framework);
                    totals.framework(None, Some(view));
                }
                None => {
                    let view = Arc::new(framework_view(master, framework, None));
                    totals.framework(None, Some(&view));
                    snapshot.frameworks.insert(id.clone(), view);
                }
            }
        }
        if touched.completed_frameworks {
            let known = snapshot.completed_frameworks.iter().map(|view| (view.id.clone(), view.clone()));
            let known: BTreeMap<FrameworkId, Arc<FrameworkView>> = known.collect();
            let completed = master.completed_frameworks().map(|framework| match known.get(&framework.id) {
                Some(view) if !gone.contains_key(&framework.id) => view.clone(),
                _ => {
                    let before = gone.get(&framework.id).map(|view| &**view);
                    Arc::new(framework_view(master, framework, before))
                }
            });
            snapshot.completed_frameworks = Arc::new(completed.collect());
        }
    }

    fn sync_tasks(&mut self, master: &Master, framework_id: &FrameworkId, touched: &[(FrameworkId, TaskId)]) {
        let Some(framework) = master.frameworks().get(framework_id) else { return };
        let Some(view) = self.snapshot.frameworks.get_mut(framework_id) else { return };
        let view = Arc::make_mut(view);
        self.totals.framework(Some(view), None);
        for (_, id) in touched {
            let ended = framework.completed.get(id).map(|task| {
                let role = role_of_ended(view, framework, task);
                TaskView { task: task.clone(), role }
            });
            put(&mut view.tasks, id, framework.tasks.get(id).map(task_view));
            put(&mut view.unreachable_tasks, id, framework.unreachable.get(id).map(task_view));
            put(&mut view.completed_tasks, id, ended);
        }
        self.totals.framework(None, Some(view));
    }

    fn sync_executors(&mut self, master: &Master, framework_id: &FrameworkId, agent_id: &AgentId) {
        let Some(view) = self.snapshot.frameworks.get_mut(framework_id) else { return };
        let view = Arc::make_mut(view);
        let there = master.agents().get(agent_id).map(|agent| executors_of(agent, framework_id));
        let there = there.filter(|executors| !executors.is_empty()).map(Arc::new);
        put(&mut view.executors, agent_id, there);
    }

    fn sync_offer(&mut self, master: &Master, framework_id: &FrameworkId, offer_id: &OfferId) {
        let Some(view) = self.snapshot.frameworks.get_mut(framework_id) else { return };
        let view = Arc::make_mut(view);
        put(&mut view.offers, offer_id, master.offers().get(offer_id).map(|offer| Arc::new(offer.clone())));
    }

    fn sync_agents(&mut self, master: &Master, touched: &Touched) {
        for id in &touched.agents {
            let now = master.agents().get(id).map(|agent| Arc::new(agent_view(agent)));
            self.totals.agent(self.snapshot.agents.get(id).map(|view| &**view), now.as_deref());
            put(&mut self.snapshot.agents, id, now);
        }
        if touched.elsewhere {
            self.snapshot.unreachable_agents = master.unreachable_agent_count();
            let (before, now) = (self.snapshot.recovered_agents.iter(), master.recovered_agents().values());
            if before.len() != now.len() || before.zip(now.clone()).any(|(a, b)| !Arc::ptr_eq(a, b)) {
                self.snapshot.recovered_agents = Arc::new(now.cloned().collect());
            }
        }
    }
}

/// Runs of the same framework in what is sorted.
fn by_framework(
    tasks: &[(FrameworkId, TaskId)],
) -> impl Iterator<Item = (&FrameworkId, &[(FrameworkId, TaskId)])> {
    tasks.chunk_by(|one, next| one.0 == next.0).map(|run| (&run[0].0, run))
}

pub(crate) fn agent_view(agent: &Agent) -> AgentView {
    AgentView {
        id: agent.id.clone(),
        info: agent.info.clone(),
        pid: agent.pid.clone(),
        version: agent.version.clone(),
        connected: agent.connected,
        active: agent.active(),
        deactivated: agent.deactivated,
        draining: agent.draining.clone(),
        registered_at: agent.registered_at,
        reregistered_at: agent.reregistered_at,
        used: agent.used.clone(),
        offered: agent.offered.clone(),
        orphans: agent
            .orphans
            .values()
            .map(|orphan| (orphan.role.clone(), orphan.resources.clone()))
            .collect(),
    }
}

/// All of a framework but its executors, which are known from the agents; `before`: as it was last known.
fn framework_view(master: &Master, framework: &Framework, before: Option<&FrameworkView>) -> FrameworkView {
    let brief = brief_view(framework);
    let ended = framework.completed.iter().map(|(id, task)| {
        let role = role_of_ended(before.unwrap_or(&brief), framework, task);
        (id.clone(), TaskView { task: task.clone(), role })
    });
    let (tasks, unreachable) = (framework.tasks.iter(), framework.unreachable.iter());
    let offers = framework.offers.iter().filter_map(|id| master.offers().get_key_value(id));
    FrameworkView {
        tasks: tasks.map(|(id, record)| (id.clone(), task_view(record))).collect(),
        unreachable_tasks: unreachable.map(|(id, record)| (id.clone(), task_view(record))).collect(),
        completed_tasks: ended.collect(),
        offers: offers.map(|(id, offer)| (id.clone(), Arc::new(offer.clone()))).collect(),
        ..brief
    }
}

/// What a framework says of itself alone.
pub(crate) fn brief_view(framework: &Framework) -> FrameworkView {
    FrameworkView {
        id: framework.id.clone(),
        info: Arc::new(framework.info.clone()),
        pid: framework.pid.clone(),
        recovered: framework.recovered,
        registered_at: framework.registered_at,
        reregistered_at: framework.reregistered_at,
        unregistered_at: framework.unregistered_at,
        tasks: Shelf::default(),
        unreachable_tasks: Shelf::default(),
        completed_tasks: Shelf::default(),
        offers: Shelf::default(),
        executors: Shelf::default(),
    }
}

/// What a framework says of itself, and whether it is there.
fn describe(view: &mut FrameworkView, framework: &Framework) {
    if *view.info != framework.info {
        view.info = Arc::new(framework.info.clone());
    }
    view.pid = framework.pid.clone();
    view.recovered = framework.recovered;
    view.registered_at = framework.registered_at;
    view.reregistered_at = framework.reregistered_at;
    view.unregistered_at = framework.unregistered_at;
}

fn executors_of(agent: &Agent, framework_id: &FrameworkId) -> Vec<ExecutorView> {
    let from = (framework_id.clone(), ExecutorId::from(""));
    let all = agent.executors.range(from..).take_while(|((owner, _), _)| owner == framework_id);
    all.map(|(_, record)| ExecutorView { info: record.info.clone(), role: record.role.clone() }).collect()
}

fn task_view(record: &TaskRecord) -> TaskView {
    TaskView { task: record.task.clone(), role: record.role.clone() }
}

/// The role of a task that has ended, if it does not say so itself: the one that was known before, or the framework's first.
fn role_of_ended(view: &FrameworkView, framework: &Framework, task: &Task) -> Role {
    let places = [&view.tasks, &view.unreachable_tasks, &view.completed_tasks];
    let known =
        || places.into_iter().find_map(|place| place.get(&task.task_id)).map(|view| view.role.clone());
    let first = || framework.info.roles.first().cloned();
    task.allocated_to.clone().or_else(known).or_else(first).unwrap_or_default()
}

/// Puts in what is there, and takes out what is not.
fn put<K: Ord + Clone, V: Clone>(shelf: &mut Shelf<K, V>, key: &K, value: Option<V>) {
    match value {
        Some(value) => shelf.insert(key.clone(), value),
        None => shelf.remove(key),
    };
}
