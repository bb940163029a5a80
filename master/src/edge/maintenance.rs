//! Maintenance of machines, as it is asked for and shown: by the operator API, and by the older endpoints
//! `/maintenance/schedule`, `/maintenance/status`, `/machine/down`, `/machine/up`.

use std::net::IpAddr;

use libactor::http::{HttpRequest, HttpResponse, Method, StatusCode};
use protocol::wire::v1::maintenance::{ClusterStatus, Schedule, cluster_status::DrainingMachine};
use protocol::wire::v1::master::{Response, response};
use protocol::wire::{self, Format, convert, v1};

use super::Api;
use super::answers::{bad_request, unavailable};
use super::operator::ask;
use crate::core::OperatorRequest;
use crate::core::maintenance::Maintenance;
use crate::registry::{Machine, Window, machine_id, schedule};

/// UPDATE_MAINTENANCE_SCHEDULE.
pub(crate) async fn update(api: &Api, schedule: Schedule) -> HttpResponse {
    match windows(schedule) {
        Ok(windows) => ask(api, OperatorRequest::UpdateSchedule { windows }).await,
        Err(reason) => bad_request(reason),
    }
}

/// START_MAINTENANCE.
pub(crate) async fn start(api: &Api, machines: &[v1::MachineId]) -> HttpResponse {
    ask(api, OperatorRequest::StartMaintenance { machines: machines.iter().map(machine).collect() }).await
}

/// STOP_MAINTENANCE.
pub(crate) async fn stop(api: &Api, machines: &[v1::MachineId]) -> HttpResponse {
    ask(api, OperatorRequest::StopMaintenance { machines: machines.iter().map(machine).collect() }).await
}

/// GET_MAINTENANCE_SCHEDULE.
pub(crate) async fn get_schedule(api: &Api, format: Format) -> HttpResponse {
    let Some(snapshot) = api.view.ask().await else { return unavailable() };
    let schedule = schedule(&snapshot.maintenance.windows).unwrap_or_default();
    let get_maintenance_schedule = Some(response::GetMaintenanceSchedule { schedule });
    let r#type = Some(response::Type::GetMaintenanceSchedule.into());
    shown(&Response { r#type, get_maintenance_schedule, ..Response::default() }, format)
}

/// GET_MAINTENANCE_STATUS.
pub(crate) async fn get_status(api: &Api, format: Format) -> HttpResponse {
    let Some(snapshot) = api.view.ask().await else { return unavailable() };
    let get_maintenance_status =
        Some(response::GetMaintenanceStatus { status: status(&snapshot.maintenance) });
    let r#type = Some(response::Type::GetMaintenanceStatus.into());
    shown(&Response { r#type, get_maintenance_status, ..Response::default() }, format)
}

/// `/maintenance/schedule`.
pub(crate) async fn schedule_page(api: &Api, request: HttpRequest) -> HttpResponse {
    match request.method {
        Method::GET | Method::HEAD => {
            let Some(snapshot) = api.view.ask().await else { return unavailable() };
            shown(&schedule(&snapshot.maintenance.windows).unwrap_or_default(), Format::Json)
        }
        Method::POST => match wire::decode_object::<Schedule>(&request.body) {
            Ok(schedule) => update(api, schedule).await,
            Err(error) => bad_request(error.reason().to_owned()),
        },
        _ => HttpResponse::method_not_allowed(&[Method::GET, Method::POST], &request.method),
    }
}

/// `/maintenance/status`.
pub(crate) async fn status_page(api: &Api) -> HttpResponse {
    let Some(snapshot) = api.view.ask().await else { return unavailable() };
    shown(&status(&snapshot.maintenance), Format::Json)
}

/// `/machine/down` and `/machine/up`.
pub(crate) async fn machine_page(api: &Api, request: HttpRequest, down: bool) -> HttpResponse {
    if request.method != Method::POST {
        return HttpResponse::method_not_allowed(&[Method::POST], &request.method);
    }
    match wire::decode_list::<v1::MachineId>(&request.body) {
        Ok(machines) if down => start(api, &machines).await,
        Ok(machines) => stop(api, &machines).await,
        Err(error) => bad_request(error.reason().to_owned()),
    }
}

fn shown<M: wire::WireMessage>(message: &M, format: Format) -> HttpResponse {
    HttpResponse::new(StatusCode::OK, format.content_type(), wire::encode(format, message))
}

/// Host names are the same in any case, and an address however it is written.
fn machine(id: &v1::MachineId) -> Machine {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let ip = text(&id.ip);
    let ip = ip.parse::<IpAddr>().map_or(ip, |ip| ip.to_string());
    Machine { hostname: text(&id.hostname).to_ascii_lowercase(), ip }
}

fn windows(schedule: Schedule) -> Result<Vec<Window>, String> {
    let window = |window: v1::maintenance::Window| {
        let v1::Unavailability { start, duration } = window.unavailability;
        let negative = |what| format!("Unavailability '{what}' is negative");
        let duration =
            duration.map(|duration| convert::duration(duration).ok_or_else(|| negative("duration")));
        Ok(Window {
            machines: window.machine_ids.iter().map(machine).collect(),
            start: convert::time(start).ok_or_else(|| negative("start"))?,
            duration: duration.transpose()?,
        })
    };
    schedule.windows.into_iter().map(window).collect()
}

fn status(maintenance: &Maintenance) -> ClusterStatus {
    let draining = |machine: &Machine| DrainingMachine { id: machine_id(machine), statuses: Vec::new() };
    ClusterStatus {
        draining_machines: maintenance.draining().map(draining).collect(),
        down_machines: maintenance.down.iter().map(machine_id).collect(),
    }
}
