//! Once all is calm, framework, master, agent and processes tell the same story.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{AgentId, FrameworkId, TaskId, TaskState};

use super::{Invariant, ensure};
use crate::sim::agent::AgentHost;
use crate::sim::master::MasterHost;
use crate::sim::{Cluster, Phase};

/// The agreement of all views.
#[derive(Debug, Default)]
pub struct Views;

type Tasks = BTreeMap<(FrameworkId, TaskId), TaskState>;

impl Invariant for Views {
    fn converged(&self, cluster: &Cluster) -> Result<(), String> {
        let master = cluster.master().ok_or("one master leads")?;
        agents_are_registered(cluster, master)?;
        frameworks_are_subscribed(cluster)?;
        let agents = on_agents(cluster)?;
        let masters = at_master(master);
        let running = processes(cluster, &agents)?;
        tasks_agree(cluster, &masters, &agents, &running)?;
        resources_agree(cluster, master)?;
        if cluster.phase() == Phase::Ended {
            nothing_lives(cluster, &masters, &agents, &running)?;
        }
        Ok(())
    }
}

type Held = Result<(), String>;

fn agents_are_registered(cluster: &Cluster, master: &MasterHost) -> Held {
    let registry = cluster.registry().ok_or("there is a registry")?;
    for (pid, agent) in cluster.agents() {
        ensure!(agent.machine().phase() == agent::core::Phase::Running, "{pid} is registered, it thinks");
        let known = master.agents().into_iter().find(|known| known.pid.as_ref() == Some(pid));
        let known = known.ok_or_else(|| format!("the master knows {pid}"))?;
        ensure!(Some(&known.id) == agent.machine().id(), "{pid} has one id");
        let wish = registry.admitted.get(&known.id).map(|agent| &agent.wish);
        let deactivated = wish.is_some_and(|wish| wish.deactivated);
        ensure!(known.active != deactivated, "{pid} is active as far as nobody wishes otherwise");
    }
    Ok(())
}

fn frameworks_are_subscribed(cluster: &Cluster) -> Held {
    for (pid, framework) in cluster.frameworks() {
        let framework = framework.ok_or_else(|| format!("{pid} lives"))?;
        ensure!(framework.session().master().is_some(), "{pid} is subscribed");
    }
    Ok(())
}

fn on_agents(cluster: &Cluster) -> Result<Tasks, String> {
    let mut tasks = Tasks::new();
    for (pid, host) in cluster.agents() {
        for (framework_id, framework) in host.machine().frameworks() {
            for (task_id, task) in framework.tasks.iter().filter(|(_, task)| !task.state.is_terminal()) {
                let other = tasks.insert((framework_id.clone(), task_id.clone()), task.state);
                ensure!(other.is_none(), "{task_id} is on {pid} and on another agent");
            }
        }
    }
    Ok(tasks)
}

fn at_master(master: &MasterHost) -> Tasks {
    let live = |state: TaskState| !state.is_terminal() && state != TaskState::Unreachable;
    let tasks = master.tasks().into_iter().filter(|task| live(task.state));
    tasks.map(|task| ((task.framework_id, task.task_id), task.state)).collect()
}

/// Every executor's process belongs to an agent that knows it, and every task in one is known to that agent.
fn processes(cluster: &Cluster, agents: &Tasks) -> Result<BTreeSet<(FrameworkId, TaskId)>, String> {
    let mut running = BTreeSet::new();
    for (pid, executor) in cluster.executors() {
        let config = executor.config();
        let host: Option<&AgentHost> = cluster.world().host(&config.agent);
        let host = host.ok_or_else(|| format!("{pid} has outlived its agent"))?;
        let run = host
            .machine()
            .frameworks()
            .get(&config.framework_id)
            .and_then(|framework| framework.executors.get(&config.executor_id))
            .filter(|run| run.container_id == config.container_id);
        let run = run.ok_or_else(|| format!("{pid} ({}) is an orphan", config.executor_id))?;
        ensure!(!run.command_executor || executor.tasks().count() == 1, "{pid} has nothing to do");
        for task_id in executor.tasks() {
            let key = (config.framework_id.clone(), task_id.clone());
            ensure!(agents.contains_key(&key), "{task_id} runs in {pid} and its agent does not know");
            ensure!(running.insert(key), "{task_id} runs twice");
        }
    }
    Ok(running)
}

fn tasks_agree(
    cluster: &Cluster,
    masters: &Tasks,
    agents: &Tasks,
    running: &BTreeSet<(FrameworkId, TaskId)>,
) -> Held {
    for (key, state) in agents {
        ensure!(running.contains(key), "{} is {state} on its agent and has no process", key.1);
        ensure!(masters.get(key) == Some(state), "{} is {state} on its agent", key.1);
    }
    for (key, state) in masters {
        ensure!(agents.get(key) == Some(state), "{} is {state} at the master", key.1);
    }
    let living: BTreeSet<AgentId> =
        cluster.agents().filter_map(|(_, agent)| agent.machine().id().cloned()).collect();
    for memory in cluster.memories() {
        for (task_id, known) in &memory.borrow().tasks {
            if memory.borrow().id.as_ref() != Some(&known.framework_id) {
                continue;
            }
            let key = (known.framework_id.clone(), task_id.clone());
            let truth = masters.get(&key);
            let beyond = matches!(known.state, TaskState::Unreachable | TaskState::Unknown)
                && !living.contains(&known.agent_id);
            let agrees = match truth {
                Some(state) => known.state == *state,
                None => known.state.is_terminal() || beyond,
            };
            ensure!(agrees, "{task_id} is {} to its framework and {truth:?} to the master", known.state);
        }
    }
    Ok(())
}

fn resources_agree(cluster: &Cluster, master: &MasterHost) -> Held {
    let known = master.agents();
    for (pid, agent) in cluster.agents() {
        let at_master = known.iter().find(|known| known.pid.as_ref() == Some(pid));
        let at_master = at_master.ok_or_else(|| format!("the master knows {pid}"))?;
        let used = agent.machine().used_resources();
        ensure!(at_master.used == used, "{pid} uses what the master thinks: {} and {used}", at_master.used);
    }
    Ok(())
}

/// All was killed: only custom executors may live, idle.
fn nothing_lives(
    cluster: &Cluster,
    masters: &Tasks,
    agents: &Tasks,
    running: &BTreeSet<(FrameworkId, TaskId)>,
) -> Held {
    let current = |key: &&(FrameworkId, TaskId)| cluster.is_current(&key.0);
    let left = masters.keys().find(current);
    ensure!(left.is_none(), "{left:?} lives at the master");
    let left = agents.keys().find(current);
    ensure!(left.is_none(), "{left:?} lives on an agent");
    let left = running.iter().find(current);
    ensure!(left.is_none(), "{left:?} runs");
    for (pid, agent) in cluster.agents() {
        let machine = agent.machine();
        let all_current = machine.frameworks().keys().all(|id| cluster.is_current(id));
        let updates = machine.pending_updates();
        ensure!(updates == 0 || !all_current, "{pid} has {updates} updates that nobody has acknowledged");
    }
    Ok(())
}
