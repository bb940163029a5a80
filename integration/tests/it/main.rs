//! Whole clusters, tested.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod agent_drill;
mod cluster;
mod scheduler_drill;
mod simulation;
mod tidy;
