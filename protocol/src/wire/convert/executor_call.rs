//! What executors ask of their agent.

use super::error::expect;
use super::{CallError, task_info, task_status};
use crate::messages::ExecutorCallKind;
use crate::wire::v1;
use crate::{ExecutorId, FrameworkId, Source, StatusUpdate, TaskState};
use v1::executor::call::{self, Type};

/// A call, and the executor that makes it.
///
/// # Errors
/// [`CallError::Invalid`], in Mesos's words; [`CallError::NotYet`] for the type `UNKNOWN`.
pub fn executor_call(
    call: v1::executor::Call,
) -> Result<(FrameworkId, ExecutorId, ExecutorCallKind), CallError> {
    let kind = call.r#type.and_then(|number| Type::try_from(number).ok());
    let kind = expect(kind, "type")?;
    let (framework_id, executor_id) = (call.framework_id.into(), call.executor_id.into());
    let call = match kind {
        Type::Unknown => return Err(CallError::NotYet(kind.as_str_name())),
        Type::Subscribe => subscribe(&framework_id, expect(call.subscribe, "subscribe")?)?,
        Type::Update => update(&framework_id, &executor_id, expect(call.update, "update")?)?,
        Type::Message => ExecutorCallKind::Message(expect(call.message, "message")?.data),
        Type::Heartbeat => ExecutorCallKind::Heartbeat,
    };
    Ok((framework_id, executor_id, call))
}

fn subscribe(framework_id: &FrameworkId, wire: call::Subscribe) -> Result<ExecutorCallKind, CallError> {
    let update = |update: call::Update| {
        let status = task_status(update.status).map_err(CallError::Invalid)?;
        Ok(StatusUpdate { framework_id: framework_id.clone(), latest_state: status.state, status })
    };
    Ok(ExecutorCallKind::Subscribe {
        tasks: wire.unacknowledged_tasks.into_iter().map(task_info).collect(),
        updates: wire.unacknowledged_updates.into_iter().map(update).collect::<Result<_, _>>()?,
    })
}

fn update(
    framework_id: &FrameworkId,
    executor_id: &ExecutorId,
    wire: call::Update,
) -> Result<ExecutorCallKind, CallError> {
    expect(wire.status.uuid.as_ref(), "uuid")?;
    let status = task_status(wire.status).map_err(CallError::Invalid)?;
    let refuse = |why: String| Err(CallError::Invalid(why));
    if let Some(other) = status.executor_id.as_ref().filter(|other| *other != executor_id) {
        return refuse(format!(
            "ExecutorID in Call: {executor_id} does not match ExecutorID in TaskStatus: {other}"
        ));
    }
    if status.source != Source::Executor {
        return refuse(format!(
            "Received Call from executor {executor_id} of framework {framework_id} with invalid source, expecting \
             'SOURCE_EXECUTOR'"
        ));
    }
    if status.state == TaskState::Staging {
        return refuse(format!(
            "Received TASK_STAGING from executor {executor_id} of framework {framework_id} which is not allowed"
        ));
    }
    Ok(ExecutorCallKind::Update(status))
}
