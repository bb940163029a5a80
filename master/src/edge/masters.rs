//! What the actor `masters` serves: who the masters are, the registry, and changes of who they are.
//!
//! | path | what it is |
//! |---|---|
//! | `GET /masters/status` | what this master knows of its group, as JSON |
//! | `GET /masters/registry`, `/registrar(1)/registry` | the registry as the leader has it now, as JSON |
//! | `POST /masters/add` | takes a master in. Body: `{"id": 4, "address": "host:5050"}` |
//! | `POST /masters/remove` | lets one go. Body: `{"id": 4}` |
//! | `POST /masters/replace` | both at once. Body: `{"old": 1, "new": 4, "address": "host:5050"}` |
//! | `POST /masters/transfer` | lets another one lead. Body: `{"to": 2}`, or nothing |
//!
//! A change is answered when it is over: 200; 307 leads to the master to ask instead, 409 says why it is refused, 503 that
//! nobody leads.

use std::future::Future;
use std::sync::Arc;

use actix::{Actor, Context};
use libactor::http::{HttpBody, HttpRequest, HttpResponse, Method, SharedBody, StatusCode};
use libactor::shell::{Edge, ShellInstall};
use libactor::{Feeder, Gauge, Install, Machine, Node, Pid, SpawnError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::bad_request;
use super::asks::{Asks, Unanswered};
use super::leader;
use crate::registry::{self, MemberId};
use crate::replication::{Ask, Input, MasterRole, MasterStatus, MembersRequest, ReplicaAnswer, Status};

/// The actor that Mesos's tools ask for the registry.
const REGISTRAR: &str = "registrar(1)";
/// Where it is, below an actor.
const REGISTRY: &str = "/registry";

/// The largest body of a change, in bytes. Ours: each names two numbers and an address.
const MAX_BODY: usize = 4096;
/// The longest address of a master, in bytes. Ours: a host's name has 253 at most.
const MAX_ADDRESS: usize = 300;

/// Questions to the replica, from wherever they come.
#[derive(Debug)]
pub(crate) struct Questions(Asks<Input, ReplicaAnswer>);

impl Questions {
    /// None yet; `gauge` shows how many are open.
    pub(crate) fn new(feeder: Arc<Feeder<Input>>, gauge: Gauge) -> Self {
        Self(Asks::new(feeder, gauge))
    }

    /// Puts one to the replica.
    ///
    /// # Errors
    /// It has no room for it, or is ending.
    pub(crate) async fn ask(&self, request: MembersRequest) -> Result<ReplicaAnswer, Unanswered> {
        self.0.put(|number| Input::Ask { ask: Ask(number), request }).await
    }

    /// The replica's answer: for [`Output::Answer`](crate::replication::Output::Answer).
    pub(crate) fn answer(&self, ask: Ask, answer: ReplicaAnswer) {
        self.0.give(ask.0, answer);
    }

    /// The actor has ended: nobody gets an answer any more.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}

/// Serves all of it, as the actor [`NAME`](crate::replication::NAME).
pub(crate) fn install<M, E>(install: &mut ShellInstall<'_, M, E>, questions: &Arc<Questions>)
where
    M: Machine<Input = Input> + 'static,
    E: Edge<M>,
{
    let questions = questions.clone();
    let mut pages = Pages { install, questions };
    pages.serve("/status", "who the masters are and how far each is, as JSON", status);
    pages.serve(REGISTRY, "the registry as the leader has it now, as JSON", registry);
    pages.change("/add", "takes a master in. Body: id, address", |body| {
        let Add { id, address } = read(body)?;
        Ok(MembersRequest::Add { id: number("id", id)?, address: place(address)? })
    });
    pages.change("/remove", "lets a master go. Body: id", |body| {
        let Remove { id } = read(body)?;
        Ok(MembersRequest::Remove { id: number("id", id)? })
    });
    pages.change("/replace", "takes a master in for another. Body: old, new, address", |body| {
        let Replace { old, new, address } = read(body)?;
        let (old, new) = (number("old", old)?, number("new", new)?);
        Ok(MembersRequest::Replace { old, new, address: place(address)? })
    });
    pages.change("/transfer", "lets another master lead. Body: to, or nothing", |body| {
        let Transfer { to } = if body.is_empty() { Transfer { to: None } } else { read(body)? };
        Ok(MembersRequest::Transfer { to: to.map(|to| number("to", to)).transpose()? })
    });
}

/// Serves the registry where Mesos's tools look for it: `/registrar(1)/registry`.
///
/// # Errors
/// The node has such an actor, or is shutting down.
pub(crate) fn serve_as_registrar(node: &Node, questions: &Arc<Questions>) -> Result<Pid, SpawnError> {
    let questions = questions.clone();
    let install = move |install: &mut Install<Registrar>| {
        install.route(REGISTRY, "the registry as the leader has it now, as JSON", move |request| {
            registry(questions.clone(), request)
        });
    };
    node.spawn(REGISTRAR, |_| Registrar, install)
}

/// Serves one page and does nothing else.
struct Registrar;

impl Actor for Registrar {
    type Context = Context<Self>;
}

struct Pages<'r, 'i, M: Machine<Input = Input> + 'static, E: Edge<M>> {
    install: &'r mut ShellInstall<'i, M, E>,
    questions: Arc<Questions>,
}

impl<M: Machine<Input = Input> + 'static, E: Edge<M>> Pages<'_, '_, M, E> {
    fn serve<F, R>(&mut self, path: &str, help: &str, handler: F)
    where
        F: Fn(Arc<Questions>, HttpRequest) -> R + Send + Sync + 'static,
        R: Future<Output = HttpResponse> + Send + 'static,
    {
        let questions = self.questions.clone();
        self.install.route(path, help, move |request| handler(questions.clone(), request));
    }

    fn change(&mut self, path: &'static str, help: &str, read: fn(&[u8]) -> Result<MembersRequest, String>) {
        self.serve(path, help, move |questions, request| change(questions, request, read));
    }
}

async fn status(questions: Arc<Questions>, request: HttpRequest) -> HttpResponse {
    match only_get(&request) {
        Some(refusal) => refusal,
        None => ask(&questions, &request, MembersRequest::Status).await,
    }
}

async fn registry(questions: Arc<Questions>, request: HttpRequest) -> HttpResponse {
    match only_get(&request) {
        Some(refusal) => refusal,
        None => ask(&questions, &request, MembersRequest::Registry).await,
    }
}

async fn change(
    questions: Arc<Questions>,
    request: HttpRequest,
    read: fn(&[u8]) -> Result<MembersRequest, String>,
) -> HttpResponse {
    if request.method != Method::POST {
        return HttpResponse::method_not_allowed(&[Method::POST], &request.method);
    }
    if !request.rest.is_empty() {
        return HttpResponse::not_found();
    }
    if request.body.len() > MAX_BODY {
        let text = format!("The body is longer than {MAX_BODY} bytes");
        return HttpResponse::text(StatusCode::PAYLOAD_TOO_LARGE, text);
    }
    match read(&request.body) {
        Ok(wanted) => ask(&questions, &request, wanted).await,
        Err(reason) => bad_request(reason),
    }
}

fn only_get(request: &HttpRequest) -> Option<HttpResponse> {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Some(HttpResponse::method_not_allowed(&[Method::GET], &request.method));
    }
    (!request.rest.is_empty()).then(HttpResponse::not_found)
}

async fn ask(questions: &Questions, request: &HttpRequest, wanted: MembersRequest) -> HttpResponse {
    match questions.ask(wanted).await {
        Ok(ReplicaAnswer::Done) => HttpResponse::empty(StatusCode::OK),
        Ok(ReplicaAnswer::Status(status)) => HttpResponse::json(&shown(&status)),
        Ok(ReplicaAnswer::Registry(state)) => {
            let body = SharedBody::produce(move |out| out.write_all(registry::json(&state).as_bytes()));
            HttpResponse::of(StatusCode::OK, "application/json", HttpBody::Shared(body))
        }
        Ok(ReplicaAnswer::NotLeading { leader: Some(leader) }) => {
            leader::moved(&leader.address().to_string(), &format!("/{}{}", request.actor, request.path))
        }
        Ok(ReplicaAnswer::NotLeading { leader: None }) => leader::nobody(),
        Ok(ReplicaAnswer::Refused(reason)) => HttpResponse::text(StatusCode::CONFLICT, reason),
        Err(why) => HttpResponse::text(StatusCode::SERVICE_UNAVAILABLE, why.to_string()),
    }
}

/// What a master knows of its group.
fn shown(status: &Status) -> Value {
    let master = |master: &MasterStatus| {
        json!({
            "id": master.id,
            "address": master.address,
            "role": match master.role {
                MasterRole::Leader => "leader",
                MasterRole::Follower => "follower",
                MasterRole::Learner => "learner",
            },
            "matched": master.matched,
            "active": master.active,
        })
    };
    json!({
        "cluster": status.cluster.map(|cluster| cluster.to_string()),
        "id": status.id,
        "leader": status.leader,
        "term": status.term,
        "commit": status.commit,
        "applied": status.applied,
        "log": { "first": status.log.0, "last": status.log.1 },
        "snapshot": { "index": status.snapshot.0, "bytes": status.snapshot.1 },
        "change": status.change,
        "masters": status.masters.iter().map(master).collect::<Vec<_>>(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    id: u64,
    address: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Remove {
    id: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replace {
    old: u64,
    new: u64,
    address: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    to: Option<u64>,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("The body is not what is expected: {error}"))
}

fn number(name: &str, number: u64) -> Result<MemberId, String> {
    match number {
        0 => Err(format!("'{name}' can't be 0: the numbers of masters begin with 1")),
        number => Ok(MemberId(number)),
    }
}

/// An address that somebody may be reached at: `host:port`.
fn place(address: String) -> Result<String, String> {
    let readable = |host: &str, port: &str| {
        !host.is_empty()
            && !host.contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, '@' | '/' | ','))
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    };
    match address.rsplit_once(':') {
        Some((host, port)) if address.len() <= MAX_ADDRESS && readable(host, port) => Ok(address),
        _ => Err("'address' is not one: expected host:port".to_owned()),
    }
}

#[cfg(test)]
mod tests;
