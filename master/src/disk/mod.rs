//! Where a replica keeps what it must not forget.
//!
//! [`Sled`] keeps it in a directory, [`Memory`] not at all. What was reported as [`DiskEvent::Persisted`] survives the end of the
//! process and of the machine; what is damaged is found at the start, and then said ([`DiskError`]) with the way out,
//! [`repair`]. Only an end of the journal that was never reported is cut, and that is logged.

mod cursor;
mod error;
mod events;
mod identity_file;
mod limits;
mod measure;
mod memory;
mod queue;
mod record;
mod repair;
mod replay;
mod shelf;
mod snapshot_file;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use libactor::Pid;

use crate::replication::{Parcel, Persist, Snapshot};

pub use error::DiskError;
pub use identity_file::identity;
pub use measure::{Load, Measured, measure};
pub use memory::Memory;
pub use repair::repair;
pub use store::{Sled, directory, look};

/// Keeps what a replica asks for. Nothing here waits: what takes time is done elsewhere, in the order of the calls, and
/// reported as a [`DiskEvent`].
pub trait Storage: 'static {
    /// As [`Output::Persist`](crate::replication::Output::Persist).
    fn persist(&mut self, persist: Persist);

    /// As [`Output::SaveSnapshot`](crate::replication::Output::SaveSnapshot).
    fn save(&mut self, snapshot: Snapshot);

    /// As [`Output::Compact`](crate::replication::Output::Compact).
    fn compact(&mut self, before: u64);

    /// As [`Output::SendPiece`](crate::replication::Output::SendPiece): reported as [`DiskEvent::Piece`], or not at all.
    fn read_piece(&mut self, to: Pid, parcel: Parcel, index: u64, offset: u64);
}

/// What a [`Storage`] reports.
#[derive(Clone, Debug)]
pub enum DiskEvent {
    /// All up to this number is durable.
    Persisted(u64),
    /// A snapshot is durable: the last index that it holds, and its bytes.
    Saved(u64, u64),
    /// A piece was read: to be sent.
    Piece(Pid, Parcel),
    /// Nothing more is kept: why, for the operator.
    Failed(String),
}
