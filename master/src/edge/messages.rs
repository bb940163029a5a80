//! What a snapshot shows, as messages of the operator API. Resources are in the older format (`role`) where Mesos has
//! them so: what an agent has, and what of it is used or offered.

use std::collections::BTreeMap;

use protocol::messages::MasterInfo;
use protocol::wire::convert::{self, EventContext};
use protocol::wire::v1;
use protocol::wire::v1::master::response::{get_agents, get_executors, get_frameworks};
use protocol::{AgentId, AgentInfo, FrameworkId, FrameworkInfo, Offer, OfferId, Resources, Role, Task};
use protocol::{TaskState, TaskStatus, UnixTime};

use super::load::Load;
use super::snapshot::{AgentView, ExecutorView, FrameworkView, Snapshot};
use super::v0::slaves::CAPABILITIES;
use crate::core::Master;
use crate::core::offers::OfferRecord;
use crate::registry::drain_info;

pub(crate) fn framework_id(id: &FrameworkId) -> v1::FrameworkId {
    id.into()
}

pub(crate) fn agent_id(id: &AgentId) -> v1::AgentId {
    id.into()
}

pub(crate) fn framework_info(info: &FrameworkInfo) -> v1::FrameworkInfo {
    convert::framework_info_to_wire(info)
}

pub(crate) fn agent_info(info: &AgentInfo) -> v1::AgentInfo {
    convert::agent_info_to_wire(info, true)
}

/// A task; its resources say which role they are allocated to.
pub(crate) fn task(task: &Task, role: &Role) -> v1::Task {
    convert::task_to_wire(task, Some(role), true)
}

pub(crate) fn task_status(status: &TaskStatus) -> v1::TaskStatus {
    convert::task_status_to_wire(status)
}

pub(crate) fn task_state(state: TaskState) -> i32 {
    i32::from(state.number())
}

/// An agent, and what is on it.
pub(crate) fn agent(view: &AgentView, load: &Load) -> get_agents::Agent {
    get_agents::Agent {
        agent_info: agent_info(&view.info),
        active: view.active,
        deactivated: Some(view.deactivated),
        drain_info: view.draining.as_ref().map(|draining| drain_info(&draining.drain)),
        estimated_drain_start_time: view.draining.as_ref().map(|draining| time(draining.since)),
        version: view.version.clone(),
        pid: Some(view.pid.to_string()),
        registered_time: Some(time(view.registered_at)),
        reregistered_time: view.reregistered_at.map(time),
        total_resources: convert::resources_to_wire(&view.info.resources, None, false),
        allocated_resources: by_role(&load.used),
        offered_resources: by_role(&load.offered),
        capabilities: capabilities(),
        ..get_agents::Agent::default()
    }
}

/// What our agents understand.
fn capabilities() -> Vec<v1::agent_info::Capability> {
    let number = |name| v1::agent_info::capability::Type::from_str_name(name).map(i32::from);
    CAPABILITIES.into_iter().map(|name| v1::agent_info::Capability { r#type: number(name) }).collect()
}

/// A framework and what it holds.
pub(crate) fn framework(snapshot: &Snapshot, view: &FrameworkView) -> get_frameworks::Framework {
    let offers = view.offers.iter().map(|(id, record)| offer(snapshot, id, record));
    get_frameworks::Framework {
        offers: offers.collect(),
        allocated_resources: by_role(&view.used_by_role()),
        offered_resources: by_role(&view.offered_by_role()),
        offer_constraints: Some(v1::scheduler::OfferConstraints::default()),
        unregistered_time: view.unregistered_at.map(time),
        ..framework_alone(view)
    }
}

/// A framework without what it holds.
pub(crate) fn framework_alone(view: &FrameworkView) -> get_frameworks::Framework {
    get_frameworks::Framework {
        framework_info: framework_info(&view.info),
        active: view.connected(),
        connected: view.connected(),
        recovered: view.recovered,
        registered_time: view.registered_at.map(time),
        // Of one that never came back it is when it came.
        reregistered_time: view.reregistered_at.or(view.registered_at).map(time),
        ..get_frameworks::Framework::default()
    }
}

fn offer(snapshot: &Snapshot, id: &OfferId, record: &OfferRecord) -> v1::Offer {
    let agent = snapshot.agents.get(&record.agent_id);
    let offer = Offer {
        id: id.clone(),
        framework_id: record.framework_id.clone(),
        agent_id: record.agent_id.clone(),
        hostname: agent.map(|agent| agent.info.hostname.clone()).unwrap_or_default(),
        address: agent.map(|agent| agent.pid.address().to_string()).unwrap_or_default(),
        role: record.role.clone(),
        resources: record.resources.clone(),
        attributes: agent.map(|agent| agent.info.attributes.clone()).unwrap_or_default(),
        executor_ids: Vec::new(),
    };
    convert::offer_to_wire(&offer, &EventContext::default())
}

pub(crate) fn executor(view: &ExecutorView, on: &AgentId) -> get_executors::Executor {
    get_executors::Executor {
        executor_info: convert::executor_info_to_wire(&view.info, Some(&view.role), true),
        agent_id: agent_id(on),
    }
}

/// Who the master is.
pub(crate) fn master_info(info: &MasterInfo) -> v1::MasterInfo {
    convert::master_info_to_wire(info)
}

/// Amounts alone, of no role.
pub(crate) fn quantities(resources: &Resources) -> Vec<v1::Resource> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for resource in resources {
        if let protocol::resources::Value::Scalar(amount) = &resource.value {
            *sums.entry(&resource.name).or_default() += amount.millis();
        }
    }
    let amount = |(name, millis)| protocol::Resource::scalar(name, protocol::Scalar::from_millis(millis));
    let amounts: Resources = sums.into_iter().map(|sum| Resources::from(amount(sum))).sum();
    convert::resources_to_wire(&amounts, None, true)
}

/// Resources, each with the role that it is allocated to.
pub(crate) fn by_role(resources: &BTreeMap<Role, Resources>) -> Vec<v1::Resource> {
    let all = resources.iter();
    all.flat_map(|(role, resources)| convert::resources_to_wire(resources, Some(role), false)).collect()
}

/// The role that a task's resources were offered for.
pub(crate) fn role_of(master: &Master, task: &Task) -> Role {
    let framework = master.frameworks().get(&task.framework_id);
    let known = framework.and_then(|framework| framework.tasks.get(&task.task_id));
    let first = || framework.and_then(|framework| framework.info.roles.first().cloned());
    let own = task.allocated_to.clone();
    own.or_else(|| known.map(|record| record.role.clone())).or_else(first).unwrap_or_default()
}

/// A framework as an event shows it: the one that is meant may have been removed in the meantime.
pub(crate) fn framework_event(master: &Master, id: &FrameworkId) -> Option<get_frameworks::Framework> {
    let live = master.frameworks().get(id);
    let framework = live.or_else(|| master.completed_frameworks().find(|framework| framework.id == *id))?;
    let view = super::mirror::brief_view(framework);
    let unregistered = view.unregistered_at.map_or(v1::TimeInfo { nanoseconds: 0 }, time);
    Some(get_frameworks::Framework { unregistered_time: Some(unregistered), ..framework_alone(&view) })
}

fn time(time: libactor::Time) -> v1::TimeInfo {
    convert::time_to_wire(UnixTime(time.as_nanos()))
}
