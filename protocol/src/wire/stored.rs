//! Messages that the program itself has written: to a disk, or to another of its kind.

use super::{WireMessage, check};

/// Bytes are not the message that they are said to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GarbledError {
    /// They are no protobuf, or that of another message.
    #[error("{name}: {why}")]
    Undecodable {
        /// Of the message.
        name: &'static str,
        /// What the decoder says.
        why: String,
    },
    /// What must be there is not.
    #[error("{name}: without {}", .fields.join(", "))]
    Lacking {
        /// Of the message.
        name: &'static str,
        /// The paths of the fields.
        fields: Vec<String>,
    },
}

/// The bytes of a message: the same for equal messages.
pub fn to_stored<M: WireMessage>(message: &M) -> Vec<u8> {
    message.encode_to_vec()
}

/// Reads a message. Unlike [`decode`](super::decode) it has no bound but the bytes' length: nobody from outside writes them.
/// Fields that nobody knows are passed over.
///
/// # Errors
/// The bytes are not the message, or something that is required is not there.
pub fn from_stored<M: WireMessage>(bytes: &[u8]) -> Result<M, GarbledError> {
    let undecodable = |why: String| GarbledError::Undecodable { name: M::NAME, why };
    let message = M::decode(bytes).map_err(|error| undecodable(error.to_string()))?;
    let fields = check::missing(M::TABLE, bytes).map_err(|_| undecodable("nested too deep".to_owned()))?;
    if fields.is_empty() { Ok(message) } else { Err(GarbledError::Lacking { name: M::NAME, fields }) }
}
