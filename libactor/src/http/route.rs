//! Who serves a path.

use hyper::Uri;
use hyper::header::USER_AGENT;

use super::head::Refusal;
use super::message::NOT_FOUND;
use super::path::{self, BadPath};
use super::serve::HttpServer;
use super::{Handler, HttpRequest, HttpResponse, Method, StatusCode, builtin};
use crate::{Node, Pid};

/// Methods that a request may have.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::PATCH,
    Method::TRACE,
    Method::CONNECT,
];

/// The segments of a path, or why it has none.
pub(crate) fn segments(method: &Method, uri: &Uri) -> Result<Vec<String>, Refusal> {
    if !METHODS.contains(method) {
        let method: String = method.as_str().chars().take(40).collect();
        return Err(Refusal::bad(format!(
            "The method '{method}' is not known: expecting GET, HEAD, POST, PUT or DELETE"
        )));
    }
    path::segments(uri.path()).map_err(|error| match error {
        BadPath::Escape => Refusal::bad(
            "The path has a bad percent-escape: expecting two hexadecimal digits after '%', of UTF-8",
        ),
        BadPath::Nowhere => Refusal::new(StatusCode::NOT_FOUND, NOT_FOUND),
    })
}

/// The answer of whoever serves the path.
pub(crate) async fn answer(
    server: &HttpServer,
    segments: &[String],
    mut request: HttpRequest,
) -> HttpResponse {
    if let Some(sender) = libprocess_sender(&request)
        && let [actor, name] = segments
    {
        return message(server, &sender, actor, name);
    }
    if let Some(response) = builtin::answer(&server.node, segments, &request) {
        return response;
    }
    match find(&server.node, segments, &mut request) {
        Some(handler) => handler(request).await,
        None => HttpResponse::not_found(),
    }
}

/// The route of a path: the actor that it begins with, or the delegate for all of it.
fn find(node: &Node, segments: &[String], request: &mut HttpRequest) -> Option<Handler> {
    let mut route = |actor: &str, segments: &[String]| {
        let path = format!("/{}", segments.join("/"));
        let entry = node.entry(actor)?;
        let route = entry.route(&path)?;
        request.actor = actor.to_owned();
        request.rest = if route.path == "/" { path.clone() } else { path[route.path.len()..].to_owned() };
        request.path = path;
        Some(route.handler.clone())
    };
    let named = segments.split_first().and_then(|(actor, rest)| route(actor, rest));
    named.or_else(|| route(&node.delegate()?, segments))
}

/// Who sends, if the request is a message of libprocess: a POST that says from which actor it comes.
fn libprocess_sender(request: &HttpRequest) -> Option<Pid> {
    if request.method != Method::POST {
        return None;
    }
    let agent = || request.headers.get(USER_AGENT)?.to_str().ok()?.strip_prefix("libprocess/");
    request.header("libprocess-from").or_else(agent)?.trim().parse().ok()
}

/// Libprocess hears 202 if there is such an actor, whatever becomes of the message. Here it is dropped.
fn message(server: &HttpServer, sender: &Pid, actor: &str, name: &str) -> HttpResponse {
    if !server.node.has_actor(actor) {
        return HttpResponse::not_found();
    }
    server.messages.increment();
    tracing::debug!(
        "the message '{name}' of {sender} to '{actor}' is dropped: libprocess is not spoken here"
    );
    HttpResponse::empty(StatusCode::ACCEPTED)
}
