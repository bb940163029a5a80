//! Meseta's master.
//!
//! | part | what it does |
//! |---|---|
//! | [`core`] | decides: the master machine, and within it the allocator |
//! | [`registry`] | what every replica of the master holds |
//! | `edge` | speaks: undelivered messages, metrics, the JSON of `/state` |
//! | [`start`] | puts them together on a node |

pub mod core;
mod edge;
pub mod registry;
mod shell;

pub use edge::snapshot::{FrameworkView, Snapshot};
pub use shell::{MasterHandle, NAME, Start, start};
