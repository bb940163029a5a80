//! What schedulers ask of the master.

use super::error::expect;
use super::operation::operation;
use super::{CallError, framework_info, ids, kill_policy, resources};
use crate::limits::MAX_TASKS_IN_CALL;
use crate::messages::{Call, ReconcileTask, Request};
use crate::wire::v1;
use crate::{Filters, FrameworkId};
use v1::scheduler::call::{self, Type};

/// A call, and the framework that makes it.
///
/// # Errors
/// [`CallError::Invalid`] before [`CallError::NotYet`] before [`CallError::Subscription`]: what is missing is said first.
pub fn scheduler_call(call: v1::scheduler::Call) -> Result<(Option<FrameworkId>, Call), CallError> {
    // A number that nobody knows is as good as none.
    let kind = call.r#type.and_then(|number| Type::try_from(number).ok());
    let kind = expect(kind, "type")?;
    if kind == Type::Subscribe {
        return subscribe(call.framework_id, expect(call.subscribe, "subscribe")?);
    }
    let id: FrameworkId = expect(call.framework_id, "framework_id")?.into();
    let call = match kind {
        Type::Subscribe | Type::Unknown => return Err(CallError::NotYet(kind.as_str_name())),
        Type::Teardown => Call::Teardown,
        Type::Accept => accept(expect(call.accept, "accept")?)?,
        Type::Decline => {
            let call::Decline { offer_ids, filters: wanted } = expect(call.decline, "decline")?;
            Call::Decline { offer_ids: into(offer_ids), filters: filters(wanted) }
        }
        Type::AcceptInverseOffers => {
            let wire = expect(call.accept_inverse_offers, "accept_inverse_offers")?;
            let inverse_offer_ids = into(wire.inverse_offer_ids);
            Call::AcceptInverseOffers { inverse_offer_ids, filters: filters(wire.filters) }
        }
        Type::DeclineInverseOffers => {
            let wire = expect(call.decline_inverse_offers, "decline_inverse_offers")?;
            let inverse_offer_ids = into(wire.inverse_offer_ids);
            Call::DeclineInverseOffers { inverse_offer_ids, filters: filters(wire.filters) }
        }
        Type::Revive => Call::Revive { roles: ids::roles(call.revive.unwrap_or_default().roles) },
        Type::Suppress => Call::Suppress { roles: ids::roles(call.suppress.unwrap_or_default().roles) },
        Type::Kill => kill(expect(call.kill, "kill")?),
        Type::Shutdown => {
            let call::Shutdown { executor_id, agent_id } = expect(call.shutdown, "shutdown")?;
            Call::Shutdown { executor_id: executor_id.into(), agent_id: agent_id.into() }
        }
        Type::Acknowledge => acknowledge(expect(call.acknowledge, "acknowledge")?)?,
        Type::AcknowledgeOperationStatus => {
            let wire = expect(call.acknowledge_operation_status, "acknowledge_operation_status")?;
            ids::uuid(&wire.uuid).map_err(CallError::Invalid)?;
            expect(wire.agent_id, "agent_id")?;
            return Err(CallError::NotYet(kind.as_str_name()));
        }
        Type::Reconcile => reconcile(expect(call.reconcile, "reconcile")?)?,
        Type::ReconcileOperations => {
            expect(call.reconcile_operations, "reconcile_operations")?;
            return Err(CallError::NotYet(kind.as_str_name()));
        }
        Type::Message => {
            let call::Message { agent_id, executor_id, data } = expect(call.message, "message")?;
            Call::Message { agent_id: agent_id.into(), executor_id: executor_id.into(), data }
        }
        Type::Request => request(expect(call.request, "request")?),
        Type::UpdateFramework => update_framework(&id, expect(call.update_framework, "update_framework")?)?,
    };
    Ok((Some(id), call))
}

fn into<W, T: From<W>>(list: Vec<W>) -> Vec<T> {
    list.into_iter().map(T::from).collect()
}

fn filters(wanted: Option<v1::Filters>) -> Filters {
    wanted.map_or_else(Filters::default, |wanted| Filters::from_seconds(wanted.refuse_seconds()))
}

/// Empty and absent ids are the same.
fn subscribe(
    framework_id: Option<v1::FrameworkId>,
    wire: call::Subscribe,
) -> Result<(Option<FrameworkId>, Call), CallError> {
    let outer = framework_id.unwrap_or_default();
    if wire.framework_info.id.as_ref().map_or("", |id| &id.value) != outer.value {
        return differs("subscribe");
    }
    let framework = framework_info(wire.framework_info).map_err(CallError::Subscription)?;
    let suppressed_roles = ids::roles(wire.suppressed_roles);
    Ok((framework.id.clone(), Call::Subscribe { framework, suppressed_roles }))
}

fn update_framework(id: &FrameworkId, wire: call::UpdateFramework) -> Result<Call, CallError> {
    if wire.framework_info.id.as_ref().map_or("", |id| &id.value) != id.as_str() {
        return differs("update_framework");
    }
    let framework = framework_info(wire.framework_info).map_err(CallError::Subscription)?;
    Ok(Call::UpdateFramework { framework, suppressed_roles: ids::roles(wire.suppressed_roles) })
}

fn differs<T>(place: &str) -> Result<T, CallError> {
    Err(CallError::Invalid(format!("'framework_id' differs from '{place}.framework_info.id'")))
}

fn accept(wire: call::Accept) -> Result<Call, CallError> {
    let tasks = |operation: &v1::offer::Operation| {
        let launch = operation.launch.as_ref().map_or(0, |launch| launch.task_infos.len());
        let group = operation.launch_group.as_ref().map_or(0, |group| group.task_group.tasks.len());
        launch + group
    };
    few_enough("accept", wire.operations.iter().map(tasks).sum())?;
    let mut operations = Vec::with_capacity(wire.operations.len());
    for wire in wire.operations {
        operations.extend(operation(wire)?);
    }
    Ok(Call::Accept { offer_ids: into(wire.offer_ids), operations, filters: filters(wire.filters) })
}

fn few_enough(place: &str, tasks: usize) -> Result<(), CallError> {
    if tasks <= MAX_TASKS_IN_CALL {
        return Ok(());
    }
    let why = format!("'{place}' has {tasks} tasks: at most {MAX_TASKS_IN_CALL} in one call, make several");
    Err(CallError::Invalid(why))
}

fn kill(wire: call::Kill) -> Call {
    Call::Kill {
        task_id: wire.task_id.into(),
        agent_id: wire.agent_id.map(Into::into),
        kill_policy: wire.kill_policy.map(kill_policy),
    }
}

fn acknowledge(wire: call::Acknowledge) -> Result<Call, CallError> {
    let uuid = ids::uuid(&wire.uuid).map_err(CallError::Invalid)?;
    Ok(Call::Acknowledge { agent_id: wire.agent_id.into(), task_id: wire.task_id.into(), uuid })
}

fn reconcile(wire: call::Reconcile) -> Result<Call, CallError> {
    few_enough("reconcile", wire.tasks.len())?;
    let task = |task: call::reconcile::Task| ReconcileTask {
        task_id: task.task_id.into(),
        agent_id: task.agent_id.map(Into::into),
    };
    Ok(Call::Reconcile { tasks: wire.tasks.into_iter().map(task).collect() })
}

/// Wishes for resources that are none are left out: nobody grants any.
fn request(wire: call::Request) -> Call {
    let request = |request: v1::Request| {
        let resources = resources(&request.resources).ok()?;
        Some(Request { agent_id: request.agent_id.map(Into::into), resources })
    };
    Call::Request { requests: wire.requests.into_iter().filter_map(request).collect() }
}
