//! Meseta's master.
//!
//! | part | what it does |
//! |---|---|
//! | [`core`] | decides: the master machine, and within it the allocator |
//! | [`registry`] | what every replica of the master holds |
//! | [`replication`] | holds it on several masters, through Raft |
//! | [`disk`] | keeps what a replica must not forget |
//! | `edge` | speaks: the HTTP APIs, undelivered messages, metrics |
//! | [`group`] | puts them together on a node, as one master of several |

pub mod core;
pub mod disk;
mod edge;
pub mod group;
pub mod registry;
pub mod replication;
mod shell;

pub use edge::mirror::Shelf;
pub use edge::snapshot::{AgentView, ExecutorView, FrameworkView, Snapshot, TaskView};
pub use group::{Ended, GroupHandle, MasterStart, Start, start};
pub use shell::NAME;
