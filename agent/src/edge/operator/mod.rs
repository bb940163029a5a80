//! `POST /api/v1`: what operators ask of an agent.
//!
//! Calls that only read are answered from a snapshot, on another thread. Calls that Mesos has and this agent has not are
//! answered 501 with their name, after what is wrong with them in any case.

mod answers;
mod check;

use std::sync::Arc;

use libactor::http::{HttpRequest, HttpResponse, StatusCode};
use protocol::wire::common;
use protocol::wire::convert;
use protocol::wire::negotiate::{self, Shape};
use protocol::wire::v1::agent::call::{self, Type};
use protocol::wire::v1::agent::{Call, Response, response};
use protocol::wire::{self, Format, recordio, v1};

use super::LARGE_BODIES;
use super::limits::MAX_RECORD_BYTES;
use super::refused::Refused;
use super::site::{Site, page};

/// Answers a request.
pub(crate) async fn operator(site: Arc<Site>, request: HttpRequest) -> HttpResponse {
    answer(&site, &request).await.unwrap_or_else(HttpResponse::from)
}

async fn answer(site: &Arc<Site>, request: &HttpRequest) -> Result<HttpResponse, Refused> {
    let content = negotiate::agent_request(
        request.method.as_str(),
        request.header("content-type"),
        request.header("message-content-type"),
    )?;
    let accept = negotiate::agent_response(request.header("accept"), request.header("message-accept"))?;
    let body = request.body.clone();
    let read = LARGE_BODIES.read(request.body.len(), move || read(content, &body)).await;
    let call = read.ok_or_else(Refused::unable)??;
    let kind = check::call(&call)
        .map_err(|why| Refused::bad(format_args!("Failed to validate agent::Call: {why}")))?;
    check::streaming(kind, content, accept)?;
    dispatch(site, kind, call, accept.format()).await
}

/// The call of a request; of a stream of records, the first.
fn read(content: Shape, body: &[u8]) -> Result<Call, Refused> {
    let decode = |format, body: &[u8]| {
        wire::decode::<Call>(format, body).map_err(|error| Refused::bad(error.on_agent()))
    };
    match content {
        Shape::One(format) => decode(format, body),
        Shape::Records(format) => {
            let first = first_record(body).map_err(Refused::bad)?;
            decode(format, first.ok_or_else(|| Refused::bad("Received EOF while reading request body"))?)
        }
    }
}

/// The first record of a stream, if it is complete. What follows is not looked at.
fn first_record(body: &[u8]) -> Result<Option<&[u8]>, recordio::Error> {
    let end = body.iter().position(|byte| *byte == b'\n').map_or(body.len(), |at| at + 1);
    let (header, rest) = body.split_at(end);
    let mut decoder = recordio::Decoder::new(MAX_RECORD_BYTES);
    decoder.feed(header)?;
    // It is well formed; where the body ends within it, so does the record.
    let digits = header.strip_suffix(b"\n").and_then(|digits| std::str::from_utf8(digits).ok());
    let length: Option<usize> = digits.and_then(|digits| digits.parse().ok());
    Ok(length.and_then(|length| rest.get(..length)))
}

async fn dispatch(site: &Arc<Site>, kind: Type, call: Call, format: Format) -> Result<HttpResponse, Refused> {
    let say = |response: Response| Ok(written(format, wire::encode(format, &response)));
    match kind {
        Type::Unknown => Err(Refused::unknown()),
        Type::GetHealth => say(Response {
            r#type: Some(response::Type::GetHealth.into()),
            get_health: Some(response::GetHealth { healthy: true }),
            ..Default::default()
        }),
        Type::GetFlags => say(Response {
            r#type: Some(response::Type::GetFlags.into()),
            get_flags: Some(response::GetFlags { flags: common::flags(&site.flags) }),
            ..Default::default()
        }),
        Type::GetVersion => say(Response {
            r#type: Some(response::Type::GetVersion.into()),
            get_version: Some(response::GetVersion { version_info: (&site.version).into() }),
            ..Default::default()
        }),
        Type::GetMetrics => say(Response {
            r#type: Some(response::Type::GetMetrics.into()),
            get_metrics: Some(response::GetMetrics {
                metrics: common::metrics(site.node.metrics().snapshot()),
            }),
            ..Default::default()
        }),
        Type::GetLoggingLevel => say(Response {
            r#type: Some(response::Type::GetLoggingLevel.into()),
            get_logging_level: Some(response::GetLoggingLevel { level: site.node.log_level() }),
            ..Default::default()
        }),
        Type::SetLoggingLevel => set_logging_level(site, call.set_logging_level),
        Type::ListFiles => say(list_files(site, call.list_files).await?),
        Type::ReadFile => say(read_file(site, call.read_file).await?),
        Type::GetContainers => get_containers(site, format).await,
        Type::GetState
        | Type::GetFrameworks
        | Type::GetExecutors
        | Type::GetOperations
        | Type::GetTasks
        | Type::GetAgent
        | Type::GetResourceProviders => {
            let snapshot = site.snapshot().await?;
            Ok(page(format.content_type(), move |out| {
                out.write_all(&answers::of_snapshot(kind, &snapshot, format))
            }))
        }
        Type::KillNestedContainer => {
            Err(no_container(call.kill_nested_container.map(|call| call.container_id)))
        }
        Type::WaitNestedContainer
        | Type::RemoveNestedContainer
        | Type::LaunchNestedContainer
        | Type::LaunchNestedContainerSession
        | Type::AttachContainerInput
        | Type::AttachContainerOutput
        | Type::LaunchContainer
        | Type::WaitContainer
        | Type::KillContainer
        | Type::RemoveContainer
        | Type::AddResourceProviderConfig
        | Type::UpdateResourceProviderConfig
        | Type::RemoveResourceProviderConfig
        | Type::MarkResourceProviderGone
        | Type::PruneImages => Err(not_yet(kind)),
    }
}

async fn get_containers(site: &Site, format: Format) -> Result<HttpResponse, Refused> {
    let snapshot = site.snapshot().await?;
    let usage = site.statistics.read(&snapshot).await;
    let now = site.node.clock().now();
    Ok(page(format.content_type(), move |out| {
        out.write_all(&wire::encode(format, &answers::containers(&snapshot, &usage, now)))
    }))
}

fn written(format: Format, body: Vec<u8>) -> HttpResponse {
    HttpResponse::new(StatusCode::OK, format.content_type(), body)
}

/// 501 for a call that Mesos has.
fn not_yet(kind: Type) -> Refused {
    let text = format!("{} is not implemented\n", kind.as_str_name());
    Refused::new(StatusCode::NOT_IMPLEMENTED, text)
}

/// 404: no container has containers of its own.
fn no_container(container_id: Option<v1::ContainerId>) -> Refused {
    let name = container_id.map(|id| check::name(&id)).unwrap_or_default();
    let text = format!("Container '{name}' cannot be found (or is already killed)");
    Refused::new(StatusCode::NOT_FOUND, text)
}

fn set_logging_level(site: &Site, call: Option<call::SetLoggingLevel>) -> Result<HttpResponse, Refused> {
    let Some(call::SetLoggingLevel { level, duration }) = call else { return Err(Refused::unable()) };
    let duration = convert::duration(duration)
        .ok_or_else(|| Refused::bad("Expecting 'set_logging_level.duration' to be non-negative"))?;
    site.node.set_log_level(level, duration).map_err(|error| Refused::bad(format_args!("{error}\n")))?;
    Ok(HttpResponse::empty(StatusCode::OK))
}

async fn list_files(site: &Site, call: Option<call::ListFiles>) -> Result<Response, Refused> {
    let path = call.map(|call| call.path).unwrap_or_default();
    let infos = site.files.browse(&path).await?;
    let info = |info: libactor::files::FileInfo| v1::FileInfo {
        path: info.path,
        nlink: i32::try_from(info.nlink).ok(),
        size: Some(info.size),
        mtime: Some(v1::TimeInfo { nanoseconds: info.mtime }),
        mode: Some(info.mode),
        uid: Some(info.uid),
        gid: Some(info.gid),
    };
    Ok(Response {
        r#type: Some(response::Type::ListFiles.into()),
        list_files: Some(response::ListFiles { file_infos: infos.into_iter().map(info).collect() }),
        ..Default::default()
    })
}

async fn read_file(site: &Site, call: Option<call::ReadFile>) -> Result<Response, Refused> {
    let Some(call::ReadFile { path, offset, length }) = call else { return Err(Refused::unable()) };
    let read = site.files.read(&path, Some(offset), length).await?;
    Ok(Response {
        r#type: Some(response::Type::ReadFile.into()),
        read_file: Some(response::ReadFile { size: read.size, data: read.data }),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_stream_only_the_first_record_is_read() {
        assert_eq!(first_record(b"2\n{}x\n"), Ok(Some(&b"{}"[..])));
        assert_eq!(first_record(b"0\n9"), Ok(Some(&b""[..])));
        for short in ["", "2", "2\n", "2\n{"] {
            assert_eq!(first_record(short.as_bytes()), Ok(None), "{short:?}");
        }
        assert_eq!(first_record(b"\n"), Err(recordio::Error::Empty));
        assert_eq!(first_record(b"{}"), Err(recordio::Error::Length(b'{')));
        let long = format!("{}\n", MAX_RECORD_BYTES + 1);
        assert_eq!(first_record(long.as_bytes()), Err(recordio::Error::TooLong(MAX_RECORD_BYTES)));
    }
}
