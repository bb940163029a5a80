//! What every node serves.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::{HttpRequest, HttpResponse, Method, StatusCode, path};
use crate::Node;

/// Sets the log level to what is given, or back to what it was. The error says what is wrong with it.
pub(crate) type LogLevelHook = Arc<dyn Fn(Option<&str>) -> Result<(), String> + Send + Sync>;

/// Paths and what they are for, for `/help`.
const ROUTES: [(&str, &str); 7] = [
    ("/help", "these lines; /help/{actor} for those of one actor"),
    ("/__processes__", "the actors, what waits for them, what they have handled"),
    ("/metrics/snapshot", "the metrics as JSON"),
    ("/metrics", "the metrics in the text form of Prometheus"),
    ("/version", "what runs here"),
    ("/health", "200 while it runs"),
    ("/logging/toggle", "?level=debug&duration=10secs: another log level for a while"),
];

/// Longest time for which the log level can be changed.
const MAX_TOGGLE: Duration = Duration::from_secs(24 * 3600);

/// Answers, if the path is one of these.
pub(crate) fn answer(node: &Node, segments: &[String], request: &HttpRequest) -> Option<HttpResponse> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let answer: fn(&Node, &HttpRequest) -> HttpResponse = match segments[..] {
        ["help"] => |node, _| help(node, None),
        ["help", actor] => return Some(help(node, Some(actor))),
        ["__processes__"] => |node, _| processes(node),
        ["metrics", "snapshot"] => |node, _| HttpResponse::json(&node.metrics().snapshot()),
        ["metrics"] => |node, _| {
            HttpResponse::new(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                node.metrics().prometheus(),
            )
        },
        ["version"] => |node, _| HttpResponse::json(&node.config().version),
        ["health"] => |_, _| HttpResponse::empty(StatusCode::OK),
        ["logging", "toggle"] => return Some(toggle(node, request)),
        _ => return None,
    };
    if matches!(request.method, Method::GET | Method::HEAD) {
        return Some(answer(node, request));
    }
    let refusal = format!("Expecting one of {{ 'GET' }}, but received '{}'.\n", request.method);
    Some(HttpResponse::text(StatusCode::METHOD_NOT_ALLOWED, refusal).with_header("allow", "GET"))
}

fn help(node: &Node, actor: Option<&str>) -> HttpResponse {
    let mut text = String::new();
    let mut line = |path: &str, help: &str| {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{path}\n    {help}");
    };
    let entries = node.entries();
    if let Some(actor) = actor {
        if !entries.iter().any(|entry| entry.pid.name() == actor) {
            return HttpResponse::text(StatusCode::NOT_FOUND, format!("There is no actor '{actor}'.\n"));
        }
    } else {
        ROUTES.iter().for_each(|(path, help)| line(path, help));
    }
    for entry in entries.iter().filter(|entry| actor.is_none_or(|actor| entry.pid.name() == actor)) {
        for route in &entry.routes {
            line(&format!("/{}{}", entry.pid.name(), route.path), &route.help);
        }
    }
    HttpResponse::text(StatusCode::OK, text)
}

fn processes(node: &Node) -> HttpResponse {
    let all: Vec<_> = node
        .entries()
        .iter()
        .map(|entry| {
            json!({
                "id": entry.pid.name(),
                "queued": entry.queued(),
                "capacity": entry.mailbox.max_capacity(),
                "handled": entry.handled.load(Ordering::Relaxed),
                "messages": entry.message_names(),
            })
        })
        .collect();
    HttpResponse::json(&all)
}

fn toggle(node: &Node, request: &HttpRequest) -> HttpResponse {
    if !matches!(request.method, Method::GET | Method::POST) {
        return HttpResponse::empty(StatusCode::METHOD_NOT_ALLOWED).with_header("allow", "GET, POST");
    }
    let bad = |text: String| HttpResponse::text(StatusCode::BAD_REQUEST, format!("{text}\n"));
    let Some(level) = request.query.get("level") else {
        return bad("Expecting 'level=value' in query.".into());
    };
    let Some(duration) = request.query.get("duration") else {
        return bad("Expecting 'duration=value' in query (e.g. 10secs).".into());
    };
    let Some(duration) = path::duration(duration).filter(|duration| *duration <= MAX_TOGGLE) else {
        return bad(format!("Invalid duration '{duration}': a number and a unit, at most 1days."));
    };
    match node.toggle_log_level(level, duration) {
        None => HttpResponse::text(StatusCode::NOT_IMPLEMENTED, "This program keeps its log level.\n"),
        Some(Err(reason)) => bad(reason),
        Some(Ok(())) => HttpResponse::empty(StatusCode::OK),
    }
}
