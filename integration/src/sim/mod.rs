//! Whole clusters in simulation.

pub mod agent;
pub mod drill;
pub mod executor;
pub mod framework;
mod message;

pub use message::Message;
