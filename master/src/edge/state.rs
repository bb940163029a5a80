//! The JSON of `/state`, in the field names of Mesos's v0 API. A basic form: what clients of `/state` look at first.

use libactor::Time;
use protocol::attribute::AttributeValue;
use protocol::resources::Value as Amount;
use protocol::{ExecutorInfo, Resources, Role, Task, TaskStatus};
use serde_json::{Map, Value, json};

use super::snapshot::{FrameworkView, Snapshot};
use crate::core::agents::Agent;
use crate::core::offers::OfferRecord;

/// `/state`.
pub(crate) fn state(snapshot: &Snapshot) -> Value {
    let active = snapshot.agents.iter().filter(|agent| agent.active()).count();
    json!({
        "version": snapshot.info.version,
        "id": snapshot.info.id,
        "pid": snapshot.info.pid,
        "leader": snapshot.info.pid,
        "hostname": snapshot.info.hostname,
        "cluster": snapshot.cluster,
        "start_time": seconds(Some(snapshot.started_at)),
        "elected_time": seconds(Some(snapshot.started_at)),
        "activated_slaves": active,
        "deactivated_slaves": snapshot.agents.len() - active,
        "unreachable_slaves": snapshot.unreachable_agents,
        "slaves": slaves(snapshot),
        "recovered_slaves": [],
        "frameworks": frameworks(&snapshot.frameworks),
        "completed_frameworks": frameworks(&snapshot.completed_frameworks),
        "orphan_tasks": [],
        "unregistered_frameworks": [],
        "counters": snapshot.numbers,
    })
}

/// The agents of `/slaves` and `/state`.
pub(crate) fn slaves(snapshot: &Snapshot) -> Vec<Value> {
    snapshot.agents.iter().map(slave).collect()
}

/// Frameworks as `/frameworks` and `/state` show them.
pub(crate) fn frameworks(frameworks: &[FrameworkView]) -> Vec<Value> {
    frameworks.iter().map(framework).collect()
}

/// Seconds since the epoch; 0 where there is no such time.
fn seconds(time: Option<Time>) -> f64 {
    time.map_or(0.0, |time| protocol::UnixTime(time.as_nanos()).as_secs_f64())
}

/// `cpus`, `gpus`, `mem` and `disk` always, what is no amount as text.
fn resources(resources: &Resources) -> Value {
    let mut object = Map::new();
    for name in ["cpus", "gpus", "mem", "disk"] {
        object.insert(name.to_owned(), json!(0.0));
    }
    for resource in resources {
        let suffix = if resource.revocable { "_revocable" } else { "" };
        let name = format!("{}{suffix}", resource.name);
        let value = match &resource.value {
            Amount::Scalar(amount) => {
                let before = object.get(&name).and_then(Value::as_f64).unwrap_or(0.0);
                json!(before + amount.as_f64())
            }
            Amount::Ranges(ranges) => json!(ranges.to_string()),
            Amount::Set(set) => json!(format!("{{{}}}", set.iter().cloned().collect::<Vec<_>>().join(", "))),
        };
        object.insert(name, value);
    }
    Value::Object(object)
}

fn slave(agent: &Agent) -> Value {
    let info = &agent.info;
    let mut attributes = Map::new();
    for attribute in &info.attributes.0 {
        let value = match &attribute.value {
            AttributeValue::Scalar(amount) => json!(amount.as_f64()),
            AttributeValue::Ranges(ranges) => json!(ranges.to_string()),
            AttributeValue::Text(text) => json!(text),
        };
        attributes.insert(attribute.name.clone(), value);
    }
    let mut reserved: Map<String, Value> = Map::new();
    for resource in info.resources.iter().filter(|resource| !resource.reservations.is_empty()) {
        let role = resource.role();
        let theirs = info.resources.filtered(|other| !other.reservations.is_empty() && other.role() == role);
        reserved.entry(role.to_string()).or_insert_with(|| resources(&theirs));
    }
    json!({
        "id": agent.id,
        "hostname": info.hostname,
        "port": info.port,
        "attributes": attributes,
        "pid": agent.pid.to_string(),
        "registered_time": seconds(Some(agent.registered_at)),
        "reregistered_time": seconds(agent.reregistered_at),
        "resources": resources(&info.resources),
        "used_resources": resources(&agent.used),
        "offered_resources": resources(&agent.offered),
        "reserved_resources": reserved,
        "unreserved_resources": resources(&info.resources.filtered(|one| one.reservations.is_empty())),
        "active": agent.active(),
        "deactivated": false,
        "connected": agent.connected,
        "version": agent.version,
        "capabilities": ["MULTI_ROLE"],
    })
}

fn framework(framework: &FrameworkView) -> Value {
    let info = &framework.info;
    let held = framework.tasks.iter().filter(|record| record.holds()).map(|record| &record.task.resources);
    let used: Resources = held.chain(framework.executors.iter().map(|(_, info)| &info.resources)).sum();
    let offered: Resources = framework.offers.iter().map(|(_, offer)| &offer.resources).sum();
    let connected = framework.pid.is_some();
    let mut value = json!({
        "id": framework.id,
        "name": info.name,
        "pid": framework.pid.as_ref().map(ToString::to_string),
        "used_resources": resources(&used),
        "offered_resources": resources(&offered),
        "resources": resources(&(used.clone() + offered)),
        "capabilities": info.capabilities.iter().map(|one| shouted(&format!("{one:?}"))).collect::<Vec<_>>(),
        "hostname": info.hostname.clone().unwrap_or_default(),
        "webui_url": info.webui_url.clone().unwrap_or_default(),
        "active": connected,
        "connected": connected,
        "recovered": framework.recovered,
        "user": info.user,
        "failover_timeout": info.failover_timeout.as_secs_f64(),
        "checkpoint": info.checkpoint,
        "registered_time": seconds(framework.registered_at),
        "unregistered_time": seconds(framework.unregistered_at),
        "labels": info.labels,
        "tasks": framework.tasks.iter().map(|record| task(&record.task, Some(&record.role))).collect::<Vec<_>>(),
        "unreachable_tasks": framework.unreachable_tasks.iter().map(|one| task(one, None)).collect::<Vec<_>>(),
        "completed_tasks": framework.completed_tasks.iter().map(|one| task(one, None)).collect::<Vec<_>>(),
        "offers": framework.offers.iter().map(|(id, record)| offer(id.as_str(), record)).collect::<Vec<_>>(),
        "executors": framework.executors.iter().map(|(agent, info)| executor(agent.as_str(), info)).collect::<Vec<_>>(),
    });
    if framework.reregistered_at.is_some() {
        value["reregistered_time"] = json!(seconds(framework.reregistered_at));
    }
    if let Some(principal) = &info.principal {
        value["principal"] = json!(principal);
    }
    if info.can(protocol::Capability::MultiRole) {
        value["roles"] = json!(info.roles);
    } else {
        value["role"] = json!(info.roles.first());
    }
    value
}

fn task(task: &Task, role: Option<&Role>) -> Value {
    let executor_id = if task.command_executor { "" } else { task.executor_id.as_str() };
    let mut value = json!({
        "id": task.task_id,
        "name": task.name,
        "framework_id": task.framework_id,
        "executor_id": executor_id,
        "slave_id": task.agent_id,
        "state": task.state.name(),
        "resources": resources(&task.resources),
        "statuses": task.statuses.iter().map(status).collect::<Vec<_>>(),
        "labels": task.labels,
    });
    if let Some(role) = role {
        value["role"] = json!(role);
    }
    if let Some(user) = &task.user {
        value["user"] = json!(user);
    }
    value
}

fn status(status: &TaskStatus) -> Value {
    let mut value = json!({
        "state": status.state.name(),
        "timestamp": status.timestamp.unwrap_or_default().as_secs_f64(),
    });
    if let Some(healthy) = status.healthy {
        value["healthy"] = json!(healthy);
    }
    if let Some(message) = &status.message {
        value["message"] = json!(message);
    }
    value
}

fn offer(id: &str, offer: &OfferRecord) -> Value {
    json!({
        "id": id,
        "framework_id": offer.framework_id,
        "allocation_info": { "role": offer.role },
        "slave_id": offer.agent_id,
        "resources": resources(&offer.resources),
    })
}

fn executor(agent_id: &str, info: &ExecutorInfo) -> Value {
    json!({
        "executor_id": info.executor_id,
        "name": info.name.clone().unwrap_or_default(),
        "framework_id": info.framework_id,
        "slave_id": agent_id,
        "resources": resources(&info.resources),
        "labels": info.labels,
    })
}

/// `PartitionAware` as `PARTITION_AWARE`.
fn shouted(name: &str) -> String {
    let mut text = String::new();
    for (index, letter) in name.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::allocator::{AllocatorConfig, Hierarchical};
    use crate::core::{Input, Master, MasterConfig};
    use libactor::Machine;
    use protocol::messages::{AgentCall, Call, SchedulerCall};
    use protocol::{AgentInfo, Attribute, Attributes, FrameworkInfo};
    use std::collections::BTreeSet;

    #[test]
    fn state_has_the_names_that_clients_look_for() {
        let now = Time::from_nanos(1_500_000_000);
        let allocator = Box::new(Hierarchical::new(AllocatorConfig::default(), 1));
        let mut master = Master::new(MasterConfig::default(), 1, now, allocator);
        let agent = AgentInfo {
            hostname: "h1".to_owned(),
            port: 5051,
            resources: "cpus:4;cpus(prod):2;mem:1024;ports:[1-9]".parse().expect("resources"),
            attributes: Attributes(vec![Attribute {
                name: "rack".to_owned(),
                value: AttributeValue::Text("r1".to_owned()),
            }]),
            id: None,
        };
        let call = Call::Subscribe { framework: FrameworkInfo::new("f"), suppressed_roles: BTreeSet::new() };
        let inputs = [
            Input::Scheduler {
                from: "s@10.0.0.1:1".parse().expect("an address"),
                call: SchedulerCall { framework_id: None, call },
            },
            Input::Agent {
                from: "a@10.0.0.2:2".parse().expect("an address"),
                call: AgentCall::Register { agent, version: "1".to_owned() },
            },
        ];
        let mut out = Vec::new();
        for input in inputs {
            master.handle(now, input, &mut out);
        }
        for output in std::mem::take(&mut out) {
            if let crate::core::Output::Apply { operation } = output {
                master.handle(now, Input::Applied { operation }, &mut out);
            }
        }
        master.tick(now, &mut out);
        let state = state(&Snapshot::take(&master, now));
        assert_eq!(state["activated_slaves"], 1);
        assert_eq!(state["start_time"], 1.5);
        let slave = &state["slaves"][0];
        assert_eq!(slave["pid"], "a@10.0.0.2:2");
        assert_eq!(slave["attributes"]["rack"], "r1");
        assert_eq!(
            slave["resources"],
            json!({ "cpus": 6.0, "gpus": 0.0, "mem": 1024.0, "disk": 0.0, "ports": "[1-9]" })
        );
        assert_eq!(slave["reserved_resources"]["prod"]["cpus"], 2.0);
        assert_eq!(slave["unreserved_resources"]["cpus"], 4.0);
        let framework = &state["frameworks"][0];
        assert_eq!(framework["role"], "*");
        assert_eq!(framework["offered_resources"]["cpus"], 4.0);
        assert_eq!(framework["offers"][0]["slave_id"], slave["id"]);
    }

    #[test]
    fn names_are_shouted_as_mesos_does() {
        assert_eq!(shouted("PartitionAware"), "PARTITION_AWARE");
    }
}
