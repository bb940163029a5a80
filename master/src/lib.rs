//! Meseta's master.

pub mod core;
pub mod registry;

mod shell;
pub use shell::*;
