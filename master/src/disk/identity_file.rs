//! Who a replica is, in a file of its own beside the journal: for `repair`, when the journal can't be read any more.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use libactor::journal::sync_directory;

use super::cursor::Cursor;
use super::record::{Part, Record, decode};
use crate::replication::Identity;

/// Replaces what the file says.
pub(super) fn write(replica: &Path, identity: &Identity) -> io::Result<()> {
    let mut record = Record::default();
    record.identity(identity);
    let mut bytes = crc32fast::hash(record.bytes()).to_le_bytes().to_vec();
    bytes.extend_from_slice(record.bytes());
    let unfinished = replica.join("identity.tmp");
    let mut file = File::create(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, replica.join("identity"))?;
    sync_directory(replica)
}

/// Who the replica in this directory is or was, as far as that can be read, also if all else there is damaged.
pub fn identity(replica: &Path) -> Option<Identity> {
    let bytes = fs::read(replica.join("identity")).ok()?;
    let mut from = Cursor(&bytes);
    let sum = from.u32().ok()?;
    if sum != crc32fast::hash(from.0) {
        return None;
    }
    decode(from.0).ok()?.into_iter().find_map(|part| match part {
        Part::Identity(identity) => Some(identity),
        _ => None,
    })
}
