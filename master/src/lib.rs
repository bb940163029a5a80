//! Meseta's master.

pub mod core;
pub mod registry;
