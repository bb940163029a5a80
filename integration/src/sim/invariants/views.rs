//! Once all is calm, framework, master, agent and processes tell the same story.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{AgentId, FrameworkId, TaskId, TaskState};

use super::Invariant;
use crate::sim::agent::AgentHost;
use crate::sim::{Cluster, Phase};

/// The agreement of all views.
#[derive(Debug, Default)]
pub struct Views;

type Tasks = BTreeMap<(FrameworkId, TaskId), TaskState>;

impl Invariant for Views {
    fn converged(&self, cluster: &Cluster) {
        agents_are_registered(cluster);
        frameworks_are_subscribed(cluster);
        let agents = on_agents(cluster);
        let masters = at_master(cluster);
        let running = processes(cluster, &agents);
        tasks_agree(cluster, &masters, &agents, &running);
        resources_agree(cluster);
        if cluster.phase() == Phase::Ended {
            nothing_lives(cluster, &masters, &agents, &running);
        }
    }
}

fn agents_are_registered(cluster: &Cluster) {
    let master = cluster.master().expect("the master lives");
    for (pid, agent) in cluster.agents() {
        assert_eq!(agent.machine().phase(), agent::core::Phase::Running, "{pid} is registered, it thinks");
        let known = master.agents().into_iter().find(|known| known.pid.as_ref() == Some(pid));
        let known = known.unwrap_or_else(|| panic!("the master knows {pid}"));
        assert_eq!(Some(&known.id), agent.machine().id(), "{pid} has one id");
        assert!(known.active, "{pid} is active");
    }
}

fn frameworks_are_subscribed(cluster: &Cluster) {
    for (pid, framework) in cluster.frameworks() {
        let framework = framework.unwrap_or_else(|| panic!("{pid} lives"));
        assert!(framework.session().master().is_some(), "{pid} is subscribed");
    }
}

fn on_agents(cluster: &Cluster) -> Tasks {
    let mut tasks = Tasks::new();
    for (pid, host) in cluster.agents() {
        for (framework_id, framework) in host.machine().frameworks() {
            for (task_id, task) in framework.tasks.iter().filter(|(_, task)| !task.state.is_terminal()) {
                let other = tasks.insert((framework_id.clone(), task_id.clone()), task.state);
                assert!(other.is_none(), "{task_id} is on {pid} and on another agent");
            }
        }
    }
    tasks
}

fn at_master(cluster: &Cluster) -> Tasks {
    let master = cluster.master().expect("the master lives");
    let live = |state: TaskState| !state.is_terminal() && state != TaskState::Unreachable;
    let tasks = master.tasks().into_iter().filter(|task| live(task.state));
    tasks.map(|task| ((task.framework_id, task.task_id), task.state)).collect()
}

/// Every executor's process belongs to an agent that knows it, and every task in one is known to that agent.
fn processes(cluster: &Cluster, agents: &Tasks) -> BTreeSet<(FrameworkId, TaskId)> {
    let mut running = BTreeSet::new();
    for (pid, executor) in cluster.executors() {
        let config = executor.config();
        let host: Option<&AgentHost> = cluster.world().host(&config.agent);
        let host = host.unwrap_or_else(|| panic!("{pid} has outlived its agent"));
        let run = host
            .machine()
            .frameworks()
            .get(&config.framework_id)
            .and_then(|framework| framework.executors.get(&config.executor_id))
            .filter(|run| run.container_id == config.container_id);
        let Some(run) = run else { panic!("{pid} ({}) is an orphan", config.executor_id) };
        assert!(!run.command_executor || executor.tasks().count() == 1, "{pid} has nothing to do");
        for task_id in executor.tasks() {
            let key = (config.framework_id.clone(), task_id.clone());
            assert!(agents.contains_key(&key), "{task_id} runs in {pid} and its agent does not know");
            assert!(running.insert(key), "{task_id} runs twice");
        }
    }
    running
}

fn tasks_agree(
    cluster: &Cluster,
    masters: &Tasks,
    agents: &Tasks,
    running: &BTreeSet<(FrameworkId, TaskId)>,
) {
    for (key, state) in agents {
        assert!(running.contains(key), "{} is {state} on its agent and has no process", key.1);
        assert_eq!(masters.get(key), Some(state), "{} is {state} on its agent", key.1);
    }
    for (key, state) in masters {
        assert_eq!(agents.get(key), Some(state), "{} is {state} at the master", key.1);
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
            assert!(agrees, "{task_id} is {} to its framework and {truth:?} to the master", known.state);
        }
    }
}

fn resources_agree(cluster: &Cluster) {
    let master = cluster.master().expect("the master lives");
    let known = master.agents();
    for (pid, agent) in cluster.agents() {
        let at_master = known.iter().find(|known| known.pid.as_ref() == Some(pid)).expect("it is registered");
        let used = agent.machine().used_resources();
        assert_eq!(at_master.used, used, "{pid} uses what the master thinks: {} and {used}", at_master.used);
    }
}

/// All was killed: only custom executors may live, idle.
fn nothing_lives(
    cluster: &Cluster,
    masters: &Tasks,
    agents: &Tasks,
    running: &BTreeSet<(FrameworkId, TaskId)>,
) {
    let current = |key: &&(FrameworkId, TaskId)| cluster.is_current(&key.0);
    assert_eq!(masters.keys().find(current), None, "nothing lives at the master");
    assert_eq!(agents.keys().find(current), None, "nothing lives on an agent");
    assert_eq!(running.iter().find(current), None, "nothing runs");
    for (pid, agent) in cluster.agents() {
        let machine = agent.machine();
        let all_current = machine.frameworks().keys().all(|id| cluster.is_current(id));
        let updates = machine.pending_updates();
        assert!(updates == 0 || !all_current, "{pid} has {updates} updates that nobody has acknowledged");
    }
}
