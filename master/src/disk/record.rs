//! Records of the journal, as bytes.
//!
//! ```text
//! record = version u8, parts
//! part   = tag u8, then by tag:
//!   1 identity     id u64, disk [16], 0 | 1 cluster [16]
//!   2 hard state   term u64, vote u64, commit u64
//!   3 snapshot     replaces the log: 0 | 1; position
//!   4 first        sequence u64: records before it are void
//!   5 entries      count u32, the first one's index u64, then each:
//!                  kind u8, term u64, bytes of data u32, of context u32, data, context
//! ```
//! A record is the whole of what it says or is not there at all. Records are read in order; a later word replaces an earlier one, and
//! entries replace all that the log has from the first of them on.

use bytes::Bytes;
use libactor::journal::Fault;
use protocol::Uuid;

use super::cursor::{Cursor, Put};
use crate::registry::{ClusterId, DiskId, MemberId};
use crate::replication::{Entry, EntryKind, HardState, Identity, Membership, SnapshotPosition};

/// The newest form of records that this program reads, and the one that it writes.
const VERSION: u8 = 1;

const IDENTITY: u8 = 1;
const HARD_STATE: u8 = 2;
const SNAPSHOT: u8 = 3;
const FIRST: u8 = 4;
const ENTRIES: u8 = 5;

/// What each entry takes beside its data and context.
const ENTRY_BYTES: usize = 17;

/// One thing that a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Identity(Identity),
    HardState(HardState),
    Snapshot { position: SnapshotPosition, replaces_log: bool },
    First(u64),
    Entries(Vec<Entry>),
}

/// A record that is being put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record(Vec<u8>);

impl Default for Record {
    fn default() -> Self {
        Self(vec![VERSION])
    }
}

impl Record {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 1
    }

    pub(super) fn identity(&mut self, identity: &Identity) {
        self.0.u8(IDENTITY);
        put_identity(&mut self.0, identity);
    }

    pub(super) fn hard_state(&mut self, hard_state: HardState) {
        self.0.u8(HARD_STATE);
        self.0.u64(hard_state.term);
        self.0.u64(hard_state.vote);
        self.0.u64(hard_state.commit);
    }

    pub(super) fn snapshot(&mut self, position: &SnapshotPosition, replaces_log: bool) {
        self.0.u8(SNAPSHOT);
        self.0.u8(u8::from(replaces_log));
        put_position(&mut self.0, position);
    }

    pub(super) fn first(&mut self, sequence: u64) {
        self.0.u8(FIRST);
        self.0.u64(sequence);
    }

    /// Entries that follow one another.
    pub(super) fn entries(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        self.0.reserve(entries.iter().map(entry_bytes).sum::<usize>() + 16);
        self.0.u8(ENTRIES);
        self.0.u32(length(entries.len()));
        self.0.u64(first.index);
        for (index, entry) in (first.index..).zip(entries) {
            assert_eq!(entry.index, index, "entries follow one another");
            self.0.u8(kind_code(entry.kind));
            self.0.u64(entry.term);
            self.0.u32(length(entry.data.len()));
            self.0.u32(length(entry.context.len()));
            self.0.extend_from_slice(&entry.data);
            self.0.extend_from_slice(&entry.context);
        }
    }
}

/// What an entry takes in a record.
pub(super) fn entry_bytes(entry: &Entry) -> usize {
    ENTRY_BYTES + entry.data.len() + entry.context.len()
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("entries and their number are far below 4 GiB")
}

fn kind_code(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Normal => 0,
        EntryKind::Change => 1,
        EntryKind::ChangeV2 => 2,
    }
}

/// What a record says.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Part>, Fault> {
    let mut from = Cursor(bytes);
    let version = from.u8()?;
    if version > VERSION {
        return Err(Fault::Newer(format!(
            "its records are of version {version}, known are those up to {VERSION}"
        )));
    }
    if version == 0 {
        return Err(Fault::Damaged("there are no records of version 0".to_owned()));
    }
    let mut parts = Vec::new();
    while !from.0.is_empty() {
        parts.push(match from.u8()? {
            IDENTITY => Part::Identity(read_identity(&mut from)?),
            HARD_STATE => {
                Part::HardState(HardState { term: from.u64()?, vote: from.u64()?, commit: from.u64()? })
            }
            SNAPSHOT => {
                let replaces_log = from.u8()? != 0;
                Part::Snapshot { position: read_position(&mut from)?, replaces_log }
            }
            FIRST => Part::First(from.u64()?),
            ENTRIES => Part::Entries(read_entries(&mut from)?),
            tag => return Err(Fault::Damaged(format!("nothing has the tag {tag}"))),
        });
    }
    Ok(parts)
}

fn read_entries(from: &mut Cursor<'_>) -> Result<Vec<Entry>, Fault> {
    let count = from.count(ENTRY_BYTES - 8)?;
    let first = from.u64()?;
    if first.checked_add(count as u64).is_none() {
        return Err(Fault::Damaged(format!("no entries begin at {first}")));
    }
    let mut entries = Vec::with_capacity(count);
    for index in (first..).take(count) {
        let kind = match from.u8()? {
            0 => EntryKind::Normal,
            1 => EntryKind::Change,
            2 => EntryKind::ChangeV2,
            code => return Err(Fault::Damaged(format!("no kind of entries has the number {code}"))),
        };
        let term = from.u64()?;
        let (data, context) = (from.u32()? as usize, from.u32()? as usize);
        let data = Bytes::copy_from_slice(from.take(data)?);
        let context = Bytes::copy_from_slice(from.take(context)?);
        entries.push(Entry { kind, term, index, data, context });
    }
    Ok(entries)
}

fn put_identity(into: &mut Vec<u8>, identity: &Identity) {
    into.u64(identity.id.0);
    into.extend_from_slice(&identity.disk.0.0);
    into.u8(u8::from(identity.cluster.is_some()));
    if let Some(cluster) = identity.cluster {
        into.extend_from_slice(&cluster.0.0);
    }
}

fn read_identity(from: &mut Cursor<'_>) -> Result<Identity, Fault> {
    let id = MemberId(from.u64()?);
    let disk = DiskId(Uuid(from.bytes16()?));
    let cluster = match from.u8()? {
        0 => None,
        _ => Some(ClusterId(Uuid(from.bytes16()?))),
    };
    Ok(Identity { id, disk, cluster })
}

/// The position of a snapshot: index u64, term u64, the four lists of members, whether the leader ends a joint change.
pub(super) fn put_position(into: &mut Vec<u8>, position: &SnapshotPosition) {
    into.u64(position.index);
    into.u64(position.term);
    let members = &position.members;
    for list in [&members.voters, &members.learners, &members.voters_outgoing, &members.learners_next] {
        into.list(list);
    }
    into.u8(u8::from(members.auto_leave));
}

/// As [`put_position`] wrote it.
pub(super) fn read_position(from: &mut Cursor<'_>) -> Result<SnapshotPosition, Fault> {
    let (index, term) = (from.u64()?, from.u64()?);
    let members = Membership {
        voters: from.list()?,
        learners: from.list()?,
        voters_outgoing: from.list()?,
        learners_next: from.list()?,
        auto_leave: from.u8()? != 0,
    };
    Ok(SnapshotPosition { index, term, members })
}
