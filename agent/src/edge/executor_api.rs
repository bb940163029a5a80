//! `POST /api/v1/executor`: executors that speak HTTP.
//!
//! Here a request is read and an answer written; whether a call is taken, the machine decides. The order of the checks is
//! Mesos's: method, type and form of the body, what the call must have, then (a subscription's) `Accept`, then the machine.
//!
//! Authentication has its place before all of these: the executor's proof comes as `Authorization: Bearer <token>`, the
//! token being that of its run. It is to be handed on in [`Input::Call`], since the machine makes the tokens and knows the
//! runs. Today whoever reaches the port and knows the two ids is taken for the executor.

use std::sync::Arc;

use libactor::http::{HttpRequest, HttpResponse, StatusCode};
use protocol::messages::ExecutorCallKind;
use protocol::wire::convert::{self, CallError};
use protocol::wire::{self, negotiate, v1};

use super::LARGE_BODIES;
use super::refused::Refused;
use super::site::Site;
use super::streams::Opened;
use crate::core::{Input, Refusal};

/// Answers a request.
pub(crate) async fn executor(site: Arc<Site>, request: HttpRequest) -> HttpResponse {
    answer(&site, &request).await.unwrap_or_else(HttpResponse::from)
}

async fn answer(site: &Site, request: &HttpRequest) -> Result<HttpResponse, Refused> {
    let format = negotiate::request(request.method.as_str(), request.header("content-type"))?;
    let body = request.body.clone();
    let read = move || {
        let call = wire::decode::<v1::executor::Call>(format, &body).map_err(Refused::bad)?;
        convert::executor_call(call).map_err(|error| match error {
            CallError::Invalid(why) | CallError::Subscription(why) => {
                Refused::bad(format_args!("Failed to validate Executor::Call: {why}"))
            }
            CallError::NotYet(_) => Refused::unknown(),
        })
    };
    let read = LARGE_BODIES.read(request.body.len(), read).await;
    let (framework_id, executor_id, call) = read.ok_or_else(Refused::unable)??;
    let mut opened = None;
    if matches!(call, ExecutorCallKind::Subscribe { .. }) {
        let format = negotiate::response(request.header("accept"))?;
        opened = Some(site.streams.open(format).ok_or_else(|| {
            let text = "The agent has too many open streams; try again later";
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, text)
        })?);
    }
    let stream = opened.as_ref().map(|opened| opened.pid().clone());
    let asked = site.asks.ask(|ask| Input::Call { ask, framework_id, executor_id, stream, call }).await;
    asked.map_err(|(refusal, why)| Refused::new(status_of(refusal), why))?;
    Ok(opened.map_or_else(|| HttpResponse::empty(StatusCode::ACCEPTED), Opened::begin))
}

fn status_of(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Invalid => StatusCode::BAD_REQUEST,
        Refusal::Forbidden => StatusCode::FORBIDDEN,
        Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}
