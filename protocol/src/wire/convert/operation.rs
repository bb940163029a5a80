//! What a framework does with offers.

use super::executor_info::executor_allocated_to;
use super::{CallError, executor_info, task_info};
use crate::wire::v1;
use crate::{Carried, ExecutorInfo, Operation, Role, TaskInfo};
use v1::offer::operation::{LaunchGroup, Type};

/// An operation; none where nobody knows its type: such a one is passed over, as in Mesos.
///
/// # Errors
/// [`CallError::NotYet`]: one on reservations, volumes or disks.
pub(super) fn operation(wire: v1::offer::Operation) -> Result<Option<Operation>, CallError> {
    let kind = wire.r#type();
    match kind {
        Type::Unknown => Ok(None),
        Type::Launch => {
            let tasks = wire.launch.unwrap_or_default().task_infos;
            Ok(Some(Operation::Launch { tasks: tasks.into_iter().map(task_info).collect() }))
        }
        Type::LaunchGroup => Ok(wire.launch_group.map(group)),
        Type::Reserve
        | Type::Unreserve
        | Type::Create
        | Type::Destroy
        | Type::GrowVolume
        | Type::ShrinkVolume
        | Type::CreateDisk
        | Type::DestroyDisk => Err(CallError::NotYet(kind.as_str_name())),
    }
}

/// A group: what is wrong with its executor is wrong with each of its tasks.
fn group(wire: LaunchGroup) -> Operation {
    let LaunchGroup { executor: wire, task_group } = wire;
    let (executor, problem) = executor_info(wire.clone());
    let problem =
        problem.or_else(|| wire.r#type.is_none().then(|| "'ExecutorInfo.type' must be set".to_owned()));
    let tasks = task_group.tasks.into_iter().map(|task| member(task, &wire, &executor, problem.as_deref()));
    let tasks = tasks.collect();
    Operation::LaunchGroup { executor, tasks }
}

/// A task of a group. It names no executor, since the group does. A command in it is the executor's to read, and is carried:
/// the vocabulary has commands for the command executor only.
fn member(
    mut wire: v1::TaskInfo,
    of_group: &v1::ExecutorInfo,
    executor: &ExecutorInfo,
    problem: Option<&str>,
) -> TaskInfo {
    let other = wire.executor.take().filter(|own| own != of_group);
    let command = wire.command.clone();
    let mut task = task_info(wire);
    let mut note = |why: String| {
        task.problem.get_or_insert(why);
    };
    if let Some(why) = problem {
        note(why.to_owned());
    }
    if other.is_some() {
        note(format!(
            "The `ExecutorInfo` of task '{}' is different from executor '{}'",
            task.task_id, executor.executor_id
        ));
    }
    let role: Option<Role> = match executor_allocated_to(of_group, task.allocated_to.as_ref()) {
        Ok(role) => role,
        Err(why) => {
            note(why);
            None
        }
    };
    task.allocated_to = task.allocated_to.or(role);
    if command.is_some() {
        let unread = task.unread.as_ref().map(Carried::read).unwrap_or_default();
        task.unread = Carried::new(&v1::TaskInfo { command, ..unread });
        task.command = None;
    }
    task
}
