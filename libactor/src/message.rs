//! What may travel, and how its name is found.
//!
//! A message is any serde value whose container has a name: `#[serde(rename = "cluster.Note")] struct Note { .. }`.
//! That name is its name on the wire. It is found by letting the type describe itself to a deserializer that takes down the
//! name and then gives up.

use std::fmt;

use crate::MAX_NAME_BYTES;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};

/// A value that can be sent to an actor, in this process or another. Implemented for every type that qualifies.
///
/// Frames are not self-describing: no `skip_serializing_if`, `untagged`, `flatten` or anything else that makes the
/// form depend on the value.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Message for T {}

/// A message that asks for an answer.
pub trait Request: Message {
    /// The answer.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
}

/// The name of a message on the wire; `None` for types whose container has no name (tuples, lists, strings, numbers), or one
/// longer than [`MAX_NAME_BYTES`](crate::MAX_NAME_BYTES).
pub fn message_name<T: DeserializeOwned>() -> Option<&'static str> {
    let mut name = None;
    // The probe always fails; what it leaves behind is the name.
    let _ = T::deserialize(Probe { name: &mut name }).is_err();
    name.filter(|name| (1..=MAX_NAME_BYTES).contains(&name.len()))
}

struct Probe<'a> {
    name: &'a mut Option<&'static str>,
}

/// What the probe fails with; it holds nothing, so that the search for a name does not allocate.
#[derive(Debug)]
struct Found;

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name was found")
    }
}

impl std::error::Error for Found {}

impl serde::de::Error for Found {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Found
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Found;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Found> {
        Err(Found)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Found> {
        *self.name = Some(name);
        Err(Found)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Found> {
        *self.name = Some(name);
        Err(Found)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, _: V) -> Result<V::Value, Found> {
        *self.name = Some(name);
        Err(Found)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: V,
    ) -> Result<V::Value, Found> {
        *self.name = Some(name);
        Err(Found)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        _: V,
    ) -> Result<V::Value, Found> {
        *self.name = Some(name);
        Err(Found)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit seq tuple map
        identifier ignored_any
    }
}

/// Why a node does not carry out what another asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// There is no such actor.
    #[error("there is no such actor")]
    NoSuchActor,
    /// The actor does not answer to this message.
    #[error("the actor does not answer this message")]
    UnknownMessage,
    /// The bytes are not such a message.
    #[error("the message could not be read")]
    Undecodable,
    /// The actor's mailbox is full.
    #[error("the actor's mailbox is full")]
    MailboxFull,
    /// The actor ended, or let go of the request without an answer.
    #[error("the actor gave no answer")]
    NoAnswer,
    /// The answer is larger than a frame.
    #[error("the answer is too large")]
    TooLarge,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(rename = "test.Struct")]
    struct Struct {
        _field: String,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(rename = "test.Enum")]
    enum Enum {
        _One,
        _Two(u8),
    }

    #[derive(Serialize, Deserialize)]
    struct Unit;

    #[derive(Serialize, Deserialize)]
    struct Newtype(u64);

    #[derive(Serialize, Deserialize)]
    struct Pair(u64, u64);

    #[test]
    fn containers_have_names_and_others_have_none() {
        assert_eq!(message_name::<Struct>(), Some("test.Struct"));
        assert_eq!(message_name::<Enum>(), Some("test.Enum"));
        assert_eq!(message_name::<Unit>(), Some("Unit"));
        assert_eq!(message_name::<Newtype>(), Some("Newtype"));
        assert_eq!(message_name::<Pair>(), Some("Pair"));
        assert_eq!(message_name::<(u64, u64)>(), None);
        assert_eq!(message_name::<String>(), None);
        assert_eq!(message_name::<Vec<Struct>>(), None);
    }
}
