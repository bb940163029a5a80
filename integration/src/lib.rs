//! Whole clusters in one process: in simulation, and as real processes.

pub mod cluster;
pub mod sim;
