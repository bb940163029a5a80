//! Whole clusters, tested.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod agent_drill;
mod scheduler_drill;
mod cluster;
mod simulation;
mod tidy;
