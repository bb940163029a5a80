//! Where a replica keeps what it must not forget.

use libactor::Pid;

use crate::replication::{Parcel, Persist, Snapshot};

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
