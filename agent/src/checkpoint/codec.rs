//! Records as bytes, in a form that names their fields: a newer program reads what an older one has written, and an older one
//! passes over fields that it does not know.
//!
//! ```text
//! group  = version u8, MessagePack of { first, changes: [{ key, record }] }
//! record = MessagePack of a Record, as bytes of their own: one that can't be read does not hide the others
//! ```

use bytes::Bytes;
use libactor::journal::Fault;
use serde::{Deserialize, Serialize};

use crate::core::checkpoint::{Key, Record};

/// The newest form that this program reads, and the one that it writes.
const VERSION: u8 = 1;

/// Changes that are written together: one record of the journal.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Group {
    /// Records of the journal before this one mean nothing any more.
    #[serde(default)]
    pub(super) first: Option<u64>,
    /// In the order in which they count.
    pub(super) changes: Vec<Entry>,
}

/// One change.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// What is kept of this key from now on; `None`: nothing.
    #[serde(default)]
    pub(super) record: Option<Bytes>,
}

pub(super) fn encode_group(group: &Group) -> Result<Vec<u8>, String> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, group).map_err(|error| error.to_string())?;
    Ok(bytes)
}

pub(super) fn decode_group(bytes: &[u8]) -> Result<Group, Fault> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => {
            rmp_serde::from_slice(rest).map_err(|error| Fault::Damaged(error.to_string()))
        }
        Some((version, _)) if *version > VERSION => Err(Fault::Newer(format!(
            "its records are of version {version}, known are those up to {VERSION}"
        ))),
        _ => Err(Fault::Damaged("it has no version".to_owned())),
    }
}

pub(super) fn encode(record: &Record) -> Result<Bytes, String> {
    encode_any(record)
}

/// As [`encode`], of whatever has the shape of a record.
pub(super) fn encode_any(value: &impl Serialize) -> Result<Bytes, String> {
    rmp_serde::to_vec_named(value).map(Bytes::from).map_err(|error| error.to_string())
}

/// What a record says; it must be that of this key.
pub(super) fn decode(key: &Key, bytes: &[u8]) -> Result<Record, String> {
    let record: Record = rmp_serde::from_slice(bytes).map_err(|error| error.to_string())?;
    if record.key() == *key { Ok(record) } else { Err(format!("it is that of {:?}", record.key())) }
}
