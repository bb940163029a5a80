//! Why a body is no message, in the words of Mesos.

use super::json::read::Mistake;
use std::fmt;

/// Why a body is no message.
///
/// Its `Display` is what the scheduler and executor APIs and the master's operator API answer with status 400. The
/// agent's operator API says it otherwise ([`DecodeError::on_agent`]), the older endpoints without introduction
/// ([`DecodeError::reason`]). Source: recordings of Mesos 1.12.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The message that was expected: `Call`.
    message: &'static str,
    cause: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    Syntax(String),
    Unfit(String),
    Bytes,
}

impl DecodeError {
    pub(crate) fn json(message: &'static str, mistake: Mistake) -> DecodeError {
        let cause = match mistake {
            Mistake::Syntax(text) => Cause::Syntax(text),
            Mistake::Unfit(text) => Cause::Unfit(text),
        };
        DecodeError { message, cause }
    }

    pub(crate) fn bytes(message: &'static str) -> DecodeError {
        DecodeError { message, cause: Cause::Bytes }
    }

    /// Whether the body is not even JSON; it was expected to be.
    pub fn is_syntax(&self) -> bool {
        matches!(self.cause, Cause::Syntax(_))
    }

    /// The reason alone: `Missing required fields: windows[0].unavailability`.
    pub fn reason(&self) -> &str {
        match &self.cause {
            Cause::Syntax(text) | Cause::Unfit(text) => text,
            Cause::Bytes => "Failed to parse body into a protobuf object",
        }
    }

    /// As the agent's operator API says it.
    pub fn on_agent(&self) -> String {
        match &self.cause {
            Cause::Syntax(text) => format!("Failed to parse body into JSON: {text}"),
            Cause::Unfit(_) | Cause::Bytes => self.reason().to_owned(),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Syntax(text) => write!(f, "Failed to parse body into JSON: {text}"),
            Cause::Unfit(text) => write!(f, "Failed to convert JSON into {} protobuf: {text}", self.message),
            Cause::Bytes => write!(f, "Failed to parse body into {} protobuf", self.message),
        }
    }
}

impl std::error::Error for DecodeError {}
