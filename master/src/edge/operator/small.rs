//! Answers that fit into one message.

use std::time::Duration;

use libactor::Time;
use libactor::files::FileInfo;
use libactor::http::{HttpResponse, StatusCode};
use protocol::UnixTime;
use protocol::wire::v1::master::{Call, Response, call::Type, response};
use protocol::wire::{self, Format, common, convert, v1};

use super::super::Api;
use super::super::answers::{bad_request, unavailable};
use super::super::messages;

/// Answers a call that only asks.
pub(super) async fn answer(api: &Api, call: &Call, format: Format) -> HttpResponse {
    let of = |kind: response::Type| Response { r#type: Some(kind.into()), ..Response::default() };
    let response = match call.r#type() {
        Type::GetFlags => {
            let flags = common::flags(&api.about.flags);
            Response { get_flags: Some(response::GetFlags { flags }), ..of(response::Type::GetFlags) }
        }
        Type::GetVersion => {
            let get_version = response::GetVersion { version_info: (&api.about.version).into() };
            Response { get_version: Some(get_version), ..of(response::Type::GetVersion) }
        }
        Type::GetMetrics => {
            let metrics = common::metrics(api.node.metrics().snapshot());
            let get_metrics = response::GetMetrics { metrics };
            Response { get_metrics: Some(get_metrics), ..of(response::Type::GetMetrics) }
        }
        Type::GetLoggingLevel => {
            let get_logging_level = response::GetLoggingLevel { level: api.node.log_level() };
            Response { get_logging_level: Some(get_logging_level), ..of(response::Type::GetLoggingLevel) }
        }
        Type::GetOperations => {
            let get_operations = Some(response::GetOperations::default());
            Response { get_operations, ..of(response::Type::GetOperations) }
        }
        Type::GetWeights | Type::GetMaster => return of_snapshot(api, call, format).await,
        _ => {
            let get_health = Some(response::GetHealth { healthy: true });
            Response { get_health, ..of(response::Type::GetHealth) }
        }
    };
    ok(&response, format)
}

/// What is known of the master itself.
async fn of_snapshot(api: &Api, call: &Call, format: Format) -> HttpResponse {
    let Some(snapshot) = api.view.ask().await else { return unavailable() };
    if call.r#type() == Type::GetWeights {
        let weights = snapshot.weights.iter();
        let infos: Vec<_> = weights.map(|(role, weight)| convert::weight_to_wire(role, *weight)).collect();
        // Without weights there is no list, as in Mesos.
        let get_weights = (!infos.is_empty()).then_some(response::GetWeights { weight_infos: infos });
        let r#type = Some(response::Type::GetWeights.into());
        return ok(&Response { r#type, get_weights, ..Response::default() }, format);
    }
    let seconds = |time: Time| Some(UnixTime(time.as_nanos()).as_secs_f64());
    let get_master = response::GetMaster {
        master_info: Some(messages::master_info(&snapshot.info)),
        start_time: seconds(api.about.started_at),
        elected_time: seconds(snapshot.started_at),
    };
    let r#type = Some(response::Type::GetMaster.into());
    ok(&Response { r#type, get_master: Some(get_master), ..Response::default() }, format)
}

/// LIST_FILES.
pub(super) async fn list_files(api: &Api, call: &Call, format: Format) -> HttpResponse {
    let path = call.list_files.as_ref().map(|list| list.path.as_str()).unwrap_or_default();
    match api.files.browse(path).await {
        Ok(files) => {
            let list_files = response::ListFiles { file_infos: files.iter().map(file_info).collect() };
            let r#type = Some(response::Type::ListFiles.into());
            ok(&Response { r#type, list_files: Some(list_files), ..Response::default() }, format)
        }
        Err(error) => error.response(),
    }
}

fn file_info(file: &FileInfo) -> v1::FileInfo {
    v1::FileInfo {
        path: file.path.clone(),
        nlink: Some(i32::try_from(file.nlink).unwrap_or(i32::MAX)),
        size: Some(file.size),
        mtime: Some(v1::TimeInfo { nanoseconds: file.mtime }),
        mode: Some(file.mode),
        uid: Some(file.uid.clone()),
        gid: Some(file.gid.clone()),
    }
}

/// READ_FILE.
pub(super) async fn read_file(api: &Api, call: &Call, format: Format) -> HttpResponse {
    let read = call.read_file.clone().unwrap_or_default();
    match api.files.read(&read.path, Some(read.offset), read.length).await {
        Ok(file) => {
            let read_file = response::ReadFile { size: file.size, data: file.data };
            let r#type = Some(response::Type::ReadFile.into());
            ok(&Response { r#type, read_file: Some(read_file), ..Response::default() }, format)
        }
        Err(error) => error.response(),
    }
}

/// SET_LOGGING_LEVEL.
pub(super) fn set_logging_level(api: &Api, call: &Call) -> HttpResponse {
    let set = call.set_logging_level.unwrap_or_default();
    let duration = u64::try_from(set.duration.nanoseconds).map(Duration::from_nanos);
    let Ok(duration) = duration else { return bad_request("The duration is negative".to_owned()) };
    match api.node.set_log_level(set.level, duration) {
        Ok(()) => HttpResponse::empty(StatusCode::OK),
        Err(error) => bad_request(error.to_string()),
    }
}

fn ok(response: &Response, format: Format) -> HttpResponse {
    HttpResponse::new(StatusCode::OK, format.content_type(), wire::encode(format, response))
}
