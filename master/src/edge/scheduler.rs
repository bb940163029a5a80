//! The scheduler API, `POST /api/v1/scheduler`: reads a call, hands it to the machine, and says what the machine says.
//! The order of what is judged is Mesos's.

use std::sync::Arc;

use libactor::http::{HttpRequest, HttpResponse, StatusCode};
use protocol::FrameworkId;
use protocol::messages::{Call, Event, SchedulerCall};
use protocol::wire::convert::{self, CallError, EventContext};
use protocol::wire::negotiate::Refusal;
use protocol::wire::v1::scheduler::call::Type;
use protocol::wire::{self, DecodeError, Format, negotiate, v1};

use super::answers::{bad_request, not_implemented, refuse, unavailable};
use super::asks;
use super::streams::Opened;
use super::{Api, LARGE_BODIES};
use crate::core::{Answer, Input};

/// The path.
pub(crate) const PATH: &str = "/api/v1/scheduler";

/// The header that names a stream.
const STREAM_ID: &str = "mesos-stream-id";

/// Answers a request.
pub(crate) async fn respond(api: Arc<Api>, request: HttpRequest) -> HttpResponse {
    let format = match negotiate::request(request.method.as_str(), request.header("content-type")) {
        Ok(format) => format,
        Err(refusal) => return refuse(refusal),
    };
    let body = request.body.clone();
    let read = move || {
        let call = wire::decode::<v1::scheduler::Call>(format, &body)?;
        Ok::<_, DecodeError>((call.r#type(), convert::scheduler_call(call)))
    };
    let (kind, call) = match LARGE_BODIES.read(request.body.len(), read).await {
        Some(Ok(read)) => read,
        Some(Err(error)) => return bad_request(error.to_string()),
        None => return unavailable(),
    };
    match call {
        Ok((framework_id, Call::Subscribe { framework, suppressed_roles })) => {
            let context = EventContext::of(&framework);
            let call = Call::Subscribe { framework, suppressed_roles };
            subscribe(&api, &request, context, SchedulerCall { framework_id, call })
        }
        Ok((Some(framework_id), call)) => ask(&api, &request, framework_id, call).await,
        Ok((None, _)) => invalid("Expecting 'framework_id' to be present"),
        Err(CallError::Invalid(reason)) => invalid(&reason),
        Err(CallError::NotYet(name)) => not_implemented(name),
        Err(CallError::Subscription(reason)) if kind == Type::Subscribe => {
            refuse_subscription(&api, &request, reason)
        }
        Err(CallError::Subscription(reason)) => {
            bad_request(format!("Supplied FrameworkInfo is not valid: {reason}"))
        }
    }
}

fn invalid(reason: &str) -> HttpResponse {
    bad_request(format!("Failed to validate scheduler::Call: {reason}"))
}

/// A call of a framework that is subscribed.
async fn ask(api: &Api, request: &HttpRequest, framework_id: FrameworkId, call: Call) -> HttpResponse {
    let stream_id = request.header(STREAM_ID).map(str::to_owned);
    // What it is told from then on is for how it describes itself then.
    let update = match &call {
        Call::UpdateFramework { framework, .. } => stream_id.clone().zip(Some(EventContext::of(framework))),
        _ => None,
    };
    let answer = api.asks.ask(|ask| Input::Call { ask, framework_id, stream_id, call }).await;
    if let (Answer::Done, Some((id, context))) = (&answer, update) {
        api.streams.update(&id, context);
    }
    asks::respond(answer)
}

/// Opens a stream and lets the machine answer on it.
fn subscribe(api: &Api, request: &HttpRequest, context: EventContext, call: SchedulerCall) -> HttpResponse {
    let (format, opened) = match open(api, request, context) {
        Ok(opened) => opened,
        Err(refusal) => return refuse(refusal),
    };
    if api.feeder.try_feed(Input::Scheduler { from: opened.pid.clone(), call }).is_err() {
        api.streams.finish(&opened.id);
        return unavailable();
    }
    stream(format, opened)
}

/// The framework can't be as it describes itself: an event says so, and nothing follows.
fn refuse_subscription(api: &Api, request: &HttpRequest, reason: String) -> HttpResponse {
    match open(api, request, EventContext::default()) {
        Ok((format, opened)) => {
            api.streams.tell(&opened.id, &Event::Error(reason));
            stream(format, opened)
        }
        Err(refusal) => refuse(refusal),
    }
}

fn open(api: &Api, request: &HttpRequest, context: EventContext) -> Result<(Format, Opened), Refusal> {
    let format = negotiate::response(request.header("accept"))?;
    let no = |status, text: &str| Refusal { status, text: text.to_owned(), allow: None };
    if request.headers.contains_key(STREAM_ID) {
        return Err(no(400, "Subscribe calls should not include the 'Mesos-Stream-Id' header"));
    }
    let opened = api.streams.open(format, context);
    Ok((format, opened.ok_or_else(|| no(503, "This master has too many subscribers; try again later"))?))
}

fn stream(format: Format, opened: Opened) -> HttpResponse {
    HttpResponse::of(StatusCode::OK, format.content_type(), opened.body).with_header(STREAM_ID, &opened.id)
}
