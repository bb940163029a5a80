//! Values as the older, read-only endpoints (`/state` and its kin) show them: JSON written by hand upstream, with names
//! and habits of its own. Each type here borrows a value of the vocabulary (some can hold it, too) and serializes it in
//! that form.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use super::{WireMessage, to_json, v1};

use crate::attribute::AttributeValue;
use crate::resources::{ReservationKind, Value};
use crate::{Attributes, Carried, Label, Resource, Resources, Role, Scalar, Task, TaskStatus};

/// What is always shown, zero where there is none. Source: Mesos `json(ObjectWriter*, const Resources&)`.
const ALWAYS: [&str; 4] = ["disk", "mem", "gpus", "cpus"];

/// Sums by name: `{"disk":0.0,"mem":128.0,"gpus":0.0,"cpus":1.0,"ports":"[31000-32000]"}`. What can be taken back has
/// `_revocable` behind its name.
#[derive(Clone, Copy, Debug)]
pub struct V0Resources<R>(pub R);

impl<R: Borrow<Resources>> Serialize for V0Resources<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut scalars: BTreeMap<(&str, bool), Scalar> = BTreeMap::new();
        let mut texts: BTreeMap<(&str, bool), Value> = BTreeMap::new();
        for resource in self.0.borrow() {
            let key = (&*resource.name, resource.revocable);
            match &resource.value {
                Value::Scalar(amount) => {
                    let sum = scalars.entry(key).or_default();
                    *sum = *sum + *amount;
                }
                Value::Ranges(ranges) => match texts.get_mut(&key) {
                    Some(Value::Ranges(all)) => all.add(ranges),
                    _ => drop(texts.insert(key, resource.value.clone())),
                },
                Value::Set(set) => match texts.get_mut(&key) {
                    Some(Value::Set(all)) => all.extend(set.iter().cloned()),
                    _ => drop(texts.insert(key, resource.value.clone())),
                },
            }
        }
        let mut map = serializer.serialize_map(None)?;
        for name in ALWAYS {
            map.serialize_entry(name, &scalars.remove(&(name, false)).unwrap_or_default().as_f64())?;
        }
        for (key, amount) in scalars {
            map.serialize_entry(&shown_name(key), &amount.as_f64())?;
        }
        for (key, value) in texts {
            map.serialize_entry(&shown_name(key), &text(&value))?;
        }
        map.end()
    }
}

fn shown_name((name, revocable): (&str, bool)) -> String {
    if revocable { format!("{name}_revocable") } else { name.to_owned() }
}

fn text(value: &Value) -> String {
    match value {
        Value::Scalar(amount) => amount.to_string(),
        Value::Ranges(ranges) => ranges.to_string(),
        Value::Set(set) => format!("{{{}}}", set.iter().cloned().collect::<Vec<_>>().join(", ")),
    }
}

/// What is reserved, by role: `{"prod":{"disk":0.0,...}}`.
#[derive(Clone, Copy, Debug)]
pub struct V0Reserved<R>(pub R);

impl<R: Borrow<Resources>> Serialize for V0Reserved<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(reserved(self.0.borrow()).iter().map(|(role, theirs)| (role, V0Resources(theirs))))
    }
}

/// What is reserved, by role, every resource in full.
#[derive(Clone, Copy, Debug)]
pub struct V0ReservedFull<R>(pub R);

impl<R: Borrow<Resources>> Serialize for V0ReservedFull<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(reserved(self.0.borrow()).iter().map(|(role, theirs)| (role, V0Full::of(theirs))))
    }
}

fn reserved(resources: &Resources) -> BTreeMap<String, Resources> {
    let mut roles = BTreeMap::new();
    for resource in resources.iter().filter(|resource| !resource.reservations.is_empty()) {
        *roles.entry(resource.role_name().to_owned()).or_insert_with(Resources::new) +=
            &resource.clone().into();
    }
    roles
}

/// What is not reserved.
pub fn unreserved(resources: &Resources) -> Resources {
    resources.filtered(|resource| resource.reservations.is_empty())
}

/// Every resource in full, as an array of Mesos's `Resource`: with `reservations`, and in the older form beside it where
/// that one can say the same.
#[derive(Clone, Debug)]
pub struct V0Full<R> {
    /// What is shown.
    pub resources: R,
    /// The role that uses or is offered them; absent: nobody's.
    pub allocated_to: Option<Role>,
}

impl<R> V0Full<R> {
    /// Resources that nobody has taken.
    pub fn of(resources: R) -> Self {
        Self { resources, allocated_to: None }
    }
}

impl<R: Borrow<Resources>> Serialize for V0Full<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let resources = self.resources.borrow();
        let mut all = serializer.serialize_seq(Some(resources.len()))?;
        for resource in resources {
            all.serialize_element(&FullResource { resource, allocated_to: self.allocated_to.as_ref() })?;
        }
        all.end()
    }
}

struct FullResource<'a> {
    resource: &'a Resource,
    allocated_to: Option<&'a Role>,
}

impl Serialize for FullResource<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde_json::{Value as Json, json};
        let resource = self.resource;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &*resource.name)?;
        let (kind, key, value) = match &resource.value {
            Value::Scalar(amount) => ("SCALAR", "scalar", json!({ "value": amount.as_f64() })),
            Value::Ranges(ranges) => {
                let range = |(begin, end)| json!({ "begin": begin, "end": end });
                ("RANGES", "ranges", json!({ "range": ranges.iter().map(range).collect::<Vec<_>>() }))
            }
            Value::Set(set) => ("SET", "set", json!({ "item": set })),
        };
        map.serialize_entry("type", kind)?;
        map.serialize_entry(key, &value)?;
        if let [] | [_] = &resource.reservations[..] {
            map.serialize_entry("role", resource.role_name())?;
        }
        if let [only] = &resource.reservations[..]
            && only.kind == ReservationKind::Dynamic
        {
            let mut shown = serde_json::Map::new();
            shown.extend(only.principal.clone().map(|principal| ("principal".to_owned(), principal.into())));
            map.serialize_entry("reservation", &Json::Object(shown))?;
        }
        if !resource.reservations.is_empty() {
            let reservations: Vec<Json> = resource
                .reservations
                .iter()
                .map(|one| {
                    let kind = match one.kind {
                        ReservationKind::Static => "STATIC",
                        ReservationKind::Dynamic => "DYNAMIC",
                    };
                    let mut shown = json!({ "type": kind, "role": one.role.as_str() });
                    if let Some(principal) = &one.principal {
                        shown["principal"] = json!(principal);
                    }
                    shown
                })
                .collect();
            map.serialize_entry("reservations", &reservations)?;
        }
        if resource.revocable {
            map.serialize_entry("revocable", &json!({}))?;
        }
        if let Some(role) = self.allocated_to {
            map.serialize_entry("allocation_info", &json!({ "role": role.as_str() }))?;
        }
        map.end()
    }
}

/// Attributes as one object; of a name that comes twice, the last.
#[derive(Clone, Copy, Debug)]
pub struct V0Attributes<'a>(pub &'a Attributes);

impl Serialize for V0Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let last: BTreeMap<&str, &AttributeValue> =
            self.0.0.iter().map(|attribute| (attribute.name.as_ref(), &attribute.value)).collect();
        let mut map = serializer.serialize_map(Some(last.len()))?;
        for (name, value) in last {
            match value {
                AttributeValue::Scalar(scalar) => map.serialize_entry(name, &scalar.as_f64())?,
                AttributeValue::Ranges(ranges) => map.serialize_entry(name, &ranges.to_string())?,
                AttributeValue::Text(text) => map.serialize_entry(name, text)?,
            }
        }
        map.end()
    }
}

/// Labels as an array of `{"key":...,"value":...}`; a value that is not set is left out.
#[derive(Clone, Copy, Debug)]
pub struct V0Labels<'a>(pub &'a [Label]);

impl V0Labels<'_> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for V0Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(V0Label))
    }
}

struct V0Label<'a>(&'a Label);

impl Serialize for V0Label<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", &self.0.key)?;
        if let Some(value) = &self.0.value {
            map.serialize_entry("value", value)?;
        }
        map.end()
    }
}

/// A task with its statuses, as master and agent show it.
#[derive(Clone, Copy, Debug)]
pub struct V0Task<'a> {
    /// The task.
    pub task: &'a Task,
    /// The role that its resources are allocated to, where it is known.
    pub role: Option<&'a Role>,
}

impl Serialize for V0Task<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let task = self.task;
        // Quirk of Mesos: a command task has no executor here.
        let executor_id = if task.command_executor { "" } else { task.executor_id.as_str() };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", task.task_id.as_str())?;
        map.serialize_entry("name", &task.name)?;
        map.serialize_entry("framework_id", task.framework_id.as_str())?;
        map.serialize_entry("executor_id", executor_id)?;
        map.serialize_entry("slave_id", task.agent_id.as_str())?;
        map.serialize_entry("state", task.state.name())?;
        map.serialize_entry("resources", &V0Resources(&task.resources))?;
        if let Some(role) = self.role {
            map.serialize_entry("role", role.as_str())?;
        }
        map.serialize_entry("statuses", &Statuses(&task.statuses))?;
        if let Some(user) = &task.user {
            map.serialize_entry("user", user)?;
        }
        if !task.labels.is_empty() {
            map.serialize_entry("labels", &V0Labels(&task.labels))?;
        }
        let unread = task.unread.as_ref().map(Carried::read).unwrap_or_default();
        if !unread.limits.is_empty() {
            let limits = unread.limits.iter().map(|(name, limit)| (name, limit.value));
            map.serialize_entry("limits", &limits.collect::<BTreeMap<_, _>>())?;
        }
        if let Some(discovery) = &unread.discovery {
            map.serialize_entry("discovery", &V0Message(discovery))?;
        }
        if let Some(container) = &unread.container {
            map.serialize_entry("container", &V0Message(container))?;
        }
        if let Some(health_check) = &unread.health_check {
            map.serialize_entry("health_check", &V0Message(health_check))?;
        }
        map.end()
    }
}

/// A message of the v1 APIs within the older JSON: what is not written by hand looks alike in both.
#[derive(Clone, Copy, Debug)]
pub struct V0Message<'a, M>(pub &'a M);

impl<M: WireMessage> Serialize for V0Message<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = Vec::new();
        to_json(self.0, &mut json);
        let json = String::from_utf8(json).map_err(S::Error::custom)?;
        RawValue::from_string(json).map_err(S::Error::custom)?.serialize(serializer)
    }
}

struct Statuses<'a>(&'a [TaskStatus]);

impl Serialize for Statuses<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(V0Status))
    }
}

/// What was said of a task.
#[derive(Clone, Copy, Debug)]
pub struct V0Status<'a>(pub &'a TaskStatus);

impl Serialize for V0Status<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let status = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("state", status.state.name())?;
        if let Some(timestamp) = status.timestamp {
            map.serialize_entry("timestamp", &timestamp.as_secs_f64())?;
        }
        if !status.labels.is_empty() {
            map.serialize_entry("labels", &V0Labels(&status.labels))?;
        }
        if let Some(container) = status.unread.as_ref().and_then(|unread| unread.read().container_status) {
            let container = v1::ContainerStatus { executor_pid: None, ..container };
            map.serialize_entry("container_status", &V0Message(&container))?;
        }
        if let Some(healthy) = status.healthy {
            map.serialize_entry("healthy", &healthy)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::TaskInfo;

    fn shown(value: impl Serialize) -> serde_json::Value {
        serde_json::to_value(value).unwrap()
    }

    #[test]
    fn the_four_amounts_are_always_there_and_the_rest_is_text() {
        let all: Resources = "cpus:1.5;ports:[1-2];zones:{a,b};mem(prod):7;cpus(prod):1".parse().unwrap();
        let expected =
            json!({"cpus": 2.5, "disk": 0.0, "gpus": 0.0, "mem": 7.0, "ports": "[1-2]", "zones": "{a, b}"});
        assert_eq!(shown(V0Resources(&all)), expected);
        assert_eq!(shown(V0Reserved(&all))["prod"]["mem"], json!(7.0));
        assert_eq!(serde_json::to_string(&V0Resources(&Resources::new())).unwrap(), RECORDED_NOTHING);
        let mut spare = Resource::scalar("cpus", Scalar::from_units(2));
        spare.revocable = true;
        assert_eq!(shown(V0Resources(&spare.into()))["cpus_revocable"], json!(2.0));
    }

    const RECORDED_NOTHING: &str = r#"{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.0}"#;

    #[test]
    fn resources_in_full_are_those_of_mesos() {
        let all: Resources = "cpus:64;ports:[31000-32000];mem(prod):7".parse().unwrap();
        assert_eq!(
            shown(V0Full::of(&unreserved(&all))),
            json!([
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": 64.0}, "role": "*"},
                {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 32000}]}, "role": "*"},
            ])
        );
        let static_mem = json!([{"name": "mem", "type": "SCALAR", "scalar": {"value": 7.0}, "role": "prod",
            "reservations": [{"type": "STATIC", "role": "prod"}]}]);
        assert_eq!(shown(V0ReservedFull(&all)), json!({ "prod": static_mem }));
        let used = "cpus:1".parse::<Resources>().unwrap();
        let used = V0Full { resources: used, allocated_to: Some(Role::default()) };
        assert_eq!(shown(used)[0]["allocation_info"], json!({"role": "*"}));
    }

    #[test]
    fn a_command_task_has_no_executor() {
        let info =
            TaskInfo::command("t", "S0".into(), "cpus:1".parse().unwrap(), crate::CommandInfo::shell(""));
        let mut task = Task::new("F".into(), &info, crate::TaskState::Running);
        let role = Role::default();
        let value = shown(V0Task { task: &task, role: Some(&role) });
        assert_eq!(value.get("container"), None);
        assert_eq!((&value["executor_id"], &value["role"]), (&json!(""), &json!("*")));
        assert_eq!(value.get("labels"), None);
        task.command_executor = false;
        let unread = v1::Task {
            limits: BTreeMap::from([("mem".to_owned(), v1::value::Scalar { value: 64.0 })]),
            discovery: Some(v1::DiscoveryInfo { name: Some("web".into()), ..Default::default() }),
            ..Default::default()
        };
        task.unread = Carried::new(&unread);
        let container_status = v1::ContainerStatus {
            container_id: Some(v1::ContainerId { value: "c".into(), parent: None }),
            executor_pid: Some(7),
            ..Default::default()
        };
        let mut status = TaskStatus::new("t".into(), crate::TaskState::Running, crate::Source::Executor);
        let unread = v1::TaskStatus { container_status: Some(container_status), ..Default::default() };
        status.unread = Carried::new(&unread);
        task.statuses.push(status);
        let value = shown(V0Task { task: &task, role: None });
        assert_eq!((&value["executor_id"], &value["limits"]), (&json!("t"), &json!({"mem": 64.0})));
        assert_eq!(value["discovery"], json!({"visibility": "FRAMEWORK", "name": "web"}));
        let status = json!({"state": "TASK_RUNNING", "container_status": {"container_id": {"value": "c"}}});
        assert_eq!(value["statuses"], json!([status]));
    }
}
