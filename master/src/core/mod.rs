//! The master machine.

pub mod allocator;
mod input;

pub use input::{Input, Output};
