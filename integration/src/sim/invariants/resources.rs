//! What is offered of an agent is what it has and does not use, at all times, as the master counts.

use super::Invariant;
use crate::sim::Cluster;
use crate::sim::master::MasterHost;

/// Offered resources of every agent.
#[derive(Debug, Default)]
pub struct WithinTotal;

impl Invariant for WithinTotal {
    fn always(&mut self, cluster: &Cluster) {
        for agent in cluster.leading().flat_map(MasterHost::agents) {
            // What an agent has lost may still be in use there.
            let free = agent.total.clone() - agent.used.clone();
            assert!(
                free.contains(&agent.offered),
                "{}: {} are offered and {} used of {}",
                agent.id,
                agent.offered,
                agent.used,
                agent.total
            );
        }
    }
}
