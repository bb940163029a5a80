//! What the agent knows of the world around it, and what it shows of itself.

pub mod metrics;
pub mod probe;
pub mod state;
pub(crate) mod view;
