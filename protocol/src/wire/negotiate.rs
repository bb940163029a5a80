//! Which format a request has, and which one its answer gets. Source of the texts: recordings of Mesos 1.12.
//!
//! The order in which Mesos judges a request:
//! 1. the method ([`request`]: 405), then `Content-Type` ([`request`]: 400 without one, 415);
//! 2. the agent's operator API alone: `Message-Content-Type`, `Accept`, `Message-Accept` ([`agent_request`],
//!    [`agent_response`]: 400, 406, 415);
//! 3. the body ([`super::decode`]: 400), then what the call must have (400);
//! 4. `Accept` ([`response`]: 406): for all calls of the master's operator API, but in the scheduler and executor APIs
//!    only for SUBSCRIBE, whose answer alone has a body.

use super::Format;

/// An answer that refuses a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// The body of the answer, plain text.
    pub text: String,
    /// The `Allow` header of the answer.
    pub allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: u16, text: impl Into<String>) -> Refusal {
        Refusal { status, text: text.into(), allow: None }
    }
}

/// One message, or a stream of records that are each a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One message.
    One(Format),
    /// A stream of records of this format.
    Records(Format),
}

impl Shape {
    /// The format of its messages.
    pub fn format(self) -> Format {
        match self {
            Shape::One(format) | Shape::Records(format) => format,
        }
    }

    /// The `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Shape::One(format) => format.content_type(),
            Shape::Records(_) => RECORDIO,
        }
    }

    /// The `Message-Content-Type`, of a stream.
    pub fn message_content_type(self) -> Option<&'static str> {
        match self {
            Shape::One(_) => None,
            Shape::Records(format) => Some(format.content_type()),
        }
    }
}

/// The media type of a stream of records, on the agent's operator API.
pub const RECORDIO: &str = "application/recordio";

const JSON: &str = Format::Json.content_type();
const PROTOBUF: &str = Format::Protobuf.content_type();

/// Judges the method: POST is taken, and nothing else.
///
/// # Errors
/// 405.
pub fn method(method: &str) -> Result<(), Refusal> {
    if method == "POST" {
        return Ok(());
    }
    let text = format!("405 Method Not Allowed. Expecting one of {{ 'POST' }}, but received '{method}'.");
    Err(Refusal { allow: Some("POST"), ..Refusal::new(405, text) })
}

/// Judges the method and the `Content-Type` of a request; gives the format of its body.
///
/// # Errors
/// 405, 400 without a `Content-Type`, 415 with another one, also one with parameters.
pub fn request(method_: &str, content_type: Option<&str>) -> Result<Format, Refusal> {
    method(method_)?;
    let content_type = present(content_type)?;
    format(content_type)
        .ok_or_else(|| Refusal::new(415, format!("Expecting 'Content-Type' of {JSON} or {PROTOBUF}")))
}

/// Judges the `Accept` of a request (several such headers are joined by commas); gives the format of its answer: JSON
/// if it is accepted.
///
/// # Errors
/// 406.
pub fn response(accept: Option<&str>) -> Result<Format, Refusal> {
    accepted(accept)
        .ok_or_else(|| Refusal::new(406, format!("Expecting 'Accept' to allow '{PROTOBUF}' or '{JSON}'")))
}

/// As [`request`], on the agent's operator API, which takes streams, too.
///
/// # Errors
/// 405; 400 without a `Content-Type`, or without a `Message-Content-Type` of a stream; 415.
pub fn agent_request(
    method_: &str,
    content_type: Option<&str>,
    message_content_type: Option<&str>,
) -> Result<Shape, Refusal> {
    method(method_)?;
    let content_type = present(content_type)?;
    if content_type == RECORDIO {
        let inner = message_content_type.ok_or_else(|| {
            Refusal::new(400, "Expecting 'Message-Content-Type' to be set for streaming requests")
        })?;
        let wrong = || Refusal::new(415, format!("Expecting 'Message-Content-Type' of {JSON} or {PROTOBUF}"));
        return format(inner).map(Shape::Records).ok_or_else(wrong);
    }
    let format = format(content_type).ok_or_else(|| {
        Refusal::new(415, format!("Expecting 'Content-Type' of {JSON} or {PROTOBUF} or {RECORDIO}"))
    })?;
    if message_content_type.is_some() {
        return Err(Refusal::new(
            415,
            "Expecting 'Message-Content-Type' to be not set for non-streaming requests",
        ));
    }
    Ok(Shape::One(format))
}

/// As [`response`], on the agent's operator API, which answers with streams, too.
///
/// # Errors
/// 406.
pub fn agent_response(accept: Option<&str>, message_accept: Option<&str>) -> Result<Shape, Refusal> {
    if let Some(format) = accepted(accept) {
        return match message_accept {
            None => Ok(Shape::One(format)),
            Some(_) => {
                Err(Refusal::new(406, "Expecting 'Message-Accept' to be not set for non-streaming responses"))
            }
        };
    }
    if !accepts(accept, RECORDIO) {
        return Err(Refusal::new(
            406,
            format!("Expecting 'Accept' to allow {JSON} or {PROTOBUF} or {RECORDIO}"),
        ));
    }
    accepted(message_accept)
        .map(Shape::Records)
        .ok_or_else(|| Refusal::new(406, format!("Expecting 'Message-Accept' to allow {JSON} or {PROTOBUF}")))
}

fn present(content_type: Option<&str>) -> Result<&str, Refusal> {
    content_type.ok_or_else(|| Refusal::new(400, "Expecting 'Content-Type' to be present"))
}

fn format(content_type: &str) -> Option<Format> {
    [Format::Json, Format::Protobuf].into_iter().find(|format| format.content_type() == content_type)
}

fn accepted(accept: Option<&str>) -> Option<Format> {
    [Format::Json, Format::Protobuf].into_iter().find(|format| accepts(accept, format.content_type()))
}

/// Whether a list of media ranges, perhaps with weights (`text/*;q=0.5, */*;q=0`), takes this media type. The most
/// specific range decides; no list takes all.
fn accepts(accept: Option<&str>, media_type: &str) -> bool {
    let Some(accept) = accept else { return true };
    let all_of_kind = media_type.split_once('/').map(|(kind, _)| format!("{kind}/*")).unwrap_or_default();
    [media_type, &all_of_kind, "*/*"]
        .into_iter()
        .find_map(|range| accept.split(',').find_map(|item| weight_if(item, range)))
        .unwrap_or(false)
}

/// Whether the item takes what it is about, if it is about this range.
fn weight_if(item: &str, range: &str) -> Option<bool> {
    let mut parts = item.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(range) {
        return None;
    }
    let mut weights = parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.trim() == "q");
    match (weights.next(), weights.next()) {
        (Some((_, weight)), None) => Some(weight.trim().parse::<f64>().is_ok_and(|weight| weight > 0.0)),
        _ => Some(true),
    }
}
