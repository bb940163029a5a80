//! What somebody who watches can know: a copy of what the machine shows, kept by its [`Change`]s alone. Tests and the
//! simulator hold it against the machine after every input, so that no change goes untold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libactor::{Pid, Time};
use protocol::{
    AgentId, AgentInfo, ExecutorInfo, FrameworkId, FrameworkInfo, OfferId, Resources, Role, Task, TaskId,
    UnixTime,
};

use super::drains::Draining;
use super::frameworks::Framework;
use super::input::Change;
use super::maintenance::Maintenance;
use super::{Master, Output};

/// A copy of what a [`Master`] shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirror {
    frameworks: BTreeMap<FrameworkId, SeenFramework>,
    completed: BTreeMap<FrameworkId, (SeenFramework, BTreeMap<TaskId, SeenTask>)>,
    tasks: BTreeMap<(FrameworkId, TaskId), SeenTask>,
    executors: BTreeMap<(FrameworkId, AgentId), Vec<Arc<ExecutorInfo>>>,
    offers: BTreeMap<OfferId, (FrameworkId, AgentId, Role, Resources, Time)>,
    agents: BTreeMap<AgentId, SeenAgent>,
    elsewhere: BTreeMap<AgentId, Elsewhere>,
    weights: BTreeMap<Role, u64>,
    maintenance: Maintenance,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SeenFramework {
    info: FrameworkInfo,
    pid: Option<Pid>,
    recovered: bool,
    times: [Option<Time>; 3],
    suppressed: BTreeSet<Role>,
}

/// Where a framework keeps tasks of one id. An id may be used again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SeenTask {
    live: Option<(Arc<Task>, Role)>,
    unreachable: Option<(Arc<Task>, Option<UnixTime>)>,
    completed: Option<Arc<Task>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct SeenAgent {
    info: Arc<AgentInfo>,
    pid: Pid,
    version: String,
    connected: bool,
    active: bool,
    deactivated: bool,
    draining: Option<Draining>,
    times: [Option<Time>; 2],
    used: Resources,
    offered: Resources,
    orphans: Vec<(FrameworkId, TaskId)>,
}

/// An agent that is not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Elsewhere {
    recovered: Option<Arc<AgentInfo>>,
    unreachable: Option<UnixTime>,
    gone: Option<UnixTime>,
}

/// What some changes name.
#[derive(Debug, Default)]
struct Touched {
    frameworks: BTreeSet<FrameworkId>,
    completed: BTreeSet<FrameworkId>,
    tasks: BTreeSet<(FrameworkId, TaskId)>,
    executors: BTreeSet<(FrameworkId, AgentId)>,
    offers: BTreeSet<OfferId>,
    agents: BTreeSet<AgentId>,
    elsewhere: BTreeSet<AgentId>,
    weights: bool,
    maintenance: bool,
}

impl Touched {
    fn by(&mut self, change: &Change) {
        match change {
            Change::FrameworkAdded(id) | Change::FrameworkUpdated(id) | Change::FrameworkState(id) => {
                self.frameworks.insert(id.clone());
            }
            Change::FrameworkRemoved(info) => {
                self.frameworks.extend(info.id.clone());
                self.completed.extend(info.id.clone());
            }
            Change::FrameworkForgotten(id) => {
                self.completed.insert(id.clone());
            }
            Change::AgentAdded(id) | Change::AgentUpdated(id) | Change::AgentRemoved(id) => {
                self.agents.insert(id.clone());
            }
            Change::AgentMoved(id) => {
                self.elsewhere.insert(id.clone());
            }
            Change::TaskAdded(task) | Change::TaskUpdated { task, .. } => {
                self.tasks.insert((task.framework_id.clone(), task.task_id.clone()));
                self.agents.insert(task.agent_id.clone());
            }
            Change::TaskMoved(framework_id, task_id) => {
                self.tasks.insert((framework_id.clone(), task_id.clone()));
            }
            Change::Executor(framework_id, agent_id) => {
                self.executors.insert((framework_id.clone(), agent_id.clone()));
                self.agents.insert(agent_id.clone());
            }
            Change::Offer(_, agent_id, offer_id) => {
                self.offers.insert(offer_id.clone());
                self.agents.insert(agent_id.clone());
            }
            Change::Weights => self.weights = true,
            Change::Maintenance => self.maintenance = true,
        }
    }
}

impl Mirror {
    /// A copy of all that a machine shows.
    pub fn of(master: &Master) -> Self {
        let mut touched = Touched { weights: true, maintenance: true, ..Touched::default() };
        touched.frameworks.extend(master.frameworks.keys().cloned());
        touched.completed.extend(master.completed_frameworks.iter().map(|(id, _)| id.clone()));
        for framework in master.frameworks.values() {
            touched.tasks.extend(task_ids(framework).map(|task_id| (framework.id.clone(), task_id.clone())));
        }
        for agent in master.agents.values() {
            let owners = agent.executors.keys().map(|(owner, _)| (owner.clone(), agent.id.clone()));
            touched.executors.extend(owners);
        }
        touched.offers.extend(master.offers.keys().cloned());
        touched.agents.extend(master.agents.keys().cloned());
        touched.elsewhere.extend(master.recovered.keys().cloned());
        let away = master.unreachable.iter().chain(master.gone.iter());
        touched.elsewhere.extend(away.map(|(id, _)| id.clone()));
        let mut mirror = Self::default();
        mirror.look(master, &touched);
        mirror
    }

    /// Follows a machine that has asked for this.
    pub fn follow<'a>(&mut self, master: &Master, outputs: impl IntoIterator<Item = &'a Output>) {
        let mut touched = Touched::default();
        for output in outputs {
            if let Output::Changed(change) = output {
                touched.by(change);
            }
        }
        self.look(master, &touched);
    }

    fn look(&mut self, master: &Master, touched: &Touched) {
        for id in &touched.frameworks {
            let seen = master.frameworks.get(id).map(SeenFramework::of);
            if seen.is_none() {
                self.tasks.retain(|(owner, _), _| owner != id);
            }
            keep(&mut self.frameworks, id, seen);
        }
        for id in &touched.completed {
            let seen = master.completed_frameworks.get(id).map(|framework| {
                let tasks = task_ids(framework)
                    .filter_map(|task_id| Some((task_id.clone(), SeenTask::of(framework, task_id)?)));
                (SeenFramework::of(framework), tasks.collect())
            });
            keep(&mut self.completed, id, seen);
        }
        for key in &touched.tasks {
            let framework = master.frameworks.get(&key.0);
            let seen = framework.and_then(|framework| SeenTask::of(framework, &key.1));
            keep(&mut self.tasks, key, seen);
        }
        for key in &touched.executors {
            let agent = master.agents.get(&key.1);
            let all = agent.into_iter().flat_map(|agent| &agent.executors);
            let theirs = all.filter(|((owner, _), _)| *owner == key.0);
            let seen: Vec<_> = theirs.map(|(_, executor)| executor.info.clone()).collect();
            keep(&mut self.executors, key, (!seen.is_empty()).then_some(seen));
        }
        for id in &touched.offers {
            let seen = master.offers.get(id).map(|offer| {
                let (framework_id, agent_id) = (offer.framework_id.clone(), offer.agent_id.clone());
                (framework_id, agent_id, offer.role.clone(), offer.resources.clone(), offer.made_at)
            });
            keep(&mut self.offers, id, seen);
        }
        for id in &touched.agents {
            keep(&mut self.agents, id, SeenAgent::of(master, id));
        }
        for id in &touched.elsewhere {
            keep(&mut self.elsewhere, id, Elsewhere::of(master, id));
        }
        if touched.weights {
            self.weights = master.weights.clone();
        }
        if touched.maintenance {
            self.maintenance = master.maintenance.clone();
        }
    }
}

/// Keeps what was seen; nothing where there is nothing.
fn keep<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, key: &K, seen: Option<V>) {
    match seen {
        Some(seen) => map.insert(key.clone(), seen),
        None => map.remove(key),
    };
}

fn task_ids(framework: &Framework) -> impl Iterator<Item = &TaskId> {
    let unreachable = framework.unreachable.iter().map(|(task_id, _)| task_id);
    let completed = framework.completed.iter().map(|(task_id, _)| task_id);
    framework.tasks.keys().chain(unreachable).chain(completed)
}

impl SeenFramework {
    fn of(framework: &Framework) -> Self {
        let times = [framework.registered_at, framework.reregistered_at, framework.unregistered_at];
        Self {
            info: framework.info.clone(),
            pid: framework.pid.clone(),
            recovered: framework.recovered,
            times,
            suppressed: framework.suppressed.clone(),
        }
    }
}

impl SeenTask {
    fn of(framework: &Framework, task_id: &TaskId) -> Option<Self> {
        let live = framework.tasks.get(task_id).map(|record| (record.task.clone(), record.role.clone()));
        let unreachable = framework.unreachable.get(task_id);
        let unreachable = unreachable.map(|record| (record.task.clone(), record.unreachable_since));
        let completed = framework.completed.get(task_id).cloned();
        let anywhere = live.is_some() || unreachable.is_some() || completed.is_some();
        anywhere.then_some(Self { live, unreachable, completed })
    }
}

impl SeenAgent {
    fn of(master: &Master, id: &AgentId) -> Option<Self> {
        let agent = master.agents.get(id)?;
        Some(Self {
            info: agent.info.clone(),
            pid: agent.pid.clone(),
            version: agent.version.clone(),
            connected: agent.connected,
            active: agent.active(),
            deactivated: agent.deactivated,
            draining: agent.draining.clone(),
            times: [Some(agent.registered_at), agent.reregistered_at],
            used: agent.used.clone(),
            offered: agent.offered.clone(),
            orphans: agent.orphans.keys().cloned().collect(),
        })
    }
}

impl Elsewhere {
    fn of(master: &Master, id: &AgentId) -> Option<Self> {
        let recovered = master.recovered.get(id).cloned();
        let unreachable = master.unreachable.get(id).copied();
        let gone = master.gone.get(id).copied();
        let anywhere = recovered.is_some() || unreachable.is_some() || gone.is_some();
        anywhere.then_some(Self { recovered, unreachable, gone })
    }
}
