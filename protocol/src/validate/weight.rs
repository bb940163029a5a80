//! How much memory a description takes, about: its texts and data, and the elements of its lists. Nothing is encoded.
//! Resources are counted for agents alone: those of tasks have bounds of their own.

use super::{Invalid, refuse};
use crate::limits::{
    MAX_AGENT_BYTES, MAX_EXECUTOR_BYTES, MAX_FRAMEWORK_BYTES, MAX_GROUP_BYTES, MAX_TASK_BYTES,
};
use crate::resources::Value;
use crate::{
    AgentInfo, AttributeValue, Carried, Command, CommandInfo, ExecutorInfo, FrameworkInfo, Label, Resource,
    TaskInfo,
};

/// What the elements of a list take: their own size, since they may be empty, and what each points to.
fn list<'a, T: 'a>(elements: impl IntoIterator<Item = &'a T>, beyond: impl Fn(&T) -> usize) -> usize {
    elements.into_iter().map(|element| size_of::<T>() + beyond(element)).sum()
}

fn text(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

fn labels(labels: &[Label]) -> usize {
    list(labels, |label| label.key.len() + text(label.value.as_ref()))
}

fn command(command: &CommandInfo) -> usize {
    let executed = match &command.command {
        Command::Shell(shell) => shell.len(),
        Command::Argv { path, arguments } => path.len() + list(arguments, String::len),
    };
    executed
        + list(&command.environment.0, |(name, value)| name.len() + value.len())
        + list(&command.uris, |uri| uri.value.len() + text(uri.output_file.as_ref()))
        + text(command.user.as_ref())
}

fn of_framework(framework: &FrameworkInfo) -> usize {
    framework.user.len()
        + framework.name.len()
        + list(&framework.roles, |role| role.as_str().len())
        + text(framework.hostname.as_ref())
        + text(framework.principal.as_ref())
        + text(framework.webui_url.as_ref())
        + labels(&framework.labels)
}

fn of_executor(executor: &ExecutorInfo) -> usize {
    command(&executor.command)
        + text(executor.name.as_ref())
        + executor.data.len()
        + labels(&executor.labels)
        + executor.unread.as_ref().map_or(0, Carried::len)
}

fn of_task(task: &TaskInfo) -> usize {
    task.name.len()
        + task.command.as_ref().map_or(0, command)
        + task.data.len()
        + labels(&task.labels)
        + task.unread.as_ref().map_or(0, Carried::len)
}

fn of_agent(agent: &AgentInfo) -> usize {
    let value = |value: &Value| match value {
        Value::Scalar(_) => 0,
        Value::Ranges(ranges) => ranges.len() * size_of::<(u64, u64)>(),
        Value::Set(names) => list(names, String::len),
    };
    let reservations = |resource: &Resource| {
        list(&resource.reservations, |one| one.role.as_str().len() + text(one.principal.as_ref()))
    };
    let resource =
        |resource: &Resource| resource.name.len() + reservations(resource) + value(&resource.value);
    agent.hostname.len()
        + agent.resources.iter().map(|one| size_of::<Resource>() + resource(one)).sum::<usize>()
        + list(&agent.attributes.0, |attribute| {
            attribute.name.len()
                + match &attribute.value {
                    AttributeValue::Scalar(_) => 0,
                    AttributeValue::Ranges(ranges) => ranges.len() * size_of::<(u64, u64)>(),
                    AttributeValue::Text(text) => text.len(),
                }
        })
}

fn at_most(whose: &str, bytes: usize, most: usize, what: &str) -> Result<(), Invalid> {
    if bytes <= most {
        return Ok(());
    }
    refuse(format!("The description of the {whose} has {bytes} bytes: at most {most}; shorten {what}"))
}

pub(super) fn framework(framework: &FrameworkInfo) -> Result<(), Invalid> {
    at_most("framework", of_framework(framework), MAX_FRAMEWORK_BYTES, "its texts, roles or labels")
}

pub(super) fn agent(agent: &AgentInfo) -> Result<(), Invalid> {
    at_most("agent", of_agent(agent), MAX_AGENT_BYTES, "its attributes or resources")
}

pub(super) fn executor(executor: &ExecutorInfo) -> Result<(), Invalid> {
    let what = "its command, data or labels, or have its data fetched";
    at_most("executor", of_executor(executor), MAX_EXECUTOR_BYTES, what)
}

pub(super) fn task(task: &TaskInfo) -> Result<(), Invalid> {
    let what = "its command, data or labels, or have its data fetched";
    at_most("task", of_task(task), MAX_TASK_BYTES, what)
}

pub(super) fn group(executor: &ExecutorInfo, tasks: &[TaskInfo]) -> Result<(), Invalid> {
    let each = of_executor(executor);
    let bytes = tasks.iter().map(|task| each + of_task(task)).sum();
    at_most(
        "group, its executor counted with each task,",
        bytes,
        MAX_GROUP_BYTES,
        "it, or launch fewer tasks",
    )
}
