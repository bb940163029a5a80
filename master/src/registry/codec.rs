//! Operations and states as bytes: on the disks of masters, and between them. The schema is ours
//! (`protocol/proto/registry.proto`), exact where Mesos's messages round, and it takes whatever was once applied: a value
//! that validation refuses one day must not keep masters from reading yesterday's log.
//!
//! Three numbers say who can read what: the entry's format, each operation's [`version`](Operation::version), the state's
//! version. Fields that nobody knows are passed over; what must not be is [`Unreadable`].

mod agents;
mod frameworks;
mod operations;
mod resources;
mod state;
#[cfg(test)]
mod tests;

use protocol::wire::registry as stored;
use protocol::wire::{from_stored, to_stored};

use super::{Operation, State, VERSION};

/// How entries are laid out.
const FORMAT: u32 = 1;

/// This program.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Bytes that this program can't read, and must not pass over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A newer program has written them.
    #[error("{what}, which this program ({PROGRAM}) does not understand: {way_out}", way_out = way_out(.writer))]
    Newer {
        /// What there is, as a sentence begins.
        what: String,
        /// The program that wrote it, as far as it says so.
        writer: Option<String>,
    },
    /// No program has written them so.
    #[error("the registry's bytes are garbled: {0}")]
    Garbled(String),
}

fn way_out(writer: &Option<String>) -> String {
    match writer {
        Some(writer) if writer != PROGRAM => format!("run version {writer} of it or a newer one"),
        _ => "run the newest version of it that one of the masters has had".to_owned(),
    }
}

fn newer(what: String, writer: &Option<String>) -> Unreadable {
    Unreadable::Newer { what, writer: writer.clone() }
}

fn garbled(why: impl ToString) -> Unreadable {
    Unreadable::Garbled(why.to_string())
}

/// What a message of the schema must hold and its fields alone do not say.
type Read<T> = Result<T, String>;

/// Operations that go into the log together. Equal operations give equal bytes, by the same program.
pub fn encode_operations(operations: &[Operation]) -> Vec<u8> {
    to_stored(&stored::Entry {
        format: FORMAT,
        writer: Some(PROGRAM.to_owned()),
        operations: operations.iter().map(operations::to_stored).collect(),
    })
}

/// The operations of an entry, in order.
///
/// # Errors
/// There is one among them that this program does not understand, or the bytes are none of ours.
pub fn decode_operations(bytes: &[u8]) -> Result<Vec<Operation>, Unreadable> {
    let head: stored::EntryHead = from_stored(bytes).map_err(garbled)?;
    if head.format > FORMAT {
        let what = format!("an entry of the registry has format {}", head.format);
        return Err(newer(what, &head.writer));
    }
    if let Some(newest) = head.operations.iter().map(|of| of.version).max().filter(|it| *it > VERSION) {
        let what = format!("an operation of the registry has version {newest}");
        return Err(newer(what, &head.writer));
    }
    let entry: stored::Entry = from_stored(bytes).map_err(garbled)?;
    let read = |operation: stored::Operation| match operation.operation {
        None => Err(newer("there is an unknown operation of the registry".to_owned(), &head.writer)),
        Some(operation) => operations::from_stored(operation).map_err(garbled),
    };
    entry.operations.into_iter().map(read).collect()
}

/// A state as a snapshot holds it: equal states give equal bytes.
pub fn encode_state(state: &State) -> Vec<u8> {
    to_stored(&state::to_stored(state))
}

/// The state that a snapshot holds.
///
/// # Errors
/// A newer program wrote it and this one would lose some of it, or the bytes are none of ours.
pub fn decode_state(bytes: &[u8]) -> Result<State, Unreadable> {
    let head: stored::StateHead = from_stored(bytes).map_err(garbled)?;
    if head.version > VERSION {
        let what = format!("the registry's state has version {}", head.version);
        return Err(newer(what, &head.leader.and_then(|leader| leader.version)));
    }
    let state: stored::State = from_stored(bytes).map_err(garbled)?;
    state::from_stored(state).map_err(garbled)
}
