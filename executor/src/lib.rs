//! executor

pub mod core;
pub mod limits;
mod status;

pub use status::Status;
