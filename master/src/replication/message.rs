//! What replicas say to one another. Raft's own messages in types of ours: the parser that raft's crate comes with never sees
//! bytes from the network.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::input::{Entry, SnapshotPosition};
use crate::registry::{ClusterId, DiskId, MemberId};

/// From one replica to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "meseta.master.Parcel")]
pub struct Parcel {
    /// The cluster of the sender, once it knows.
    pub cluster: Option<ClusterId>,
    /// Who sends.
    pub from: MemberId,
    /// Its disk.
    pub disk: DiskId,
    /// Whom it means.
    pub to: MemberId,
    /// The newest operations that the sender understands: [`crate::registry::VERSION`].
    pub version: u32,
    /// What.
    pub body: Body,
}

/// What a parcel holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// The sender is there: the first that it sends on a connection.
    Hello,
    /// Raft's.
    Raft(Vec<RaftMessage>),
    /// Send a piece of the snapshot of this index.
    Pull {
        /// As announced by a raft message of kind snapshot.
        index: u64,
        /// From this byte.
        offset: u64,
    },
    /// A piece of an encoded snapshot.
    Piece {
        /// Of which.
        index: u64,
        /// The place of its first byte.
        offset: u64,
        /// The size of the whole.
        total: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// The receiver is not wanted: it belongs to another cluster, was removed, or another one has its number.
    NotWanted {
        /// Why, for its operator, with the way out.
        reason: String,
    },
}

/// One of raft's messages. Source of the fields: raft-proto 0.7, `eraftpb.Message`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are raft's")]
pub struct RaftMessage {
    pub kind: i32,
    pub to: u64,
    pub from: u64,
    pub term: u64,
    pub log_term: u64,
    pub index: u64,
    pub entries: Vec<Entry>,
    pub commit: u64,
    pub commit_term: u64,
    /// Of a snapshot only the position travels here; its bytes are pulled.
    pub snapshot: Option<SnapshotPosition>,
    pub request_snapshot: u64,
    pub reject: bool,
    pub reject_hint: u64,
    pub context: Bytes,
    pub priority: i64,
}
