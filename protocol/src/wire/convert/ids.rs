//! Identities: text in a message of its own.

use bytes::Bytes;

use crate::wire::v1;
use crate::{AgentId, ContainerId, ExecutorId, FrameworkId, OfferId, Role, TaskId, Uuid};

macro_rules! both_ways {
    ($($ours:ident),*) => {$(
        impl From<&$ours> for v1::$ours {
            fn from(id: &$ours) -> Self {
                Self { value: id.as_str().to_owned() }
            }
        }

        impl From<v1::$ours> for $ours {
            fn from(id: v1::$ours) -> Self {
                Self::from(id.value)
            }
        }
    )*};
}

both_ways!(FrameworkId, AgentId, TaskId, ExecutorId, OfferId);

impl From<&ContainerId> for v1::ContainerId {
    fn from(id: &ContainerId) -> Self {
        Self { value: id.as_str().to_owned(), parent: None }
    }
}

impl From<v1::ContainerId> for ContainerId {
    /// Of a nested container the innermost name: nothing here is nested.
    fn from(id: v1::ContainerId) -> Self {
        Self::from(id.value)
    }
}

/// An identity where an empty one means none.
pub(super) fn present<T: From<String>>(value: Option<String>) -> Option<T> {
    value.filter(|value| !value.is_empty()).map(T::from)
}

/// Roles by name; a repeated one counts once.
pub(super) fn roles<C: FromIterator<Role>>(names: Vec<String>) -> C {
    names.into_iter().map(Role::from).collect()
}

/// Sixteen bytes with the mark of one of the versions that RFC 4122 knows, as Mesos reads them.
///
/// # Errors
/// They are not: what Mesos says.
pub(super) fn uuid(bytes: &[u8]) -> Result<Uuid, String> {
    match <[u8; 16]>::try_from(bytes) {
        Ok(bytes) if matches!(bytes[6] >> 4, 1..=5) => Ok(Uuid(bytes)),
        _ => Err("Not a valid UUID".to_owned()),
    }
}

/// The sixteen bytes.
pub(super) fn uuid_to_wire(uuid: Uuid) -> Bytes {
    Bytes::copy_from_slice(&uuid.0)
}
