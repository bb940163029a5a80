//! What the agent knows of the world around it.

pub mod probe;
