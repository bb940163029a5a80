//! What is said of a task's state.

use super::{ids, labels, labels_to_wire, seconds, time, time_to_wire};
use crate::wire::v1;
use crate::{Carried, Reason, Source, TaskState, TaskStatus};

/// A status; the results of checks, the container's status and the limit that was broken are carried. Without a source it is
/// the master's, as in Mesos; a reason that nobody knows is passed over.
///
/// # Errors
/// Its uuid is none, or nobody knows its state.
pub fn task_status(status: v1::TaskStatus) -> Result<TaskStatus, String> {
    let state = TaskState::from_number(status.state)
        .ok_or_else(|| format!("{} is not a state of a task", status.state))?;
    let unread = v1::TaskStatus {
        check_status: status.check_status,
        container_status: status.container_status,
        limitation: status.limitation,
        ..Default::default()
    };
    Ok(TaskStatus {
        task_id: status.task_id.into(),
        state,
        message: status.message,
        source: status.source.and_then(Source::from_number).unwrap_or(Source::Master),
        reason: status.reason.and_then(Reason::from_number),
        data: status.data.unwrap_or_default(),
        agent_id: status.agent_id.map(Into::into),
        executor_id: status.executor_id.map(Into::into),
        timestamp: status.timestamp.and_then(seconds),
        uuid: status.uuid.map(|uuid| ids::uuid(&uuid)).transpose()?,
        healthy: status.healthy,
        labels: labels(status.labels),
        unreachable_time: status.unreachable_time.and_then(time),
        exit_status: None,
        unread: Carried::new(&unread),
    })
}

/// A status, with what was carried. The exit status stays behind: Mesos says it in the message only.
pub fn task_status_to_wire(status: &TaskStatus) -> v1::TaskStatus {
    let unread = status.unread.as_ref().map(Carried::read).unwrap_or_default();
    v1::TaskStatus {
        task_id: (&status.task_id).into(),
        state: status.state.number().into(),
        message: status.message.clone(),
        source: Some(status.source.number().into()),
        reason: status.reason.map(|reason| reason.number().into()),
        data: (!status.data.is_empty()).then(|| status.data.clone()),
        agent_id: status.agent_id.as_ref().map(Into::into),
        executor_id: status.executor_id.as_ref().map(Into::into),
        timestamp: status.timestamp.map(|time| time.as_secs_f64()),
        uuid: status.uuid.map(ids::uuid_to_wire),
        healthy: status.healthy,
        labels: labels_to_wire(&status.labels),
        unreachable_time: status.unreachable_time.map(time_to_wire),
        ..unread
    }
}
