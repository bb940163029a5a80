//! Whole clusters in simulation: the real machines on virtual time, a seeded network between them, faults on and
//! then off.
//!
//! [`Cluster`] makes everything from one seed: how many agents and frameworks there are, what they have and want, how
//! long everything takes, what goes wrong and when. The machines are those of the product; around them stand hosts
//! that do what shells and edges do:
//!
//! | host | machine | simulated |
//! |---|---|---|
//! | [`replica::ReplicaHost`] | `master::replication::Replica` | a [`disk`] that takes its time, and forgets when its process ends |
//! | [`master::MasterHost`], [`master::Standby`] | `master::core::Master`, while its replica leads | the messages between the two within their process |
//! | [`agent::AgentHost`] | `agent::core::Agent` | a containerizer: launches take time and may fail, executors are processes; streams of those that speak HTTP |
//! | [`executor::ExecutorHost`] | `executor::core::Session` | tasks: a plan of when to end and how; some speak HTTP, and their connections break |
//! | [`framework::FrameworkHost`] | `scheduler_driver::core::Session` | a scheduler that accepts, declines, kills, reconciles, suppresses, fails over; some as clients over HTTP do ([`streams`]) |
//!
//! Agents and frameworks find the master that leads by [`finder`]; an [`operator`] takes masters in and lets them go.
//!
//! A run has three parts. Faults are on: nothing bad may happen. Faults are off and nothing new is launched: all must
//! come to rest, and all views must agree. What is left is killed: nothing may stay behind. What "bad" means is said in
//! [`invariants`], one file each; every machine's own `check` runs after each of its inputs as well.
//!
//! A failing seed prints how to run it again:
//! `MESETA_SIM_SEED=17 cargo test -p integration sim_replay -- --nocapture`. `MESETA_SIM_SEEDS` sets how many seeds a
//! run tries, `MESETA_SIM_LINES` how much of the trace is printed.
//!
//! [`drill`] holds masters that drill one kind of component alone.

pub mod agent;
pub mod agent_disk;
mod cluster;
pub mod disk;
pub mod drill;
pub mod executor;
mod executor_streams;
pub mod finder;
pub mod fleet;
pub mod framework;
pub mod invariants;
pub mod master;
mod message;
pub mod operator;
pub mod replica;
pub mod streams;
mod work;

pub use cluster::{Cluster, Phase};
pub use message::{Group, Message};
