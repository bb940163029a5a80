//! The agent at work: its actor between a master and executors that the tests play, and containers as real processes.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests too")]

mod agent;
mod cgroups;
mod client;
mod containers;
mod executor_api;
mod fetcher;
mod hostile;
mod isolation;
mod lives;
mod operator_api;
mod pages;
mod world;
