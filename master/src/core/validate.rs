//! What a call must satisfy, given what the master knows. Each refusal is a sentence that a user can act on.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use protocol::limits::MAX_ID_BYTES;
use protocol::messages::AgentCall;
use protocol::resources::{Reservation, ReservationKind};
use protocol::{
    AgentInfo, ExecutorInfo, FrameworkId, FrameworkInfo, Resource, Resources, Role, Scalar, TaskInfo,
    TaskState,
};

use super::agents::Agent;
use super::frameworks::Framework;
use super::limits::{MIN_GROUP_CPUS, MIN_GROUP_MEM};

/// The refusal of another principal. Source: Mesos.
pub(super) const PRINCIPAL: &str = "Changing framework's principal is not allowed.";

/// What a task takes out of the offers that it uses.
#[derive(Debug)]
pub(super) struct Fit {
    /// For itself.
    pub(super) task: Resources,
    /// For its executor, if that is a custom one that does not run yet.
    pub(super) executor: Option<Resources>,
}

/// What is left of some offers of one agent and one role, and who uses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Who.
    pub(super) framework: &'a Framework,
    /// Where.
    pub(super) agent: &'a Agent,
    /// For which role.
    pub(super) role: &'a Role,
    /// What.
    pub(super) left: &'a Resources,
    /// Most tasks that the framework may have.
    pub(super) most: usize,
}

/// A subscription, as far as it can be judged without knowing the framework.
pub(super) fn subscription(claimed: Option<&FrameworkId>, info: &FrameworkInfo) -> Result<(), String> {
    if let Some(claimed) = claimed
        && info.id.as_ref() != Some(claimed)
    {
        return Err("'framework_id' differs from 'subscribe.framework_info.id'".to_owned());
    }
    protocol::validate::framework(info).map_err(|invalid| invalid.0)
}

/// Suppressed roles: each of them one of the framework's.
pub(super) fn suppressed(info: &FrameworkInfo, suppressed: &BTreeSet<Role>) -> Result<(), String> {
    let foreign: Vec<&str> = suppressed.difference(&info.roles).map(Role::as_str).collect();
    if foreign.is_empty() {
        return Ok(());
    }
    Err(format!("Suppressed roles {{ {} }} are not contained in the set of roles", foreign.join(", ")))
}

/// How a framework may not describe itself anew.
pub(super) fn update(old: &FrameworkInfo, new: &FrameworkInfo) -> Result<(), String> {
    let unsupported = |what: &str, old: &dyn Display, new: &dyn Display| {
        Err(format!(
            "Updating 'FrameworkInfo.{what}' is unsupported; attempted to update from '{old}' to '{new}'"
        ))
    };
    if old.principal != new.principal {
        return Err(PRINCIPAL.to_owned());
    }
    if old.user != new.user {
        return unsupported("user", &old.user, &new.user);
    }
    if old.checkpoint != new.checkpoint {
        return unsupported("checkpoint", &old.checkpoint, &new.checkpoint);
    }
    Ok(())
}

/// As much of an identity as a refusal repeats: one that is longer is none, and the refusal may go to many tasks.
pub(super) fn brief(id: &str) -> &str {
    let end = id.char_indices().nth(MAX_ID_BYTES).map(|(end, _)| end);
    end.and_then(|end| id.get(..end)).unwrap_or(id)
}

/// A task that is to be launched by itself (M-E-11).
pub(super) fn task(place: Place<'_>, task: &TaskInfo) -> Result<Fit, String> {
    common(place, task)?;
    protocol::validate::task(task).map_err(|invalid| invalid.0)?;
    let starting = match &task.executor {
        Some(wanted) if executor(place, wanted)? => Some(wanted),
        _ => None,
    };
    let Place { left, role, .. } = place;
    let found = left.find(&task.resources, role).and_then(|found| {
        let rest = left.clone() - found.clone();
        let own = starting.map(|starting| rest.find(&starting.resources, role));
        match own {
            Some(None) => None,
            Some(own) => Some(Fit { task: found, executor: own }),
            None => Some(Fit { task: found, executor: None }),
        }
    });
    found.ok_or_else(|| {
        let mut total = task.resources.clone();
        if let Some(starting) = starting {
            total += &starting.resources;
        }
        let (total, left) = (Allocated(&total, role), Allocated(left, role));
        format!("Total resources {total} required by task and its executor is more than available {left}")
    })
}

/// What holds for a task however it is launched, beside what it is in itself.
fn common(place: Place<'_>, task: &TaskInfo) -> Result<(), String> {
    let Place { framework, agent, role, most, .. } = place;
    if let Some(problem) = &task.problem {
        return Err(problem.clone());
    }
    if framework.tasks.contains_key(&task.task_id) {
        return Err(format!("Task has duplicate ID: {}", task.task_id));
    }
    if framework.unreachable.contains_key(&task.task_id) {
        return Err(format!("Task reuses the ID of an unreachable task: {}", task.task_id));
    }
    if framework.tasks.len() >= most {
        return Err(format!(
            "The framework has {most} tasks whose end it has not acknowledged: that is the most"
        ));
    }
    if task.agent_id != agent.id {
        return Err(format!(
            "Task uses invalid agent {} while agent {} is expected",
            brief(task.agent_id.as_str()),
            agent.id
        ));
    }
    if let Some(other) = task.allocated_to.as_ref().filter(|other| *other != role) {
        let other = brief(other.as_str());
        return Err(format!(
            "Invalid task resources: The resources have multiple allocation roles ('{role}' and '{other}') but \
             only one allocation role is allowed"
        ));
    }
    Ok(())
}

/// The executor of a task: one that runs already must be the same. Says whether it is to be started.
pub(super) fn executor(place: Place<'_>, wanted: &ExecutorInfo) -> Result<bool, String> {
    let Place { framework, agent, .. } = place;
    if let Some(id) = wanted.framework_id.as_ref().filter(|id| **id != framework.id) {
        return Err(format!(
            "ExecutorInfo has an invalid FrameworkID (Actual: {id} vs Expected: {})",
            framework.id
        ));
    }
    let key = (framework.id.clone(), wanted.executor_id.clone());
    match agent.executors.get(&key) {
        None => Ok(true),
        Some(running) if same_executor(&running.info, wanted) => Ok(false),
        Some(_) => Err(format!(
            "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID '{}'",
            wanted.executor_id
        )),
    }
}

/// What a group of tasks takes out of the offers that it uses: all of it, or nothing.
#[derive(Debug)]
pub(super) struct GroupFit {
    /// For the tasks, in order.
    pub(super) tasks: Vec<Resources>,
    /// For the executor, if it does not run yet.
    pub(super) executor: Option<Resources>,
}

/// Tasks that are to be launched together (M-E-12).
pub(super) fn group(place: Place<'_>, wanted: &ExecutorInfo, tasks: &[TaskInfo]) -> Result<GroupFit, String> {
    let room = place.most.saturating_sub(place.framework.tasks.len());
    if tasks.len() > room {
        return Err(format!("The framework may have {room} more tasks, not {}", tasks.len()));
    }
    protocol::validate::group(wanted, tasks).map_err(|invalid| invalid.0)?;
    protocol::validate::executor(wanted).map_err(|invalid| invalid.0)?;
    let mut named = BTreeSet::new();
    for task in tasks {
        let invalid = |why: String| format!("Task '{}' is invalid: {why}", brief(task.task_id.as_str()));
        common(place, task).map_err(invalid)?;
        if !named.insert(&task.task_id) {
            return Err(invalid(format!("Task has duplicate ID: {}", task.task_id)));
        }
        // It runs by its command, or as its executor sees fit.
        protocol::validate::member(task, wanted).map_err(|why| invalid(why.0))?;
        if task.executor.as_ref().is_some_and(|own| !same_executor(own, wanted)) {
            return Err(format!(
                "The `ExecutorInfo` of task '{}' is different from executor '{}'",
                task.task_id, wanted.executor_id
            ));
        }
    }
    let start = executor(place, wanted)?;
    enough_for_groups(wanted)?;
    let Place { left, role, .. } = place;
    let mut rest = left.clone();
    let mut take = |wanted: &Resources| {
        let found = rest.find(wanted, role)?;
        rest -= &found;
        Some(found)
    };
    let for_tasks: Option<Vec<_>> = tasks.iter().map(|task| take(&task.resources)).collect();
    let for_executor = start.then(|| take(&wanted.resources));
    match (for_tasks, for_executor) {
        (Some(tasks), None) => Ok(GroupFit { tasks, executor: None }),
        (Some(tasks), Some(Some(executor))) => Ok(GroupFit { tasks, executor: Some(executor) }),
        (None, _) | (Some(_), Some(None)) => {
            let mut total: Resources = tasks.iter().map(|task| &task.resources).sum();
            if start {
                total += &wanted.resources;
            }
            let (total, left) = (Allocated(&total, role), Allocated(left, role));
            Err(format!(
                "Total resources {total} required by task group and its executor are more than available {left}"
            ))
        }
    }
}

/// The executor of a group can't do with less. Source: Mesos.
fn enough_for_groups(wanted: &ExecutorInfo) -> Result<(), String> {
    let id = &wanted.executor_id;
    let given = |name: &str, unit: &str| {
        let amount = wanted.resources.scalar(name);
        let text = if amount == Scalar::default() { "None".to_owned() } else { format!("{amount}{unit}") };
        (amount, text)
    };
    let (cpus, text) = given("cpus", "");
    if cpus < MIN_GROUP_CPUS {
        return Err(format!(
            "Executor '{id}' uses less CPUs ({text}) than the minimum required ({MIN_GROUP_CPUS})"
        ));
    }
    let (mem, text) = given("mem", "MB");
    if mem < MIN_GROUP_MEM {
        return Err(format!(
            "Executor '{id}' uses less memory ({text}) than the minimum required ({MIN_GROUP_MEM}MB)"
        ));
    }
    if given("disk", "").0 == Scalar::default() {
        return Err(format!("Executor '{id}' uses no disk"));
    }
    Ok(())
}

/// Resources in the words of Mesos, with the role that they are allocated to.
struct Allocated<'a>(&'a Resources, &'a Role);

impl Display for Allocated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(resources, role) = self;
        if resources.is_empty() {
            return f.write_str("{}");
        }
        for (index, resource) in resources.iter().enumerate() {
            let between = if index > 0 { "; " } else { "" };
            write!(f, "{between}{}(allocated: {role})", resource.name)?;
            if !resource.reservations.is_empty() {
                let one = |reservation: &Reservation| {
                    let kind = match reservation.kind {
                        ReservationKind::Static => "STATIC",
                        ReservationKind::Dynamic => "DYNAMIC",
                    };
                    let principal = reservation.principal.iter().map(|principal| format!(",{principal}"));
                    format!("({kind},{}{})", reservation.role, principal.collect::<String>())
                };
                let all: Vec<_> = resource.reservations.iter().map(one).collect();
                write!(f, "(reservations: [{}])", all.join(","))?;
            }
            let plain = Resource { reservations: Vec::new(), revocable: false, ..resource.clone() };
            let plain = Resources::from(plain).to_string();
            let value = plain.strip_prefix(&*resource.name).unwrap_or(&plain);
            write!(f, "{}{value}", if resource.revocable { "{REV}" } else { "" })?;
        }
        Ok(())
    }
}

/// Whether two infos describe one executor. Which reservations its resources came out of does not matter.
fn same_executor(running: &ExecutorInfo, wanted: &ExecutorInfo) -> bool {
    let amounts = |info: &ExecutorInfo| {
        info.resources
            .iter()
            .map(|resource| protocol::Resource { reservations: Vec::new(), ..resource.clone() })
            .collect::<Resources>()
    };
    let ExecutorInfo {
        executor_id,
        framework_id: _,
        command,
        resources: _,
        name,
        data,
        shutdown_grace_period,
        labels,
        unread,
    } = running;
    *executor_id == wanted.executor_id
        && *command == wanted.command
        && *name == wanted.name
        && *data == wanted.data
        && *shutdown_grace_period == wanted.shutdown_grace_period
        && *labels == wanted.labels
        && *unread == wanted.unread
        && amounts(running) == amounts(wanted)
}

/// An agent that registers.
pub(super) fn agent(info: &AgentInfo) -> Result<(), String> {
    protocol::validate::agent(info).map_err(|invalid| invalid.0)
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
        AgentCall::UpdateResources { .. } => "UpdateResources",
    }
}
