//! The messages of Mesos's v1 APIs, as they travel over HTTP. Source of names and numbers: Mesos 1.11, `include/mesos/v1`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`convert`] | between the messages and the vocabulary |
//! | [`v1`] | the message types, generated from the schemas in `protocol/proto` |
//! | [`registry`] | what masters keep on disk: a schema of our own, `protocol/proto/registry.proto` |
//! | this one | bodies to messages and back, in both formats: [`decode`], [`encode`], [`to_json`] |
//! | [`recordio`] | records in a stream |
//! | [`negotiate`] | which format a request has, and which one its answer gets |
//! | [`common`] | answers that masters and agents give alike |
//! | [`v0`] | values as the older endpoints show them |
//!
//! JSON becomes protobuf's bytes first, and bytes become JSON: both walk the same tables (`tables`), beside which
//! prost's types need no code of ours.
//!
//! ```
//! use protocol::wire::{self, Format, v1::scheduler::Call};
//!
//! let call: Call = wire::decode(Format::Json, br#"{"type": "REVIVE", "framework_id": {"value": "f"}}"#)?;
//! assert_eq!(wire::encode(Format::Json, &call), br#"{"framework_id":{"value":"f"},"type":"REVIVE"}"#);
//! let refused = wire::decode::<Call>(Format::Json, br#"{"framework_id": {}}"#).unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "Failed to convert JSON into Call protobuf: Missing required fields: framework_id.value"
//! );
//! # Ok::<(), wire::DecodeError>(())
//! ```

mod bytes;
mod check;
pub mod common;
pub mod convert;
mod error;
mod json;
mod maps;
pub mod negotiate;
pub mod recordio;
mod stored;
mod tables;
#[cfg(test)]
mod tests;
pub mod v0;

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all)]

    include!(concat!(env!("OUT_DIR"), "/wire.rs"));
}

pub use error::DecodeError;
pub use generated::meseta::registry;
pub use generated::mesos::v1;
pub use stored::{GarbledError, from_stored, to_stored};
pub use tables::Message;

use crate::limits::MAX_MESSAGE_DEPTH;
use json::read::{Mistake, Read};

/// The version of the Mesos API that answers claim; clients parse it.
pub const API_VERSION: &str = "1.11.0";

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Mesos's mapping to JSON.
    Json,
    /// Protobuf's bytes.
    Protobuf,
}

impl Format {
    /// The media type: `application/json` or `application/x-protobuf`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Protobuf => "application/x-protobuf",
        }
    }
}

/// A message of the schemas. All have it, by `build.rs`.
pub trait WireMessage: prost::Message + Default {
    /// Its full name: `mesos.v1.scheduler.Call`.
    const NAME: &'static str;
    /// What it is made of.
    #[doc(hidden)]
    const TABLE: &'static Message;
}

/// Reads a body as one message.
///
/// # Errors
/// The body is not of the format, does not fit the message, or lacks required fields. The text is what Mesos answers.
pub fn decode<M: WireMessage>(format: Format, body: &[u8]) -> Result<M, DecodeError> {
    let name = M::TABLE.name;
    match format {
        Format::Json => {
            let read = json::read::object(M::TABLE, body, "Expecting a JSON object");
            read.and_then(|read| from_read(&read)).map_err(|mistake| DecodeError::json(name, mistake))
        }
        Format::Protobuf => from_bytes(body).ok_or_else(|| DecodeError::bytes(name)),
    }
}

/// Reads a body of the older endpoints that is one JSON object. See [`DecodeError::reason`].
///
/// # Errors
/// As of [`decode`], and that it is no object.
pub fn decode_object<M: WireMessage>(body: &[u8]) -> Result<M, DecodeError> {
    let read = json::read::object(M::TABLE, body, UNEXPECTED_TYPE);
    read.and_then(|read| from_read(&read)).map_err(|mistake| DecodeError::json(M::TABLE.name, mistake))
}

/// Reads a body of the older endpoints that is a JSON array of objects. See [`DecodeError::reason`].
///
/// # Errors
/// As of [`decode`], of the first element that is refused, and that it is no array.
pub fn decode_list<M: WireMessage>(body: &[u8]) -> Result<Vec<M>, DecodeError> {
    let messages = json::read::list(M::TABLE, body, UNEXPECTED_TYPE).and_then(|read| {
        let mut cursor = bytes::Cursor::new(&read.bytes);
        let mut messages = Vec::new();
        while let Ok(element) = cursor.field() {
            messages.push(from_read(&Read { bytes: element.content.to_vec(), suspect: read.suspect })?);
        }
        Ok(messages)
    });
    messages.map_err(|mistake| DecodeError::json(M::TABLE.name, mistake))
}

/// What the older endpoints say of a body that is an object instead of an array, or the other way round.
const UNEXPECTED_TYPE: &str = "Unexpected JSON type parsed";

/// Writes a message.
pub fn encode<M: WireMessage>(format: Format, message: &M) -> Vec<u8> {
    match format {
        Format::Json => {
            let mut out = Vec::new();
            to_json(message, &mut out);
            out
        }
        Format::Protobuf => maps::filled(M::TABLE, message.encode_to_vec()),
    }
}

/// Appends a message as JSON, without white space between the tokens.
pub fn to_json<M: WireMessage>(message: &M, out: &mut Vec<u8>) {
    let bytes = maps::filled(M::TABLE, message.encode_to_vec());
    out.reserve(bytes.len() * 2);
    json::write::object(M::TABLE, &bytes, out);
}

/// Appends messages as a JSON array, as [`to_json`] does one.
pub fn to_json_list<M: WireMessage>(messages: &[M], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, message) in messages.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        to_json(message, out);
    }
    out.push(b']');
}

/// Appends a text as a JSON string, escaped as in messages.
pub fn to_json_string(text: &str, out: &mut Vec<u8>) {
    json::write::string(text.as_bytes(), out);
}

/// Appends a number as doubles stand in messages: `15.0`, `1795199959.246962`, `1e30`.
pub fn to_json_double(number: f64, out: &mut Vec<u8>) {
    json::write::double(number, out);
}

fn from_read<M: WireMessage>(read: &Read) -> Result<M, Mistake> {
    if read.suspect {
        let missing = check::missing(M::TABLE, &read.bytes).unwrap_or_default();
        if !missing.is_empty() {
            return Err(Mistake::Unfit(format!("Missing required fields: {}", missing.join(", "))));
        }
    }
    // What was written from the tables can fail in two ways only; both are the text's.
    M::decode(&read.bytes[..]).map_err(|_| {
        Mistake::Unfit(format!(
            "A string is not UTF-8, or messages are nested deeper than {MAX_MESSAGE_DEPTH}"
        ))
    })
}

fn from_bytes<M: WireMessage>(body: &[u8]) -> Option<M> {
    if check::is_plain(M::TABLE, body).ok()? {
        return M::decode(body).ok();
    }
    let settled = maps::filled(M::TABLE, check::settle(M::TABLE, body).ok()?);
    if !check::missing(M::TABLE, &settled).ok()?.is_empty() {
        return None;
    }
    M::decode(&settled[..]).ok()
}
