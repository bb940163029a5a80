//! Operations.

use std::collections::BTreeMap;

use protocol::wire::registry as stored;
use protocol::{AgentId, FrameworkId, Role, UnixTime};
use stored::operation::Operation as Stored;

use super::Read;
use super::agents::{agent, agent_to_stored, drain, drain_to_stored};
use super::frameworks::{framework, framework_to_stored};
use super::resources::{duration, duration_to_stored, resources, resources_to_stored, uuid, uuid_to_stored};
use crate::registry::{ClusterId, DiskId, Leader, Machine, MemberId, Operation, Quota, Window};

pub(super) fn to_stored(operation: &Operation) -> stored::Operation {
    stored::Operation { version: operation.version(), operation: Some(what_to_stored(operation)) }
}

fn what_to_stored(operation: &Operation) -> Stored {
    match operation {
        Operation::AdmitAgent { agent } => Stored::AdmitAgent(agent_to_stored(agent)),
        Operation::UpdateAgent { agent } => Stored::UpdateAgent(agent_to_stored(agent)),
        Operation::MarkAgentUnreachable { agent_id, since } => {
            Stored::MarkAgentUnreachable(mark_agent(agent_id, *since))
        }
        Operation::MarkAgentReachable { agent } => Stored::MarkAgentReachable(agent_to_stored(agent)),
        Operation::RemoveAgent { agent_id } => Stored::RemoveAgent(of_agent(agent_id)),
        Operation::MarkAgentGone { agent_id, since } => Stored::MarkAgentGone(mark_agent(agent_id, *since)),
        Operation::DeactivateAgent { agent_id } => Stored::DeactivateAgent(of_agent(agent_id)),
        Operation::ReactivateAgent { agent_id } => Stored::ReactivateAgent(of_agent(agent_id)),
        Operation::DrainAgent { agent_id, drain } => {
            let (agent_id, drain) = (agent_id.to_string(), drain_to_stored(drain));
            Stored::DrainAgent(stored::DrainAgent { agent_id, drain })
        }
        Operation::MarkAgentDrained { agent_id } => Stored::MarkAgentDrained(of_agent(agent_id)),
        Operation::Prune { unreachable, gone } => {
            let ids = |list: &[AgentId]| list.iter().map(ToString::to_string).collect();
            Stored::Prune(stored::Prune { unreachable: ids(unreachable), gone: ids(gone) })
        }
        Operation::SubscribeFramework { framework, at } => {
            let (framework, at) = (framework_to_stored(framework), at.0);
            Stored::SubscribeFramework(stored::SubscribeFramework { framework, at })
        }
        Operation::DisconnectFramework { framework_id, since } => {
            Stored::DisconnectFramework(mark_framework(framework_id, *since))
        }
        Operation::RemoveFramework { framework_id, at } => {
            Stored::RemoveFramework(mark_framework(framework_id, *at))
        }
        Operation::UpdateWeights { weights } => {
            Stored::UpdateWeights(stored::Weights { weights: weights_to_stored(weights) })
        }
        Operation::UpdateQuotas { quotas } => {
            Stored::UpdateQuotas(stored::Quotas { quotas: quotas_to_stored(quotas) })
        }
        Operation::UpdateSchedule { windows } => {
            Stored::UpdateSchedule(stored::Schedule { windows: windows_to_stored(windows) })
        }
        Operation::StartMaintenance { machines } => {
            Stored::StartMaintenance(stored::Machines { machines: machines_to_stored(machines) })
        }
        Operation::StopMaintenance { machines } => {
            Stored::StopMaintenance(stored::Machines { machines: machines_to_stored(machines) })
        }
        Operation::Found { cluster } => Stored::Found(stored::Found { cluster: uuid_to_stored(cluster.0) }),
        Operation::Lead { leader } => Stored::Lead(leader_to_stored(leader)),
        Operation::AddMaster { id, address } => {
            Stored::AddMaster(stored::AddMaster { id: id.0, address: address.clone() })
        }
        Operation::RemoveMaster { id } => Stored::RemoveMaster(stored::RemoveMaster { id: id.0 }),
        Operation::ReplaceMaster { old, new, address } => {
            let address = address.clone();
            Stored::ReplaceMaster(stored::ReplaceMaster { old: old.0, new: new.0, address })
        }
        Operation::IdentifyMaster { id, disk, version } => {
            let disk = uuid_to_stored(disk.0);
            Stored::IdentifyMaster(stored::IdentifyMaster { id: id.0, disk, version: *version })
        }
    }
}

pub(super) fn from_stored(stored: Stored) -> Read<Operation> {
    let ids = |list: Vec<String>| list.into_iter().map(AgentId::from).collect();
    Ok(match stored {
        Stored::AdmitAgent(info) => Operation::AdmitAgent { agent: agent(info)? },
        Stored::UpdateAgent(info) => Operation::UpdateAgent { agent: agent(info)? },
        Stored::MarkAgentReachable(info) => Operation::MarkAgentReachable { agent: agent(info)? },
        Stored::MarkAgentUnreachable(stored::MarkAgent { agent_id, since }) => {
            Operation::MarkAgentUnreachable { agent_id: agent_id.into(), since: UnixTime(since) }
        }
        Stored::RemoveAgent(of) => Operation::RemoveAgent { agent_id: of.agent_id.into() },
        Stored::MarkAgentGone(stored::MarkAgent { agent_id, since }) => {
            Operation::MarkAgentGone { agent_id: agent_id.into(), since: UnixTime(since) }
        }
        Stored::DeactivateAgent(of) => Operation::DeactivateAgent { agent_id: of.agent_id.into() },
        Stored::ReactivateAgent(of) => Operation::ReactivateAgent { agent_id: of.agent_id.into() },
        Stored::DrainAgent(of) => {
            Operation::DrainAgent { agent_id: of.agent_id.into(), drain: drain(&of.drain) }
        }
        Stored::MarkAgentDrained(of) => Operation::MarkAgentDrained { agent_id: of.agent_id.into() },
        Stored::Prune(prune) => {
            Operation::Prune { unreachable: ids(prune.unreachable), gone: ids(prune.gone) }
        }
        Stored::SubscribeFramework(of) => {
            Operation::SubscribeFramework { framework: framework(of.framework)?, at: UnixTime(of.at) }
        }
        Stored::DisconnectFramework(stored::MarkFramework { framework_id, at }) => {
            Operation::DisconnectFramework { framework_id: framework_id.into(), since: UnixTime(at) }
        }
        Stored::RemoveFramework(stored::MarkFramework { framework_id, at }) => {
            Operation::RemoveFramework { framework_id: framework_id.into(), at: UnixTime(at) }
        }
        Stored::UpdateWeights(all) => Operation::UpdateWeights { weights: weights(all.weights) },
        Stored::UpdateQuotas(all) => Operation::UpdateQuotas { quotas: quotas(all.quotas)? },
        Stored::UpdateSchedule(all) => Operation::UpdateSchedule { windows: windows(all.windows) },
        Stored::StartMaintenance(all) => Operation::StartMaintenance { machines: machines(all.machines) },
        Stored::StopMaintenance(all) => Operation::StopMaintenance { machines: machines(all.machines) },
        Stored::Found(found) => Operation::Found { cluster: ClusterId(uuid(&found.cluster)?) },
        Stored::Lead(stored) => Operation::Lead { leader: leader(stored) },
        Stored::AddMaster(stored::AddMaster { id, address }) => {
            Operation::AddMaster { id: MemberId(id), address }
        }
        Stored::RemoveMaster(remove) => Operation::RemoveMaster { id: MemberId(remove.id) },
        Stored::ReplaceMaster(stored::ReplaceMaster { old, new, address }) => {
            Operation::ReplaceMaster { old: MemberId(old), new: MemberId(new), address }
        }
        Stored::IdentifyMaster(stored::IdentifyMaster { id, disk, version }) => {
            Operation::IdentifyMaster { id: MemberId(id), disk: DiskId(uuid(&disk)?), version }
        }
    })
}

fn of_agent(agent_id: &AgentId) -> stored::OfAgent {
    stored::OfAgent { agent_id: agent_id.to_string() }
}

pub(super) fn mark_agent(agent_id: &AgentId, since: UnixTime) -> stored::MarkAgent {
    stored::MarkAgent { agent_id: agent_id.to_string(), since: since.0 }
}

pub(super) fn mark_framework(framework_id: &FrameworkId, at: UnixTime) -> stored::MarkFramework {
    stored::MarkFramework { framework_id: framework_id.to_string(), at: at.0 }
}

pub(super) fn leader_to_stored(leader: &Leader) -> stored::Leader {
    stored::Leader {
        id: leader.id.0,
        term: leader.term,
        pid: leader.pid.clone(),
        hostname: leader.hostname.clone(),
        version: leader.version.clone(),
        since: leader.since.0,
    }
}

pub(super) fn leader(stored: stored::Leader) -> Leader {
    Leader {
        id: MemberId(stored.id),
        term: stored.term,
        pid: stored.pid,
        hostname: stored.hostname,
        version: stored.version,
        since: UnixTime(stored.since),
    }
}

pub(super) fn weights_to_stored(weights: &BTreeMap<Role, u64>) -> Vec<stored::Weight> {
    let weight =
        |(role, weight): (&Role, &u64)| stored::Weight { role: role.to_string(), thousandths: *weight };
    weights.iter().map(weight).collect()
}

pub(super) fn weights(stored: Vec<stored::Weight>) -> BTreeMap<Role, u64> {
    stored.into_iter().map(|weight| (Role::from(weight.role), weight.thousandths)).collect()
}

pub(super) fn quotas_to_stored(quotas: &BTreeMap<Role, Quota>) -> Vec<stored::Quota> {
    let quota = |(role, quota): (&Role, &Quota)| stored::Quota {
        role: role.to_string(),
        guarantees: resources_to_stored(&quota.guarantees),
        limits: resources_to_stored(&quota.limits),
    };
    quotas.iter().map(quota).collect()
}

pub(super) fn quotas(stored: Vec<stored::Quota>) -> Read<BTreeMap<Role, Quota>> {
    let quota = |stored: stored::Quota| {
        let (guarantees, limits) = (resources(stored.guarantees)?, resources(stored.limits)?);
        Ok((Role::from(stored.role), Quota { guarantees, limits }))
    };
    stored.into_iter().map(quota).collect()
}

pub(super) fn windows_to_stored(windows: &[Window]) -> Vec<stored::Window> {
    let window = |window: &Window| stored::Window {
        machines: machines_to_stored(&window.machines),
        start: window.start.0,
        duration: window.duration.map(duration_to_stored),
    };
    windows.iter().map(window).collect()
}

pub(super) fn windows(stored: Vec<stored::Window>) -> Vec<Window> {
    let window = |stored: stored::Window| Window {
        machines: machines(stored.machines),
        start: UnixTime(stored.start),
        duration: stored.duration.as_ref().map(duration),
    };
    stored.into_iter().map(window).collect()
}

pub(super) fn machines_to_stored(machines: &[Machine]) -> Vec<stored::Machine> {
    let machine =
        |machine: &Machine| stored::Machine { hostname: machine.hostname.clone(), ip: machine.ip.clone() };
    machines.iter().map(machine).collect()
}

pub(super) fn machines(stored: Vec<stored::Machine>) -> Vec<Machine> {
    stored.into_iter().map(|machine| Machine { hostname: machine.hostname, ip: machine.ip }).collect()
}
