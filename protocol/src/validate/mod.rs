//! What one value must satisfy, whoever sends it. What needs the state of a cluster is the master's to judge.
//!
//! Each refusal is a sentence that says what to change; it goes to frameworks as the message of a TASK_ERROR or of
//! an Error event. Source: Mesos `src/common/validation.cpp`, `src/master/validation.cpp`.

mod container;
#[cfg(test)]
mod tests;
mod unsupported;
mod weight;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::AgentInfo;
use crate::limits::{MAX_DURATION_NANOS, MAX_ID_BYTES, MAX_NAMED, MAX_ROLES, MAX_TASKS_IN_GROUP};
use crate::resources::{Resource, Value};
use crate::wire::{convert, v1};
use crate::{
    AgentId, Capability, Command, CommandInfo, ContainerId, ExecutorId, ExecutorInfo, FrameworkId,
    FrameworkInfo, OfferId, Resources, Role, TaskId, TaskInfo, Uri,
};

/// Why a value was refused; says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    /// Says where the value that was refused stands: `<place>: <why>`.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

fn refuse<T>(why: String) -> Result<T, Invalid> {
    Err(Invalid(why))
}

/// As much of a text as a message should hold.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

/// An identity: not empty, at most [`MAX_ID_BYTES`], no slash of either kind, no control character, not `.` or `..`.
/// It becomes the name of a directory. `noun` says whose it is in the message, such as `task`.
///
/// # Errors
/// Says which rule is broken.
pub fn id(noun: &str, text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return refuse(format!("The {noun} id is empty"));
    }
    if text.len() > MAX_ID_BYTES {
        return refuse(format!("The {noun} id '{}...' is longer than {MAX_ID_BYTES} bytes", shown(text)));
    }
    if matches!(text, "." | "..") {
        return refuse(format!("The {noun} id can't be '{text}'"));
    }
    if let Some(bad) = text.chars().find(|c| matches!(c, '/' | '\\') || c.is_control()) {
        let bad = bad.escape_debug();
        return refuse(format!("The {noun} id '{}' must not contain '{bad}'", shown(text)));
    }
    Ok(())
}

/// See [`id`].
///
/// # Errors
/// As [`id`].
pub fn task_id(task_id: &TaskId) -> Result<(), Invalid> {
    id("task", task_id.as_str())
}

/// See [`id`].
///
/// # Errors
/// As [`id`].
pub fn executor_id(executor_id: &ExecutorId) -> Result<(), Invalid> {
    id("executor", executor_id.as_str())
}

/// See [`id`].
///
/// # Errors
/// As [`id`].
pub fn framework_id(framework_id: &FrameworkId) -> Result<(), Invalid> {
    id("framework", framework_id.as_str())
}

/// See [`id`].
///
/// # Errors
/// As [`id`].
pub fn agent_id(agent_id: &AgentId) -> Result<(), Invalid> {
    id("agent", agent_id.as_str())
}

/// See [`id`].
///
/// # Errors
/// As [`id`].
pub fn offer_id(offer_id: &OfferId) -> Result<(), Invalid> {
    id("offer", offer_id.as_str())
}

/// See [`id`].
///
/// # Errors
/// As [`id`].
pub fn container_id(container_id: &ContainerId) -> Result<(), Invalid> {
    id("container", container_id.as_str())
}

/// A role: `*`, or parts joined by `/`, none of them empty, `.`, `..`, `*`, or beginning with `-`.
///
/// # Errors
/// Says what is wrong, in Mesos's words where it has some.
pub fn role(role: &Role) -> Result<(), Invalid> {
    if role.is_default() {
        return Ok(());
    }
    let text = role.as_str();
    if text.is_empty() {
        return refuse("Role names cannot be the empty string".into());
    }
    if text.len() > MAX_ID_BYTES {
        return refuse(format!("Role '{}...' is longer than {MAX_ID_BYTES} bytes", shown(text)));
    }
    let whole = |why: &str| refuse(format!("Role '{}' cannot {why}", shown(text)));
    if text.starts_with('/') {
        return whole("start with a slash");
    }
    if text.ends_with('/') {
        return whole("end with a slash");
    }
    if text.contains("//") {
        return whole("contain two adjacent slashes");
    }
    for part in text.split('/') {
        if matches!(part, "." | ".." | "*") {
            return whole(&format!("include '{part}' as a component"));
        }
        let why = if part.starts_with('-') {
            "it starts with a dash".into()
        } else if part.contains(['\t', '\n', '\x0b', '\x0c', '\r', ' ', '\x7f']) {
            "it contains backspace or whitespace".into()
        } else if let Some(bad) =
            part.chars().find(|c| c.is_whitespace() || c.is_control() || "\\()".contains(*c))
        {
            format!("it contains '{}'", bad.escape_debug())
        } else {
            continue;
        };
        return refuse(format!("Role component '{}' is invalid because {why}", shown(part)));
    }
    Ok(())
}

/// Each of them a [`role`].
///
/// # Errors
/// The first that is wrong.
pub fn roles<'a>(roles: impl IntoIterator<Item = &'a Role>) -> Result<(), Invalid> {
    roles.into_iter().try_for_each(role)
}

/// Resources of a task or an executor together: GPUs whole, one kind of value a name, no name both revocable and
/// not, reservations in valid roles. That there are any is [`task`]'s to ask.
///
/// # Errors
/// Says which resource is wrong.
pub fn resources(resources: &Resources) -> Result<(), Invalid> {
    let mut first_of: BTreeMap<&str, &Resource> = BTreeMap::new();
    for resource in resources {
        let name = &*resource.name;
        crate::resources::name::check(name)
            .map_err(|why| Invalid(format!("A resource is invalid: {why}")))?;
        for reservation in &resource.reservations {
            role(&reservation.role)
                .map_err(|why| why.within(&format!("The resource '{name}' is invalid")))?;
        }
        if let ("gpus", Value::Scalar(scalar)) = (name, &resource.value)
            && !scalar.millis().is_multiple_of(1000)
        {
            return refuse(format!("GPUs can't be shared: 'gpus' must be a whole number, not {scalar}"));
        }
        let first = first_of.entry(name).or_insert(resource);
        if first.value.kind() != resource.value.kind() {
            return refuse(format!("The resource '{name}' is given with two kinds of values"));
        }
        if first.revocable != resource.revocable {
            return refuse(format!(
                "The resource '{name}' is given both revocable and non-revocable: use one"
            ));
        }
    }
    Ok(())
}

/// A command: something to execute; no NUL anywhere, since the kernel takes none; names of variables not empty and
/// without `=`; what is fetched lands within the sandbox. An empty shell text is legal: it does nothing, well.
///
/// # Errors
/// Says which part is wrong.
pub fn command(command: &CommandInfo) -> Result<(), Invalid> {
    match &command.command {
        Command::Shell(text) => no_nul("The shell command", text)?,
        Command::Argv { path, arguments } => {
            if path.is_empty() {
                return refuse("The command is empty: set the program to execute".into());
            }
            no_nul("The program to execute", path)?;
            arguments.iter().try_for_each(|argument| no_nul("An argument of the command", argument))?;
        }
    }
    for (name, value) in &command.environment.0 {
        if name.is_empty() {
            return refuse("The name of an environment variable is empty".into());
        }
        if name.contains(['=', '\0']) {
            return refuse(format!(
                "The name of the environment variable '{}' must not contain '=' or NUL",
                shown(name)
            ));
        }
        no_nul(&format!("The value of the environment variable '{}'", shown(name)), value)?;
    }
    if let Some(name) = &command.user {
        user(name)?;
    }
    command.uris.iter().try_for_each(uri)
}

fn no_nul(what: &str, text: &str) -> Result<(), Invalid> {
    if text.contains('\0') { refuse(format!("{what} must not contain NUL")) } else { Ok(()) }
}

fn user(name: &str) -> Result<(), Invalid> {
    if name.is_empty() {
        return refuse("The user of the command is empty: leave it out to use the framework's".into());
    }
    if name.contains(|c: char| c.is_control() || matches!(c, ':' | '/')) {
        return refuse(format!("The user '{}' must not contain ':', '/' or control characters", shown(name)));
    }
    Ok(())
}

fn uri(uri: &Uri) -> Result<(), Invalid> {
    if uri.value.is_empty() {
        return refuse("A URI of the command is empty".into());
    }
    no_nul("A URI of the command", &uri.value)?;
    let Some(file) = &uri.output_file else { return Ok(()) };
    let outside = file.is_empty() || file.starts_with('/') || file.split('/').any(|part| part == "..");
    if outside || file.contains('\0') {
        return refuse(format!(
            "The output file '{}' of the URI '{}' must be a path within the sandbox, without '..'",
            shown(file),
            shown(&uri.value)
        ));
    }
    Ok(())
}

fn duration(what: &str, duration: Option<Duration>) -> Result<(), Invalid> {
    match duration {
        Some(duration) if duration.as_nanos() > u128::from(MAX_DURATION_NANOS) => {
            refuse(format!("The {what} is longer than {}", crate::notation::Span(duration)))
        }
        _ => Ok(()),
    }
}

/// An agent: a host name; the identity, where there is one, valid; at most
/// [`MAX_AGENT_BYTES`](crate::limits::MAX_AGENT_BYTES) of it all.
///
/// # Errors
/// Says what to change.
pub fn agent(agent: &AgentInfo) -> Result<(), Invalid> {
    if agent.hostname.is_empty() {
        return refuse("'AgentInfo.hostname' must not be empty".into());
    }
    agent.id.as_ref().map_or(Ok(()), agent_id)?;
    weight::agent(agent)
}

/// A framework: at least one role, each valid, several only with [`Capability::MultiRole`]; the identity, where
/// there is one, valid; the failover timeout within what a duration may be; at most
/// [`MAX_FRAMEWORK_BYTES`](crate::limits::MAX_FRAMEWORK_BYTES) of it all.
///
/// # Errors
/// Says what to change.
pub fn framework(framework: &FrameworkInfo) -> Result<(), Invalid> {
    if framework.roles.is_empty() {
        return refuse("The framework has no role: set at least one ('*' is the default role)".into());
    }
    let multi_role = framework.can(Capability::MultiRole);
    if framework.roles.len() > 1 && !multi_role {
        return refuse(SEVERAL_ROLES.into());
    }
    framework.roles.iter().try_for_each(|role| framework_role(role, multi_role))?;
    if framework.roles.len() > MAX_ROLES {
        return refuse(format!("The framework has {} roles: at most {MAX_ROLES}", framework.roles.len()));
    }
    if let Some(id) = &framework.id {
        framework_id(id)?;
    }
    if !framework.user.is_empty() {
        user(&framework.user)?;
    }
    weight::framework(framework)?;
    duration("failover timeout of the framework", Some(framework.failover_timeout))
}

/// What a framework with several roles, or with roles in the field for several, needs.
pub const SEVERAL_ROLES: &str =
    "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable";

/// A role of a framework: one of several, or its only one.
///
/// # Errors
/// As [`role`], after the name of the field.
pub fn framework_role(own: &Role, multi_role: bool) -> Result<(), Invalid> {
    role(own).map_err(|why| {
        why.within(if multi_role {
            "'FrameworkInfo.roles' contains invalid role"
        } else {
            "'FrameworkInfo.role' is not a valid role"
        })
    })
}

/// What is said of resources that claim to be allocated to two roles, the second of them found first.
pub fn two_allocation_roles(one: &str, other: &str) -> Invalid {
    Invalid(format!(
        "The resources have multiple allocation roles ('{}' and '{}') but only one allocation role is allowed",
        shown(one),
        shown(other)
    ))
}

/// Roles that a framework suppresses: each of them one of its own.
///
/// # Errors
/// Names those that are not, in Mesos's words.
pub fn roles_of(framework: &FrameworkInfo, suppressed: &BTreeSet<Role>) -> Result<(), Invalid> {
    let others: Vec<String> =
        suppressed.difference(&framework.roles).take(MAX_NAMED).map(|role| shown(role.as_str())).collect();
    if others.is_empty() {
        return Ok(());
    }
    let others = others.join(", ");
    refuse(format!("Suppressed roles {{ {others} }} are not contained in the set of roles"))
}

/// An executor: its identity, its command, its resources (it may have none), its grace period; at most
/// [`MAX_EXECUTOR_BYTES`](crate::limits::MAX_EXECUTOR_BYTES) of it all.
///
/// # Errors
/// Says which part is wrong.
pub fn executor(executor: &ExecutorInfo) -> Result<(), Invalid> {
    executor_id(&executor.executor_id)?;
    weight::executor(executor)?;
    if let Some(id) = &executor.framework_id {
        framework_id(id)?;
    }
    let place = || format!("The executor '{}' is invalid", executor.executor_id);
    command(&executor.command).map_err(|why| why.within(&place()))?;
    resources(&executor.resources).map_err(|why| why.within(&place()))?;
    if let Some(unread) = &executor.unread {
        unsupported::executor(&unread.read())?;
    }
    duration("shutdown grace period of the executor", executor.shutdown_grace_period)
}

/// A task, as a single value: nothing in it that an edge did not understand; its identities, resources (not none), and
/// exactly one of `executor` and `command`, valid in itself. Task and executor together must not mix revocable and
/// non-revocable of one name. What is asked of its container must be something that is done. At most
/// [`MAX_TASK_BYTES`](crate::limits::MAX_TASK_BYTES) of it all.
///
/// # Errors
/// Says which part is wrong.
pub fn task(task: &TaskInfo) -> Result<(), Invalid> {
    judge(task, task.executor.as_ref(), executor)
}

/// A task of a group whose executor is an [`executor`]: run by its command or, if it has none, by that executor.
///
/// # Errors
/// As [`task`].
pub fn member(task: &TaskInfo, of_group: &ExecutorInfo) -> Result<(), Invalid> {
    judge(task, task.command.is_none().then_some(of_group), |_| Ok(()))
}

/// How much one group may be: at most [`MAX_TASKS_IN_GROUP`] tasks and, since each is sent with the executor, at most
/// [`MAX_GROUP_BYTES`](crate::limits::MAX_GROUP_BYTES).
///
/// # Errors
/// Says how much it is.
pub fn group(executor: &ExecutorInfo, tasks: &[TaskInfo]) -> Result<(), Invalid> {
    if tasks.len() > MAX_TASKS_IN_GROUP {
        return refuse(format!("The group has {} tasks: at most {MAX_TASKS_IN_GROUP}", tasks.len()));
    }
    weight::group(executor, tasks)
}

fn judge(
    task: &TaskInfo,
    by: Option<&ExecutorInfo>,
    executor: impl Fn(&ExecutorInfo) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    task_id(&task.task_id)?;
    if let Some(problem) = &task.problem {
        return refuse(problem.clone());
    }
    agent_id(&task.agent_id)?;
    weight::task(task)?;
    match (by, &task.command) {
        (Some(own), None) => {
            executor(own)?;
            let together: Resources = [&task.resources, &own.resources].into_iter().sum();
            resources(&together)
                .map_err(|why| why.within("The task and its executor together are invalid"))?;
        }
        (None, Some(own)) => command(own).map_err(|why| why.within("The task's command is invalid"))?,
        (Some(_), Some(_)) => {
            return refuse("The task has both an executor and a command: set exactly one".into());
        }
        (None, None) => {
            return refuse("The task has neither an executor nor a command: set exactly one".into());
        }
    }
    if task.resources.is_empty() {
        return refuse("The task uses no resources: set some, such as cpus:0.1;mem:32".into());
    }
    resources(&task.resources).map_err(|why| why.within("The task's resources are invalid"))?;
    if let Some(unread) = &task.unread {
        let unread = unread.read();
        checks(&unread)?;
        unsupported::task(&unread, by.is_none())?;
    }
    duration("kill grace period of the task", task.kill_policy.and_then(|policy| policy.grace_period))?;
    duration("max completion time of the task", task.max_completion_time)
}

/// The checks of a task, whoever carries them out.
fn checks(task: &v1::TaskInfo) -> Result<(), Invalid> {
    let within = |what: &str, why: String| Invalid(why).within(&format!("Task uses invalid {what}"));
    if let Some(wire) = &task.check {
        convert::check(wire).map_err(|why| within("check", why))?;
    }
    if let Some(wire) = &task.health_check {
        convert::health_check(wire).map_err(|why| within("health check", why))?;
    }
    Ok(())
}
