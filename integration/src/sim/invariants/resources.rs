//! What is offered and used on an agent stays within what it has, at all times, as the master counts.

use super::Invariant;
use crate::sim::Cluster;
use crate::sim::master::MasterHost;

/// Offered and used resources of every agent.
#[derive(Debug, Default)]
pub struct WithinTotal;

impl Invariant for WithinTotal {
    fn always(&mut self, cluster: &Cluster) {
        for agent in cluster.leading().flat_map(MasterHost::agents) {
            let taken = agent.offered.clone() + agent.used.clone();
            assert!(
                agent.total.contains(&taken),
                "{}: {} are offered and {} used of {}",
                agent.id,
                agent.offered,
                agent.used,
                agent.total
            );
        }
    }
}
