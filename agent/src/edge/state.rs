//! What `/slave(1)/state` shows: the JSON of Mesos's v0 endpoint of the same name.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use libactor::Time;
use protocol::attribute::AttributeValue;
use protocol::notation::Span;
use protocol::resources::Value as Amount;
use protocol::{Attributes, ExecutorId, FrameworkId, Label, Resources, Task, TaskInfo, TaskStatus};
use serde_json::{Map, Value, json};

use crate::core::{Agent, Executor, Framework, Phase};

/// All that the agent runs, as JSON. `work_dir` makes sandbox paths absolute.
pub fn state(agent: &Agent, work_dir: &Path) -> Value {
    let config = agent.config();
    let total = &config.info.resources;
    json!({
        "version": config.version,
        "start_time": seconds(agent.started()),
        "id": agent.id().map_or("", |id| id.as_str()),
        "pid": config.pid.to_string(),
        "hostname": config.info.hostname,
        "registered": agent.phase() == Phase::Running,
        "master": agent.master().map(ToString::to_string),
        "resources": resources(total),
        "used_resources": resources(&agent.used_resources()),
        "unreserved_resources": resources(&total.filtered(|resource| resource.reservations.is_empty())),
        "reserved_resources": reserved(total),
        "attributes": attributes(&config.info.attributes),
        "flags": {
            "work_dir": work_dir.display().to_string(),
            "executor_registration_timeout": Span(config.executor_registration_timeout).to_string(),
            "executor_shutdown_grace_period": Span(config.executor_shutdown_grace_period).to_string(),
            "registration_backoff_factor": Span(config.registration_backoff_factor).to_string(),
            "switch_user": config.switch_user.to_string(),
        },
        "frameworks": agent
            .frameworks()
            .iter()
            .map(|(id, known)| framework(id, known, work_dir))
            .collect::<Vec<_>>(),
        "completed_frameworks": [],
    })
}

fn framework(id: &FrameworkId, framework: &Framework, work_dir: &Path) -> Value {
    let info = &framework.info;
    let executors = framework.executors.iter();
    json!({
        "id": id.as_str(),
        "name": info.name,
        "user": info.user,
        "failover_timeout": info.failover_timeout.as_secs_f64(),
        "checkpoint": info.checkpoint,
        "hostname": info.hostname.as_deref().unwrap_or_default(),
        "principal": info.principal,
        "roles": info.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
        "executors": executors
            .map(|(id, one)| executor(id, one, framework, work_dir))
            .collect::<Vec<_>>(),
        "completed_executors": [],
    })
}

fn executor(id: &ExecutorId, executor: &Executor, framework: &Framework, work_dir: &Path) -> Value {
    let own = framework.tasks.values().filter(|task| task.executor_id == *id);
    let queued = |task: &&Task| executor.queued_tasks().any(|queued| queued.task_id == task.task_id);
    let (ended, live): (Vec<&Task>, Vec<&Task>) =
        own.filter(|task| !queued(task)).partition(|task| task.state.is_terminal());
    let used = live.iter().map(|task| &task.resources).chain([&executor.info.resources]).sum();
    json!({
        "id": id.as_str(),
        "name": executor.info.name.as_deref().unwrap_or_default(),
        "source": "",
        "container": executor.container_id.as_str(),
        "directory": work_dir.join(&executor.sandbox).display().to_string(),
        "resources": resources(&used),
        "labels": labels(&executor.info.labels),
        "type": if executor.command_executor { "COMMAND" } else { "CUSTOM" },
        "pid": executor.os_pid,
        "tasks": live.into_iter().map(task).collect::<Vec<_>>(),
        "queued_tasks": executor.queued_tasks().map(queued_task).collect::<Vec<_>>(),
        "completed_tasks": ended.into_iter().map(task).collect::<Vec<_>>(),
    })
}

fn task(task: &Task) -> Value {
    // Quirk of Mesos: a command task has no executor here.
    let executor_id = if task.command_executor { "" } else { task.executor_id.as_str() };
    json!({
        "id": task.task_id.as_str(),
        "name": task.name,
        "framework_id": task.framework_id.as_str(),
        "executor_id": executor_id,
        "slave_id": task.agent_id.as_str(),
        "state": task.state.name(),
        "resources": resources(&task.resources),
        "statuses": task.statuses.iter().map(status).collect::<Vec<_>>(),
        "labels": labels(&task.labels),
    })
}

fn queued_task(task: &TaskInfo) -> Value {
    json!({
        "id": task.task_id.as_str(),
        "name": task.name,
        "slave_id": task.agent_id.as_str(),
        "resources": resources(&task.resources),
        "labels": labels(&task.labels),
    })
}

fn status(status: &TaskStatus) -> Value {
    let mut shown = Map::new();
    shown.insert("state".into(), status.state.name().into());
    if let Some(timestamp) = status.timestamp {
        shown.insert("timestamp".into(), timestamp.as_secs_f64().into());
    }
    if let Some(healthy) = status.healthy {
        shown.insert("healthy".into(), healthy.into());
    }
    if !status.labels.is_empty() {
        shown.insert("labels".into(), labels(&status.labels));
    }
    shown.into()
}

fn labels(labels: &[Label]) -> Value {
    labels.iter().map(|label| json!({ "key": label.key, "value": label.value })).collect()
}

/// The four known amounts always, others where they are there; what are no amounts as text.
fn resources(resources: &Resources) -> Value {
    let mut shown = Map::new();
    for name in ["cpus", "disk", "gpus", "mem"] {
        shown.insert(name.into(), resources.scalar(name).as_f64().into());
    }
    for resource in resources {
        let name = resource.name.to_string();
        if shown.contains_key(&name) {
            continue;
        }
        let value = match &resource.value {
            Amount::Scalar(_) => resources.scalar(&name).as_f64().into(),
            Amount::Ranges(_) => resources.ranges(&name).to_string().into(),
            Amount::Set(set) => format!("{{{}}}", set.iter().cloned().collect::<Vec<_>>().join(", ")).into(),
        };
        shown.insert(name, value);
    }
    shown.into()
}

fn reserved(total: &Resources) -> Value {
    let mut roles = BTreeMap::new();
    for resource in total.iter().filter(|resource| !resource.reservations.is_empty()) {
        *roles.entry(resource.role()).or_insert_with(Resources::new) += &resource.clone().into();
    }
    roles.iter().map(|(role, kept)| (role.to_string(), resources(kept))).collect::<Map<_, _>>().into()
}

/// Names that repeat: the last one is shown, as Mesos does.
fn attributes(attributes: &Attributes) -> Value {
    let shown = attributes.0.iter().map(|attribute| {
        let value = match &attribute.value {
            AttributeValue::Scalar(scalar) => scalar.as_f64().into(),
            AttributeValue::Ranges(ranges) => ranges.to_string().into(),
            AttributeValue::Text(text) => text.clone().into(),
        };
        (attribute.name.clone(), value)
    });
    shown.collect::<Map<_, _>>().into()
}

fn seconds(time: Time) -> f64 {
    Duration::from_nanos(time.as_nanos()).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_amounts_are_always_there() {
        let all: Resources = "cpus:1.5;ports:[1-2];zones:{a,b};mem(prod):7".parse().unwrap();
        let shown =
            json!({"cpus": 1.5, "disk": 0.0, "gpus": 0.0, "mem": 7.0, "ports": "[1-2]", "zones": "{a, b}"});
        assert_eq!(resources(&all), shown);
        assert_eq!(reserved(&all)["prod"]["mem"], json!(7.0));
    }
}
