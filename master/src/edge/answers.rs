//! Refusals over HTTP.

use libactor::http::{HttpResponse, StatusCode};
use protocol::wire::negotiate::Refusal;

/// The request is wrong.
pub(crate) fn bad_request(reason: String) -> HttpResponse {
    HttpResponse::text(StatusCode::BAD_REQUEST, reason)
}

/// The master is ending, or too much is asked of it.
pub(crate) fn unavailable() -> HttpResponse {
    HttpResponse::text(StatusCode::SERVICE_UNAVAILABLE, "The master can't tell now; try again later")
}

/// Mesos can do it, and we can't yet.
pub(crate) fn not_implemented(name: &str) -> HttpResponse {
    let text = format!("501 Not Implemented. This master does not know {name} yet.");
    HttpResponse::text(StatusCode::NOT_IMPLEMENTED, text)
}

/// What the negotiation of formats says.
pub(crate) fn refuse(refusal: Refusal) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let response = HttpResponse::text(status, refusal.text);
    match refusal.allow {
        Some(allow) => response.with_header("allow", allow),
        None => response,
    }
}
