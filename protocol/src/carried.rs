//! Parts of Mesos's messages that this vocabulary does not speak: carried and shown as they came.

use std::fmt;

use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Serialize};

/// A message of [`wire`](crate::wire) in its protobuf encoding. Equal if the encodings are.
///
/// A type of the vocabulary has at most one of these, `unread`, with those fields of Mesos's message set that the type
/// itself has no place for; a field that the type learns to speak leaves it.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Carried<T> {
    encoded: Bytes,
    #[serde(skip)]
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T: Message + Default + PartialEq> Carried<T> {
    /// Carries a message; nothing where nothing of it is set.
    pub fn new(message: &T) -> Option<Self> {
        let worthwhile = *message != T::default();
        worthwhile.then(|| Self { encoded: message.encode_to_vec().into(), of: std::marker::PhantomData })
    }

    /// The message; what another version has garbled counts as not set.
    pub fn read(&self) -> T {
        T::decode(self.encoded.clone()).unwrap_or_default()
    }
}

impl<T> Carried<T> {
    /// How many bytes are carried.
    pub(crate) fn len(&self) -> usize {
        self.encoded.len()
    }
}

impl<T> Clone for Carried<T> {
    fn clone(&self) -> Self {
        Self { encoded: self.encoded.clone(), of: std::marker::PhantomData }
    }
}

impl<T> PartialEq for Carried<T> {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl<T> Eq for Carried<T> {}

impl<T: Message + Default + PartialEq + fmt::Debug> fmt::Debug for Carried<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.read(), f)
    }
}
