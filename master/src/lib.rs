//! Meseta's master.
//!
//! | part | what it does |
//! |---|---|
//! | [`core`] | decides: the master machine, and within it the allocator |
//! | [`registry`] | what every replica of the master holds |
//! | `edge` | speaks: the HTTP APIs, undelivered messages, metrics |
//! | [`start`] | puts them together on a node |

pub mod core;
mod edge;
pub mod registry;
mod shell;

pub use edge::mirror::Shelf;
pub use edge::snapshot::{AgentView, ExecutorView, FrameworkView, Snapshot, TaskView};
pub use shell::{MasterHandle, NAME, Start, start};
