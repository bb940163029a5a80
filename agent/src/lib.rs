//! Meseta's agent.

pub mod containerizer;
pub mod core;
