//! Whole clusters in one process.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cluster`] | real masters and agents on real sockets, for tests of frameworks: [`Cluster`] |
//! | [`sim`] | the machines alone on virtual time, with a seeded network and faults, and the invariants they are held to |

pub mod cluster;
pub mod sim;

pub use cluster::{Cluster, ClusterConfig};
