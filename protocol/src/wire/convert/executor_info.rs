//! What runs tasks on an agent.

use super::{
    allocated_to, command, command_to_wire, duration, duration_to_wire, labels, labels_to_wire, resources,
    resources_to_wire,
};
use crate::wire::v1;
use crate::{Carried, CommandInfo, ExecutorInfo, Resources, Role};
use v1::executor_info::Type;

/// An executor; type, container, discovery and source are carried. Beside it, why it can't be run as it was asked for, if so:
/// the first reason in the order in which Mesos looks for them.
pub fn executor_info(info: v1::ExecutorInfo) -> (ExecutorInfo, Option<String>) {
    let mut problem = None;
    if info.r#type() == Type::Default {
        problem = Some(if info.command.is_some() {
            "'ExecutorInfo.command' must not be set for 'DEFAULT' executor".to_owned()
        } else {
            "The default executor is not supported yet: name an executor of your own, of type CUSTOM"
                .to_owned()
        });
    } else if info.command.is_none() {
        problem = Some(match info.r#type() {
            Type::Custom => "'ExecutorInfo.command' must be set for 'CUSTOM' executor".to_owned(),
            _ => "'ExecutorInfo.command' must be set".to_owned(),
        });
    }
    let mut note = |why: String| {
        problem.get_or_insert(why);
    };
    let grace = info.shutdown_grace_period.map(duration);
    if grace == Some(None) {
        note("ExecutorInfo's 'shutdown_grace_period' must be non-negative".to_owned());
    }
    let nothing = || CommandInfo::argv("", [""; 0]);
    let command = info.command.clone().map_or_else(|| Ok(nothing()), command).unwrap_or_else(|why| {
        note(format!("Executor's `CommandInfo` is invalid: {why}"));
        nothing()
    });
    let resources = resources(&info.resources).unwrap_or_else(|why| {
        note(format!("Executor uses invalid resources: Invalid resources: {why}"));
        Resources::new()
    });
    let unread = v1::ExecutorInfo {
        r#type: info.r#type,
        container: info.container,
        discovery: info.discovery,
        source: info.source,
        ..Default::default()
    };
    let info = ExecutorInfo {
        executor_id: info.executor_id.into(),
        framework_id: info.framework_id.map(Into::into),
        command,
        resources,
        name: info.name,
        data: info.data.unwrap_or_default(),
        shutdown_grace_period: grace.flatten(),
        labels: labels(info.labels),
        unread: Carried::new(&unread),
    };
    (info, problem)
}

/// The role that an executor's resources are allocated to.
///
/// # Errors
/// There are two, or it is not that of its task: what Mesos says.
pub(super) fn executor_allocated_to(
    info: &v1::ExecutorInfo,
    task: Option<&Role>,
) -> Result<Option<Role>, String> {
    let role = allocated_to(&info.resources).and_then(|role| match (&role, task) {
        (Some(own), Some(task)) if own != task => {
            Err(crate::validate::two_allocation_roles(own.as_str(), task.as_str()).0)
        }
        _ => Ok(role),
    });
    role.map_err(|why| format!("Invalid executor resources: {why}"))
}

/// An executor, with what was carried; its resources allocated to a role or to none. The default executor has no command.
pub fn executor_info_to_wire(
    info: &ExecutorInfo,
    allocated_to: Option<&Role>,
    refined: bool,
) -> v1::ExecutorInfo {
    let unread = info.unread.as_ref().map(Carried::read).unwrap_or_default();
    v1::ExecutorInfo {
        executor_id: (&info.executor_id).into(),
        framework_id: info.framework_id.as_ref().map(Into::into),
        command: (unread.r#type() != Type::Default).then(|| command_to_wire(&info.command)),
        resources: resources_to_wire(&info.resources, allocated_to, refined),
        name: info.name.clone(),
        data: (!info.data.is_empty()).then(|| info.data.clone()),
        shutdown_grace_period: info.shutdown_grace_period.map(duration_to_wire),
        labels: labels_to_wire(&info.labels),
        ..unread
    }
}
