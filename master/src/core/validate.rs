//! What a call must satisfy, given what the master knows. Each refusal is a sentence that a user can act on.

use std::collections::BTreeSet;

use protocol::messages::AgentCall;
use protocol::{
    AgentInfo, ExecutorInfo, FrameworkId, FrameworkInfo, Resources, Role, Task, TaskInfo, TaskState,
};

use super::agents::Agent;
use super::frameworks::Framework;

/// What a task takes out of the offers that it uses.
#[derive(Debug)]
pub(super) struct Fit {
    /// For itself.
    pub(super) task: Resources,
    /// For its executor, if that is a custom one that does not run yet.
    pub(super) executor: Option<Resources>,
}

/// A subscription, as far as it can be judged without knowing the framework.
pub(super) fn subscription(
    claimed: Option<&FrameworkId>,
    info: &FrameworkInfo,
    suppressed: &BTreeSet<Role>,
) -> Result<(), String> {
    if let Some(claimed) = claimed
        && info.id.as_ref() != Some(claimed)
    {
        return Err("'Call.framework_id' differs from 'FrameworkInfo.id'".to_owned());
    }
    let framework = protocol::validate::framework(info);
    framework.and_then(|()| protocol::validate::roles_of(info, suppressed)).map_err(|invalid| invalid.0)
}

/// A task that is to be launched with what is left of some offers (M-E-11), by a framework that may have `most`.
pub(super) fn task(
    framework: &Framework,
    agent: &Agent,
    task: &TaskInfo,
    left: &Resources,
    role: &Role,
    most: usize,
) -> Result<Fit, String> {
    protocol::validate::task(task).map_err(|invalid| invalid.0)?;
    if framework.tasks.contains_key(&task.task_id) || framework.unreachable.contains_key(&task.task_id) {
        return Err(format!("Task has duplicate ID: {}", task.task_id));
    }
    if framework.tasks.len() >= most {
        return Err(format!(
            "The framework has {most} tasks whose end it has not acknowledged: that is the most"
        ));
    }
    if task.agent_id != agent.id {
        return Err(format!(
            "Task uses invalid agent {} while agent {} is expected",
            task.agent_id, agent.id
        ));
    }
    let Some(found) = left.find(&task.resources, role) else {
        return Err(format!("Task uses more resources {} than available {left}", task.resources));
    };
    let executor = match &task.executor {
        Some(wanted) => executor(framework, agent, task, wanted, &(left.clone() - found.clone()), role)?,
        None => None,
    };
    Ok(Fit { task: found, executor })
}

/// The executor of a task: one that runs already must be the same; a new one takes its own resources.
fn executor(
    framework: &Framework,
    agent: &Agent,
    task: &TaskInfo,
    wanted: &ExecutorInfo,
    left: &Resources,
    role: &Role,
) -> Result<Option<Resources>, String> {
    if wanted.framework_id.as_ref().is_some_and(|id| *id != framework.id) {
        return Err("ExecutorInfo has an invalid FrameworkID".to_owned());
    }
    let key = (framework.id.clone(), wanted.executor_id.clone());
    if let Some(running) = agent.executors.get(&key) {
        if same_executor(&running.info, wanted) {
            return Ok(None);
        }
        return Err(format!(
            "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID '{}'",
            wanted.executor_id
        ));
    }
    left.find(&wanted.resources, role).map(Some).ok_or_else(|| {
        let total = task.resources.clone() + wanted.resources.clone();
        format!("Total resources {total} required by task and its executor is more than available")
    })
}

/// Whether two infos describe one executor. Which reservations its resources came out of does not matter.
fn same_executor(running: &ExecutorInfo, wanted: &ExecutorInfo) -> bool {
    let amounts = |info: &ExecutorInfo| {
        info.resources
            .iter()
            .map(|resource| protocol::Resource { reservations: Vec::new(), ..resource.clone() })
            .collect::<Resources>()
    };
    let plain = |info: &ExecutorInfo| ExecutorInfo {
        framework_id: None,
        resources: Resources::new(),
        ..info.clone()
    };
    plain(running) == plain(wanted) && amounts(running) == amounts(wanted)
}

/// An agent that registers.
pub(super) fn agent(info: &AgentInfo) -> Result<(), String> {
    if info.hostname.is_empty() {
        return Err("'AgentInfo.hostname' must not be empty".to_owned());
    }
    info.id.as_ref().map_or(Ok(()), protocol::validate::agent_id).map_err(|invalid| invalid.0)
}

/// What an agent says of a task: states that a task can be in where it runs, and nothing after its end. An agent that
/// said otherwise would have resources freed twice.
pub(super) fn report(told: TaskState, latest: TaskState) -> Result<(), String> {
    let of_agents = |state| !matches!(state, TaskState::Unreachable | TaskState::Unknown);
    if !of_agents(told) || !of_agents(latest) {
        return Err(format!("{told} with {latest} as the newest state: an agent can't know that"));
    }
    if told.is_terminal() && told != latest {
        return Err(format!("{latest} can't follow {told}"));
    }
    Ok(())
}

/// What a returning agent says of itself, beside what it is known to run: nothing can use more than there is.
pub(super) fn fits<'a>(
    total: &Resources,
    tasks: impl Iterator<Item = &'a Task>,
    executors: impl Iterator<Item = &'a ExecutorInfo>,
) -> Result<(), String> {
    let mut used = Resources::new();
    for task in tasks.filter(|task| !task.state.is_terminal()) {
        used += &task.resources;
    }
    for executor in executors {
        used += &executor.resources;
    }
    if total.contains(&used) {
        return Ok(());
    }
    Err(format!("the agent offers {total} in all, but its tasks and executors use {used}"))
}

/// The name of a call, for logs.
pub(super) fn name_of(call: &AgentCall) -> &'static str {
    match call {
        AgentCall::Register { .. } => "Register",
        AgentCall::Reregister { .. } => "Reregister",
        AgentCall::Pong => "Pong",
        AgentCall::Update(_) => "Update",
        AgentCall::Message { .. } => "Message",
        AgentCall::ExecutorExited { .. } => "ExecutorExited",
        AgentCall::Unregister => "Unregister",
    }
}
