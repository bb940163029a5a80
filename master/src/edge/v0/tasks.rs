//! Tasks.

use std::cmp::Ordering;

use protocol::{TaskStatus, wire};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::list::List;
use super::resources::Summary;
use crate::edge::pages::Filter;
use crate::edge::snapshot::{FrameworkView, Snapshot, TaskView};
use crate::edge::wire_json;

/// `/tasks`: some of all tasks, those of removed frameworks included.
pub(crate) struct Page<'a>(pub(crate) &'a Snapshot, pub(crate) &'a Filter);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(snapshot, filter) = self;
        let frameworks = snapshot.all_frameworks().filter(|framework| filter.framework(&framework.id));
        let mut tasks: Vec<&TaskView> = frameworks
            .flat_map(|one| all_tasks(one))
            .filter(|view| filter.task(&view.task.task_id))
            .collect();
        if filter.ascending {
            tasks.sort_by(|one, other| by_time(one, other));
        } else {
            tasks.sort_by(|one, other| by_time(other, one));
        }
        let mut map = serializer.serialize_map(None)?;
        let shown = || tasks.iter().skip(filter.offset).take(filter.limit).map(|view| Task(view));
        map.serialize_entry("tasks", &List(shown))?;
        map.end()
    }
}

/// All tasks of a framework, whatever became of them.
pub(crate) fn all_tasks(framework: &FrameworkView) -> impl Iterator<Item = &TaskView> {
    let over = framework.unreachable_tasks.values().chain(framework.completed_tasks.values());
    framework.tasks.values().chain(over)
}

/// By the time of their first status; those without one come first.
fn by_time(one: &TaskView, other: &TaskView) -> Ordering {
    let time = |view: &TaskView| view.task.statuses.first().map(|status| status.timestamp);
    time(one).cmp(&time(other))
}

/// One task.
pub(crate) struct Task<'a>(pub(crate) &'a TaskView);

impl Serialize for Task<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let task = &self.0.task;
        let unread: wire::v1::Task = task.unread.as_ref().map(|unread| unread.read()).unwrap_or_default();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &task.task_id)?;
        map.serialize_entry("name", &task.name)?;
        map.serialize_entry("framework_id", &task.framework_id)?;
        let executor_id = if task.command_executor { "" } else { task.executor_id.as_str() };
        map.serialize_entry("executor_id", executor_id)?;
        map.serialize_entry("slave_id", &task.agent_id)?;
        map.serialize_entry("state", task.state.name())?;
        map.serialize_entry("resources", &Summary(&task.resources))?;
        if !unread.limits.is_empty() {
            let limits = unread.limits.iter().map(|(name, limit)| (name, limit.value));
            map.serialize_entry("limits", &limits.collect::<std::collections::BTreeMap<_, _>>())?;
        }
        map.serialize_entry("role", &self.0.role)?;
        map.serialize_entry("statuses", &List(|| task.statuses.iter().map(Status)))?;
        if let Some(user) = &task.user {
            map.serialize_entry("user", user)?;
        }
        if !task.labels.is_empty() {
            map.serialize_entry("labels", &task.labels)?;
        }
        if let Some(discovery) = &unread.discovery {
            map.serialize_entry("discovery", &wire_json::message(discovery))?;
        }
        if let Some(container) = &unread.container {
            map.serialize_entry("container", &wire_json::message(container))?;
        }
        if let Some(health_check) = &unread.health_check {
            map.serialize_entry("health_check", &wire_json::message(health_check))?;
        }
        map.end()
    }
}

/// One status of a task.
struct Status<'a>(&'a TaskStatus);

impl Serialize for Status<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let status = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("state", status.state.name())?;
        map.serialize_entry("timestamp", &status.timestamp.unwrap_or_default().as_secs_f64())?;
        if !status.labels.is_empty() {
            map.serialize_entry("labels", &status.labels)?;
        }
        let unread: Option<wire::v1::TaskStatus> = status.unread.as_ref().map(|unread| unread.read());
        if let Some(container) = unread.and_then(|unread| unread.container_status) {
            map.serialize_entry("container_status", &Container(&container))?;
        }
        if let Some(healthy) = status.healthy {
            map.serialize_entry("healthy", &healthy)?;
        }
        map.end()
    }
}

/// A container's status.
struct Container<'a>(&'a wire::v1::ContainerStatus);

impl Serialize for Container<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(id) = &self.0.container_id {
            map.serialize_entry("container_id", &wire_json::message(id))?;
        }
        if !self.0.network_infos.is_empty() {
            let networks = || self.0.network_infos.iter().map(wire_json::message);
            map.serialize_entry("network_infos", &List(networks))?;
        }
        map.end()
    }
}
