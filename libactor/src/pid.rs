//! The address of an actor: `name@ip:port`.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name of an actor, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The address of an actor, printed and parsed as libprocess does: `master@10.0.0.1:5050`, `slave(1)@[::1]:5051`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid {
    name: Arc<str>,
    address: SocketAddr,
}

/// Why a text is not a [`Pid`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an address: expected name@ip:port")]
pub struct ParsePidError {
    /// What was given, cut to a readable length.
    pub text: String,
}

impl Pid {
    /// Puts a name and the address of a node together.
    pub fn new(name: impl Into<Arc<str>>, address: SocketAddr) -> Self {
        Self { name: name.into(), address }
    }

    /// A peer that is no actor: an HTTP client that holds a stream of this node open, as `http(ID)`. The id is chosen so
    /// that nobody can guess it. No actor has such a name, and no message comes from one.
    pub fn stream(id: &str, node: SocketAddr) -> Self {
        Self::new(format!("http({id})"), node)
    }

    /// The id of a stream; `None` if this is an actor.
    pub fn stream_id(&self) -> Option<&str> {
        self.name.strip_prefix("http(")?.strip_suffix(')')
    }

    /// The name of the actor within its node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, shared.
    pub fn shared_name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// Where the node listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Whether a text may be the name of an actor: 1 to 255 printable characters, none of them `@`, `/` or a space.
pub fn valid_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && !name.contains(|c: char| c.is_control() || c.is_whitespace() || c == '@' || c == '/')
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.address)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Pid {
    type Err = ParsePidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParsePidError { text: text.chars().take(80).collect() };
        let (name, address) = text.split_once('@').ok_or_else(refuse)?;
        if !valid_name(name) {
            return Err(refuse());
        }
        Ok(Self::new(name, address.parse().map_err(|_| refuse())?))
    }
}

impl Serialize for Pid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
