//! Whole clusters, tested.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod agent_drill;
mod agents;
mod checks;
mod clients;
mod cluster;
mod daemons;
mod fetching;
mod frameworks;
mod hostile;
mod http;
mod masters;
mod odd_requests;
mod scheduler_drill;
mod simulation;
mod subscribers;
mod tidy;
mod verified;
