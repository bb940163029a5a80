//! Tasks, as frameworks ask for them.

use super::executor_info::executor_allocated_to;
use super::{
    allocated_to, command, command_to_wire, duration, duration_to_wire, executor_info, executor_info_to_wire,
    kill_policy, kill_policy_to_wire, labels, labels_to_wire, resources, resources_to_wire,
};
use crate::wire::v1;
use crate::{Carried, CommandInfo, Resources, TaskInfo};

/// The first reason why a task can't be run as it was asked for.
#[derive(Default)]
struct Problem(Option<String>);

impl Problem {
    fn note(&mut self, why: impl Into<String>) {
        self.0.get_or_insert_with(|| why.into());
    }

    /// The value, or a stand-in and the reason.
    fn or_note<T: Default>(&mut self, value: Result<T, String>, place: &str) -> T {
        value.unwrap_or_else(|why| {
            self.note(format!("{place}: {why}"));
            T::default()
        })
    }
}

/// A task; container, checks, discovery and limits are carried. What can't be turned into the vocabulary is the task's
/// [`problem`](TaskInfo::problem): the first in the order in which Mesos looks for them.
pub fn task_info(info: v1::TaskInfo) -> TaskInfo {
    let mut problem = Problem::default();
    let negative = |span: Option<v1::DurationInfo>| span.is_some_and(|span| span.nanoseconds < 0);
    if negative(info.kill_policy.and_then(|policy| policy.grace_period)) {
        problem.note("Task's 'kill_policy.grace_period' must be non-negative");
    }
    if negative(info.max_completion_time) {
        problem.note("Task's `max_completion_time` must be non-negative");
    }
    let resources: Resources =
        problem.or_note(resources(&info.resources), "Task uses invalid resources: Invalid resources");
    let mut role = problem.or_note(allocated_to(&info.resources), "Invalid task resources");
    let command = info.command.map(|wire| {
        command(wire).unwrap_or_else(|why| {
            problem.note(format!("Task's `CommandInfo` is invalid: {why}"));
            CommandInfo::argv("", [""; 0])
        })
    });
    let executor = info.executor.map(|wire| {
        if matches!(wire.r#type(), v1::executor_info::Type::Default) {
            problem.note("'ExecutorInfo.type' must be 'CUSTOM'");
        }
        match executor_allocated_to(&wire, role.as_ref()) {
            Ok(own) => role = role.take().or(own),
            Err(why) => problem.note(why),
        }
        let (executor, why) = executor_info(wire);
        if let Some(why) = why {
            problem.note(why);
        }
        executor
    });
    let unread = v1::TaskInfo {
        container: info.container,
        health_check: info.health_check,
        check: info.check,
        discovery: info.discovery,
        limits: info.limits,
        ..Default::default()
    };
    TaskInfo {
        name: info.name,
        task_id: info.task_id.into(),
        agent_id: info.agent_id.into(),
        resources,
        executor,
        command,
        data: info.data.unwrap_or_default(),
        kill_policy: info.kill_policy.map(kill_policy),
        max_completion_time: info.max_completion_time.and_then(duration),
        labels: labels(info.labels),
        allocated_to: role,
        unread: Carried::new(&unread),
        problem: problem.0,
    }
}

/// A task, with what was carried. Its problem, if it has one, stays behind.
pub fn task_info_to_wire(info: &TaskInfo, refined: bool) -> v1::TaskInfo {
    let role = info.allocated_to.as_ref();
    let unread = info.unread.as_ref().map(Carried::read).unwrap_or_default();
    v1::TaskInfo {
        name: info.name.clone(),
        task_id: (&info.task_id).into(),
        agent_id: (&info.agent_id).into(),
        resources: resources_to_wire(&info.resources, role, refined),
        executor: info.executor.as_ref().map(|executor| executor_info_to_wire(executor, role, refined)),
        command: info.command.as_ref().map(command_to_wire).or(unread.command.clone()),
        kill_policy: info.kill_policy.map(kill_policy_to_wire),
        data: (!info.data.is_empty()).then(|| info.data.clone()),
        labels: labels_to_wire(&info.labels),
        max_completion_time: info.max_completion_time.map(duration_to_wire),
        ..unread
    }
}
