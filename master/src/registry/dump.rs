//! The registry for people.

use std::collections::BTreeMap;

use protocol::messages::MasterInfo;
use protocol::wire::registry::dump;
use protocol::wire::{self, convert, v1};
use protocol::{Resources, Role};

use super::{Drain, Leader, Machine, Quota, State, Window};

/// The state as Mesos shows its registry, and under `meseta` what Mesos's has no place for: one JSON object.
pub fn json(state: &State) -> String {
    let mut out = Vec::new();
    wire::to_json(&registry(state), &mut out);
    // What is written from texts is text.
    String::from_utf8_lossy(&out).into_owned()
}

fn registry(state: &State) -> dump::Registry {
    use dump::registry::{
        GoneSlave, GoneSlaves, Machines, Slave, Slaves, UnreachableSlave, UnreachableSlaves,
    };
    let slaves = state.admitted.values().map(|agent| Slave {
        info: convert::agent_info_to_wire(&agent.info, true),
        drain_info: agent.wish.drain.as_ref().map(drain_info),
        deactivated: Some(agent.wish.deactivated),
    });
    let unreachable = state.unreachable.iter().map(|(id, agent)| UnreachableSlave {
        id: id.into(),
        timestamp: convert::time_to_wire(agent.since),
        drain_info: agent.wish.drain.as_ref().map(drain_info),
        deactivated: Some(agent.wish.deactivated),
    });
    let gone = state.gone.iter();
    let gone = gone.map(|(id, since)| GoneSlave { id: id.into(), timestamp: convert::time_to_wire(*since) });
    let weight = |(role, weight): (&Role, &u64)| dump::registry::Weight {
        info: v1::WeightInfo { weight: *weight as f64 / 1000.0, role: Some(role.to_string()) },
    };
    dump::Registry {
        master: state.leader.as_ref().map(master),
        slaves: Some(Slaves { slaves: slaves.collect() }),
        unreachable: Some(UnreachableSlaves { slaves: unreachable.collect() }),
        gone: Some(GoneSlaves { slaves: gone.collect() }),
        machines: Some(Machines { machines: machines(state) }),
        schedules: schedule(&state.maintenance).into_iter().collect(),
        quota_configs: state.quotas.iter().map(quota).collect(),
        weights: state.weights.iter().map(weight).collect(),
        minimum_capabilities: Vec::new(),
        meseta: Some(ours(state)),
    }
}

fn master(leader: &Leader) -> dump::registry::Master {
    let info = MasterInfo {
        id: leader.id.to_string().into(),
        pid: leader.pid.clone(),
        hostname: leader.hostname.clone(),
        version: leader.version.clone(),
    };
    let info = v1::MasterInfo { version: Some(info.version.clone()), ..convert::master_info_to_wire(&info) };
    dump::registry::Master { info }
}

/// How an agent is emptied, and how far it is.
pub(crate) fn drain_info(drain: &Drain) -> v1::DrainInfo {
    let state = if drain.drained { v1::DrainState::Drained } else { v1::DrainState::Draining };
    let config = v1::DrainConfig {
        max_grace_period: drain.max_grace_period.map(convert::duration_to_wire),
        mark_gone: Some(drain.mark_gone),
    };
    v1::DrainInfo { state: state.into(), config }
}

/// A machine, as it is named over HTTP.
pub(crate) fn machine_id(machine: &Machine) -> v1::MachineId {
    let named = |name: &String| (!name.is_empty()).then(|| name.clone());
    v1::MachineId { hostname: named(&machine.hostname), ip: named(&machine.ip) }
}

/// A machine's name, as Mesos writes it into sentences.
pub(crate) fn machine_text(machine: &Machine) -> String {
    let mut out = Vec::new();
    wire::to_json(&machine_id(machine), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Those that are worked on, or will be.
fn machines(state: &State) -> Vec<dump::registry::Machine> {
    use v1::machine_info::Mode;
    let mut modes: BTreeMap<&Machine, Mode> = BTreeMap::new();
    for window in &state.maintenance {
        modes.extend(window.machines.iter().map(|machine| (machine, Mode::Draining)));
    }
    modes.extend(state.machines_down.iter().map(|machine| (machine, Mode::Down)));
    let machine = |(machine, mode): (&Machine, Mode)| {
        let window = state.maintenance.iter().find(|window| window.machines.contains(machine));
        let info = v1::MachineInfo {
            id: machine_id(machine),
            mode: Some(mode.into()),
            unavailability: window.map(unavailability),
        };
        dump::registry::Machine { info }
    };
    modes.into_iter().map(machine).collect()
}

fn unavailability(window: &Window) -> v1::Unavailability {
    v1::Unavailability {
        start: convert::time_to_wire(window.start),
        duration: window.duration.map(convert::duration_to_wire),
    }
}

/// The schedule; none where it is empty.
pub(crate) fn schedule(windows: &[Window]) -> Option<v1::maintenance::Schedule> {
    let to_wire = |window: &Window| v1::maintenance::Window {
        machine_ids: window.machines.iter().map(machine_id).collect(),
        unavailability: unavailability(window),
    };
    (!windows.is_empty())
        .then(|| v1::maintenance::Schedule { windows: windows.iter().map(to_wire).collect() })
}

fn quota((role, quota): (&Role, &Quota)) -> v1::quota::QuotaConfig {
    let amounts = |resources: &Resources| {
        let amount = |name: &str| v1::value::Scalar { value: resources.scalar(name).as_f64() };
        resources.iter().map(|resource| (resource.name.to_string(), amount(&resource.name))).collect()
    };
    v1::quota::QuotaConfig {
        role: role.to_string(),
        guarantees: amounts(&quota.guarantees),
        limits: amounts(&quota.limits),
    }
}

fn ours(state: &State) -> dump::Ours {
    use dump::ours::{FormerMaster, Framework, Master, RemovedFramework};
    let masters = state.masters.iter().map(|(id, member)| Master {
        id: id.0,
        address: member.address.clone(),
        disk: member.disk.map(|disk| disk.to_string()),
        version: member.version,
    });
    let former = state.former_masters.iter();
    let former = former.map(|(id, disk)| FormerMaster { id: id.0, disk: disk.map(|disk| disk.to_string()) });
    let frameworks = state.frameworks.values().map(|framework| Framework {
        info: convert::framework_info_to_wire(&framework.info),
        since: convert::time_to_wire(framework.since),
        disconnected: framework.disconnected.map(convert::time_to_wire),
    });
    let removed = state.removed_frameworks.iter();
    let removed =
        removed.map(|(id, at)| RemovedFramework { id: id.into(), timestamp: convert::time_to_wire(*at) });
    dump::Ours {
        cluster: state.cluster.map(|cluster| cluster.to_string()),
        term: state.leader.as_ref().map(|leader| leader.term),
        leads_since: state.leader.as_ref().map(|leader| convert::time_to_wire(leader.since)),
        masters: masters.collect(),
        former_masters: former.collect(),
        frameworks: frameworks.collect(),
        removed_frameworks: removed.collect(),
    }
}
