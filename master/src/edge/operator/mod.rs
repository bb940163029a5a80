//! The operator API, `POST /api/v1`: what is known is read from snapshots, what is to change is asked of the machine.
//!
//! | part | what it answers |
//! |---|---|
//! | [`reads`], [`lists`] | GET_STATE and its parts: written element by element |
//! | [`small`] | what fits into one message: GET_HEALTH, GET_FLAGS, GET_METRICS, files, log levels |
//! | [`call`] | what must be there besides the type |
//! | [`missing`] | what Mesos can do and we can't yet: refused as Mesos would where that is true, else with 501 |

mod call;
mod lists;
pub(crate) mod missing;
mod reads;
mod small;

use std::sync::Arc;
use std::time::Duration;

use libactor::http::{HttpRequest, HttpResponse, StatusCode};
use protocol::wire::v1::master::call::{DrainAgent, Type};
use protocol::wire::v1::master::{Call, GoogleDuration};
use protocol::wire::{self, Format, negotiate};

use super::answers::{bad_request, refuse, unavailable};
use super::asks;
use super::maintenance;
use super::pages::{Filter, Page};
use super::weights;
use super::{Api, LARGE_BODIES};
use crate::core::{Input, OperatorRequest};
use crate::registry::Drain;

pub(crate) use reads::{Read, subscribed, write};

/// The path.
pub(crate) const PATH: &str = "/api/v1";

/// Answers a request. The order of what is judged is Mesos's.
pub(crate) async fn respond(api: Arc<Api>, request: HttpRequest) -> HttpResponse {
    let format = match negotiate::request(request.method.as_str(), request.header("content-type")) {
        Ok(format) => format,
        Err(refusal) => return refuse(refusal),
    };
    let body = request.body.clone();
    let read = move || {
        let call = wire::decode::<Call>(format, &body).map_err(|error| error.to_string())?;
        match call::check(&call) {
            Ok(()) => Ok(call),
            Err(reason) => Err(format!("Failed to validate master::Call: {reason}")),
        }
    };
    let call = match LARGE_BODIES.read(request.body.len(), read).await {
        Some(Ok(call)) => call,
        Some(Err(reason)) => return bad_request(reason),
        None => return unavailable(),
    };
    match negotiate::response(request.header("accept")) {
        Ok(format) => answer(&api, call, format).await,
        Err(refusal) => refuse(refusal),
    }
}

async fn answer(api: &Arc<Api>, call: Call, format: Format) -> HttpResponse {
    let page = |read| api.pages.respond(Page::Operator(read, format), Filter::default());
    match call.r#type() {
        Type::GetHealth
        | Type::GetFlags
        | Type::GetVersion
        | Type::GetMetrics
        | Type::GetLoggingLevel
        | Type::GetOperations
        | Type::GetWeights
        | Type::GetMaster => small::answer(api, &call, format).await,
        Type::SetLoggingLevel => small::set_logging_level(api, &call),
        Type::ListFiles => small::list_files(api, &call, format).await,
        Type::ReadFile => small::read_file(api, &call, format).await,
        Type::GetState => page(Read::State),
        Type::GetAgents => page(Read::Agents),
        Type::GetFrameworks => page(Read::Frameworks),
        Type::GetExecutors => page(Read::Executors),
        Type::GetTasks => page(Read::Tasks),
        Type::GetRoles => page(Read::Roles),
        Type::Subscribe => match api.hub.join(format) {
            Some(body) => HttpResponse::of(StatusCode::OK, format.content_type(), body),
            None => unavailable(),
        },
        Type::UpdateWeights => match weights::parse(call.update_weights.unwrap_or_default().weight_infos) {
            Ok(weights) => ask(api, OperatorRequest::UpdateWeights { weights }).await,
            Err(reason) => bad_request(reason),
        },
        Type::Teardown => {
            let id = call.teardown.unwrap_or_default().framework_id;
            ask(api, OperatorRequest::Teardown { framework_id: id.value.into() }).await
        }
        Type::MarkAgentGone | Type::DrainAgent | Type::DeactivateAgent | Type::ReactivateAgent => {
            match of_agent(call) {
                Ok(request) => ask(api, request).await,
                Err(reason) => bad_request(reason),
            }
        }
        Type::GetMaintenanceSchedule => maintenance::get_schedule(api, format).await,
        Type::GetMaintenanceStatus => maintenance::get_status(api, format).await,
        Type::UpdateMaintenanceSchedule => {
            maintenance::update(api, call.update_maintenance_schedule.unwrap_or_default().schedule).await
        }
        Type::StartMaintenance => {
            maintenance::start(api, &call.start_maintenance.unwrap_or_default().machines).await
        }
        Type::StopMaintenance => {
            maintenance::stop(api, &call.stop_maintenance.unwrap_or_default().machines).await
        }
        Type::Unknown
        | Type::ReserveResources
        | Type::UnreserveResources
        | Type::CreateVolumes
        | Type::DestroyVolumes
        | Type::GrowVolume
        | Type::ShrinkVolume
        | Type::GetQuota
        | Type::UpdateQuota
        | Type::SetQuota
        | Type::RemoveQuota => missing::answer(api, &call).await,
    }
}

/// What is to become of an agent.
fn of_agent(call: Call) -> Result<OperatorRequest, String> {
    Ok(match call.r#type() {
        Type::DrainAgent => return drain(call.drain_agent.unwrap_or_default()),
        Type::DeactivateAgent => {
            let id = call.deactivate_agent.unwrap_or_default().agent_id;
            OperatorRequest::DeactivateAgent { agent_id: id.value.into() }
        }
        Type::ReactivateAgent => {
            let id = call.reactivate_agent.unwrap_or_default().agent_id;
            OperatorRequest::ReactivateAgent { agent_id: id.value.into() }
        }
        _ => {
            let id = call.mark_agent_gone.unwrap_or_default().agent_id;
            OperatorRequest::MarkAgentGone { agent_id: id.value.into() }
        }
    })
}

/// How an agent is to be emptied.
fn drain(call: DrainAgent) -> Result<OperatorRequest, String> {
    let grace = |given: GoogleDuration| {
        let (seconds, nanos) = (given.seconds.unwrap_or_default(), given.nanos.unwrap_or_default());
        let span = || Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?));
        let span = span().filter(|_| nanos < 1_000_000_000);
        span.ok_or_else(|| "'drain_agent.max_grace_period' must not be negative".to_owned())
    };
    let max_grace_period = call.max_grace_period.map(grace).transpose()?;
    let drain = Drain { max_grace_period, mark_gone: call.mark_gone(), drained: false };
    Ok(OperatorRequest::DrainAgent { agent_id: call.agent_id.value.into(), drain })
}

/// Asks the machine for a change.
pub(crate) async fn ask(api: &Api, request: OperatorRequest) -> HttpResponse {
    asks::respond(api.asks.ask(|ask| Input::Operator { ask, request }).await)
}
