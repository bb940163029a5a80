//! Agents, in the older word.

use protocol::attribute::AttributeValue;
use protocol::{Attribute, Resource, Resources, Role};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::list::{List, Object};
use super::resources::Summary;
use super::seconds;
use crate::edge::pages::Filter;
use crate::edge::snapshot::{AgentView, Snapshot};
use crate::edge::wire_json;
use crate::registry::drain_info;

/// What our agents understand. Source of the names: Mesos `AgentInfo.Capability`.
pub(crate) const CAPABILITIES: [&str; 4] =
    ["MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "AGENT_DRAINING"];

/// `/slaves`: the agents, with their resources in full besides.
pub(crate) struct Page<'a>(pub(crate) &'a Snapshot, pub(crate) &'a Filter);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(snapshot, filter) = self;
        let agents = || snapshot.agents.values().filter(|agent| filter.agent(&agent.id));
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("slaves", &List(|| agents().map(|agent| Full(snapshot, agent))))?;
        map.serialize_entry("recovered_slaves", &recovered(snapshot, filter))?;
        map.end()
    }
}

/// Agents that are waited for.
pub(crate) fn recovered<'a>(snapshot: &'a Snapshot, filter: &'a Filter) -> impl Serialize + 'a {
    List(move || {
        let agents = snapshot.recovered_agents.iter().map(|agent| &**agent);
        let named = agents.filter(|agent| agent.id.as_ref().is_none_or(|id| filter.agent(id)));
        named.map(wire_json::recovered_agent)
    })
}

/// One agent, as `/state` shows it.
pub(crate) struct Slave<'a>(pub(crate) &'a AgentView);

impl Serialize for Slave<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write(&mut map)?;
        map.end()
    }
}

impl Slave<'_> {
    /// Writes the fields.
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let agent = self.0;
        let info = &agent.info;
        map.serialize_entry("id", &agent.id)?;
        map.serialize_entry("hostname", &info.hostname)?;
        map.serialize_entry("port", &info.port)?;
        map.serialize_entry("attributes", &Object(|| info.attributes.0.iter().map(attribute)))?;
        map.serialize_entry("pid", &agent.pid)?;
        map.serialize_entry("registered_time", &seconds(Some(agent.registered_at)))?;
        if agent.reregistered_at.is_some() {
            map.serialize_entry("reregistered_time", &seconds(agent.reregistered_at))?;
        }
        map.serialize_entry("resources", &Summary(&info.resources))?;
        map.serialize_entry("used_resources", &Summary(&agent.used))?;
        map.serialize_entry("offered_resources", &Summary(&agent.offered))?;
        let reserved = reserved(&info.resources);
        let shown = || reserved.iter().map(|(role, theirs)| (role, Owned(Summary(theirs))));
        map.serialize_entry("reserved_resources", &Object(shown))?;
        map.serialize_entry("unreserved_resources", &Summary(&info.resources.filtered(unreserved)))?;
        map.serialize_entry("active", &agent.active)?;
        map.serialize_entry("deactivated", &agent.deactivated)?;
        map.serialize_entry("version", &agent.version)?;
        map.serialize_entry("capabilities", &CAPABILITIES)?;
        if let Some(draining) = &agent.draining {
            map.serialize_entry("drain_info", &wire_json::message(&drain_info(&draining.drain)))?;
            map.serialize_entry("estimated_drain_start_time_seconds", &seconds(Some(draining.since)))?;
        }
        Ok(())
    }
}

/// Lets a list own what it shows.
struct Owned<T>(T);

impl<T: Serialize> Serialize for Owned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// One agent with its resources in full.
struct Full<'a>(&'a Snapshot, &'a AgentView);

impl Serialize for Full<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(snapshot, agent) = self;
        let mut map = serializer.serialize_map(None)?;
        Slave(agent).write(&mut map)?;
        let reserved = reserved(&agent.info.resources);
        let full = |resources: &Resources| wire_json::resources(resources, None);
        let shown = || reserved.iter().map(|(role, theirs)| (role, full(theirs)));
        map.serialize_entry("reserved_resources_full", &Object(shown))?;
        let unreserved = agent.info.resources.filtered(unreserved);
        map.serialize_entry("unreserved_resources_full", &full(&unreserved))?;
        let load = snapshot.load(&agent.id);
        map.serialize_entry("used_resources_full", &wire_json::resources_by_role(&load.used))?;
        map.serialize_entry("offered_resources_full", &wire_json::resources_by_role(&load.offered))?;
        map.end()
    }
}

fn unreserved(resource: &Resource) -> bool {
    resource.reservations.is_empty()
}

/// What is reserved, by role.
pub(crate) fn reserved(resources: &Resources) -> Vec<(Role, Resources)> {
    let mut by_role: Vec<(Role, Resources)> = Vec::new();
    for resource in resources.iter().filter(|one| !unreserved(one)) {
        let role = resource.role();
        if !by_role.iter().any(|(known, _)| *known == role) {
            let theirs = resources.filtered(|other| !unreserved(other) && other.role() == role);
            by_role.push((role, theirs));
        }
    }
    by_role
}

fn attribute(attribute: &Attribute) -> (&str, AttributeShown<'_>) {
    (&attribute.name, AttributeShown(&attribute.value))
}

/// An attribute's value.
struct AttributeShown<'a>(&'a AttributeValue);

impl Serialize for AttributeShown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            AttributeValue::Scalar(amount) => serializer.serialize_f64(amount.as_f64()),
            AttributeValue::Ranges(ranges) => serializer.collect_str(ranges),
            AttributeValue::Text(text) => serializer.serialize_str(text),
        }
    }
}
