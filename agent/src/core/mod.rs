//! The agent machine.

mod input;

pub use input::{ContainerSpec, Input, Output};
