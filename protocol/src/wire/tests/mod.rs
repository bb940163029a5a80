//! Tests of the codec.

mod hostile;
mod identity;
mod negotiation;
mod reading;
mod recorded;
mod refusals;

use super::{Format, Message, WireMessage, decode, encode};

/// The codec of one message, so that tests can go over all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Codec {
    pub(crate) name: &'static str,
    pub(crate) table: &'static Message,
    pub(crate) turn: Turn,
}

/// A body in the first format to the second.
pub(crate) type Turn = fn(Format, &[u8], Format) -> Result<Vec<u8>, String>;

impl Codec {
    pub(crate) const fn of<M: WireMessage>() -> Codec {
        Codec { name: M::NAME, table: M::TABLE, turn: turn::<M> }
    }

    /// The codec of the message with this full name.
    pub(crate) fn named(name: &str) -> Codec {
        *super::tables::CODECS.iter().find(|codec| codec.name == name).expect("a message of this name")
    }
}

fn turn<M: WireMessage>(from: Format, body: &[u8], to: Format) -> Result<Vec<u8>, String> {
    decode::<M>(from, body).map(|message| encode(to, &message)).map_err(|error| error.to_string())
}
