//! Tasks, as masters and agents keep them.

use super::{ids, kill_policy_to_wire, labels_to_wire, resources_to_wire, task_status_to_wire};
use crate::wire::v1;
use crate::{Carried, Role, Task};

/// A task, with what was carried; its resources allocated to a role: this one, or the one that it names itself. A command task names no executor.
pub fn task_to_wire(task: &Task, allocated_to: Option<&Role>, refined: bool) -> v1::Task {
    let allocated_to = allocated_to.or(task.allocated_to.as_ref());
    let unread = task.unread.as_ref().map(Carried::read).unwrap_or_default();
    v1::Task {
        name: task.name.clone(),
        task_id: (&task.task_id).into(),
        framework_id: (&task.framework_id).into(),
        executor_id: (!task.command_executor).then(|| (&task.executor_id).into()),
        agent_id: (&task.agent_id).into(),
        state: task.state.number().into(),
        resources: resources_to_wire(&task.resources, allocated_to, refined),
        statuses: task.statuses.iter().map(task_status_to_wire).collect(),
        status_update_state: task.status_update_state.map(|state| state.number().into()),
        // The record forgets the uuid of an end that was acknowledged; its status keeps it.
        status_update_uuid: task
            .status_update_uuid
            .or_else(|| task.statuses.last().and_then(|status| status.uuid))
            .map(ids::uuid_to_wire),
        labels: labels_to_wire(&task.labels),
        kill_policy: task.kill_policy.map(kill_policy_to_wire),
        user: task.user.clone(),
        ..unread
    }
}
