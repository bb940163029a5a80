//! Once all is calm, one master leads, and all that vote have its registry.

use master::replication::MasterRole;

use super::{Invariant, ensure};
use crate::sim::Cluster;

/// The agreement of masters.
#[derive(Debug, Default)]
pub struct Agreement;

impl Invariant for Agreement {
    fn converged(&self, cluster: &Cluster) -> Result<(), String> {
        let leading: Vec<_> = cluster.leading().map(|master| master.term()).collect();
        ensure!(leading.len() == 1, "masters lead in terms {leading:?}");
        ensure!(cluster.operator_idles(), "what the operator has begun is done");
        let registry = cluster.registry().ok_or("there is a registry")?;
        let newest = cluster.newest_index();
        let replicas: Vec<_> = cluster.replicas().map(|(_, replica)| replica.machine()).collect();
        for id in registry.masters.keys() {
            let replica = replicas.iter().find(|replica| replica.status().id == *id);
            let replica = replica.ok_or_else(|| format!("master {id} lives"))?;
            let status = replica.status();
            ensure!(replica.applied() == newest, "master {id} has {} of {newest}", replica.applied());
            ensure!(*replica.state() == registry, "master {id} has the registry");
            ensure!(
                status.cluster == registry.cluster && status.cluster.is_some(),
                "master {id} is of the cluster"
            );
            let votes = status.masters.iter().all(|master| master.role != MasterRole::Learner);
            ensure!(
                votes && status.masters.len() == registry.masters.len(),
                "all vote: {:?}",
                status.masters
            );
            ensure!(status.leader.is_some(), "master {id} knows who leads");
        }
        Ok(())
    }
}
