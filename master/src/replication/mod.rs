//! Replication: several masters hold one registry, through Raft.
//!
//! A master process has two machines. The [`Replica`] is there always: it keeps the log, votes, applies what a majority has
//! made durable, and knows who leads. The master machine (`crate::core`) is there while its replica leads, and begins with
//! the registry that the replica has applied.
//!
//! ```text
//!   master machine ── Propose ──► Replica ── Persist ──► disk (another thread)
//!        ▲                        │  ▲  ▲ └── Send ────► other replicas
//!        └────── Committed ◄──────┘  │  └── Persisted
//!                                    └── Peer
//!   the life of a lead:
//!   follower ─► elected ─► the operation `Lead` is committed ─► Output::Lead ─► … ─► Output::Deposed
//! ```
//!
//! The order that Raft asks for, and why nothing is acknowledged early:
//! - a follower's answers to appends and votes leave only after [`Input::Persisted`] has come for what they promise;
//! - the leader's appends leave at once, its own vote for them counts after [`Input::Persisted`];
//! - an operation is told as [`Output::Committed`] when a majority has it, and only to the lead that proposed it.

mod config;
mod convert;
mod drain;
pub mod input;
pub mod limits;
pub mod message;
mod replica;
#[cfg(test)]
mod tests;
mod view;

/// The name of a replica's actor.
pub const NAME: &str = "masters";

pub use config::ReplicaConfig;
pub use input::{
    Ask, Disposition, Entry, EntryKind, HardState, Identity, Input, MasterRole, MasterStatus, MembersRequest,
    Membership, Output, Persist, Recovered, ReplicaAnswer, Snapshot, SnapshotPosition, Status,
};
pub use message::{Body, Parcel};
pub use replica::Replica;
