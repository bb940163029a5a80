//! What every node serves.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{HttpRequest, HttpResponse, StatusCode, page, path};
use crate::node::LogLevelError;
use crate::{Node, system};

/// Paths and what they are for.
pub(super) const ROUTES: [(&str, &str); 8] = [
    ("/help", "these lines; /help/{actor} for those of one actor"),
    ("/__processes__", "the actors, what waits for them, what they have handled"),
    ("/metrics/snapshot", "the metrics as JSON"),
    ("/metrics", "the metrics in the text form of Prometheus"),
    ("/version", "what runs here"),
    ("/health", "200 while it runs"),
    ("/system/stats.json", "load and memory of the host"),
    ("/logging/toggle", "the log level; ?level=1&duration=10secs: another for a while"),
];

/// Answers, if the path is one of these, whatever the method is.
pub(crate) fn answer(node: &Node, segments: &[String], request: &HttpRequest) -> Option<HttpResponse> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    Some(match segments[..] {
        [] => page::page(node),
        ["help"] => help(node, None),
        ["help", actor] => help(node, Some(actor)),
        ["__processes__"] => processes(node),
        ["metrics", "snapshot"] => snapshot(node, request),
        ["metrics"] => {
            let text = node.metrics().prometheus();
            HttpResponse::new(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
        }
        ["version"] => HttpResponse::json(&node.config().version),
        ["health"] => HttpResponse::empty(StatusCode::OK),
        ["system", "stats.json"] => stats(),
        ["logging", "toggle"] => toggle(node, request),
        _ => return None,
    })
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
            return HttpResponse::not_found();
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

/// `events` is there for tools that look for it: what waits is counted, not listed.
fn processes(node: &Node) -> HttpResponse {
    let all: Vec<_> = node
        .entries()
        .iter()
        .map(|entry| {
            json!({
                "id": entry.pid.name(),
                "events": [],
                "queued": entry.queued(),
                "capacity": entry.mailbox.max_capacity(),
                "handled": entry.handled.load(Ordering::Relaxed),
                "messages": entry.message_names(),
            })
        })
        .collect();
    HttpResponse::json(&all)
}

/// All gauges answer at once, so that a timeout only has to be one.
fn snapshot(node: &Node, request: &HttpRequest) -> HttpResponse {
    if let Some(timeout) = request.query.get("timeout")
        && let Err(error) = path::duration(timeout)
    {
        return HttpResponse::bad_request(format!("Invalid timeout '{timeout}': {error}.\n"));
    }
    HttpResponse::json(&node.metrics().snapshot())
}

fn stats() -> HttpResponse {
    let stats = system::stats().into_iter().map(|(name, value)| match name.strip_prefix("load_") {
        Some(span) => (format!("avg_load_{span}"), json!(value)),
        None => (name.to_owned(), json!(value as u64)),
    });
    HttpResponse::json(&stats.collect::<serde_json::Map<String, Value>>())
}

fn toggle(node: &Node, request: &HttpRequest) -> HttpResponse {
    let (level, duration) = match (request.query.get("level"), request.query.get("duration")) {
        (None, None) => return HttpResponse::text(StatusCode::OK, format!("{}\n", node.log_level())),
        (Some(_), None) => return HttpResponse::bad_request("Expecting 'duration=value' in query.\n"),
        (None, Some(_)) => return HttpResponse::bad_request("Expecting 'level=value' in query.\n"),
        (Some(level), Some(duration)) => (level, duration),
    };
    let duration = match path::duration(duration) {
        Ok(duration) => duration,
        Err(error) => return HttpResponse::bad_request(format!("{error}.\n")),
    };
    let changed = match level.parse() {
        Ok(level) => node.set_log_level(level, duration),
        Err(_) => node.set_log_level_named(level, duration),
    };
    match changed {
        Ok(()) => HttpResponse::empty(StatusCode::OK),
        Err(error @ LogLevelError::Fixed) => {
            HttpResponse::text(StatusCode::NOT_IMPLEMENTED, format!("{error}.\n"))
        }
        Err(error) => HttpResponse::bad_request(format!("{error}.\n")),
    }
}
