//! Frameworks.

use protocol::{Capability, Resources};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::executors::Executor;
use super::list::List;
use super::resources::Summary;
use super::seconds;
use super::tasks::Task;
use crate::core::offers::OfferRecord;
use crate::edge::pages::Filter;
use crate::edge::snapshot::{FrameworkView, Snapshot};

/// `/frameworks`.
pub(crate) struct Page<'a>(pub(crate) &'a Snapshot, pub(crate) &'a Filter);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write(&mut map)?;
        map.serialize_entry("unregistered_frameworks", &[(); 0])?;
        map.end()
    }
}

impl Page<'_> {
    /// Writes the frameworks that are there, and those that were.
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let Self(snapshot, filter) = self;
        let wanted = |view: &&std::sync::Arc<FrameworkView>| filter.framework(&view.id);
        let live = || snapshot.frameworks.values().filter(wanted).map(|view| Framework(view));
        map.serialize_entry("frameworks", &List(live))?;
        let over = || snapshot.completed_frameworks.iter().filter(wanted).map(|view| Framework(view));
        map.serialize_entry("completed_frameworks", &List(over))
    }
}

/// What is said of a framework wherever it is shown.
pub(crate) struct Brief<'a> {
    pub(crate) framework: &'a FrameworkView,
    pub(crate) used: Resources,
    pub(crate) offered: Resources,
}

impl<'a> Brief<'a> {
    pub(crate) fn of(framework: &'a FrameworkView) -> Self {
        Self {
            framework,
            used: framework.used_by_role().values().sum(),
            offered: framework.offered_by_role().values().sum(),
        }
    }

    /// Writes the fields.
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let framework = self.framework;
        let info = &framework.info;
        map.serialize_entry("id", &framework.id)?;
        map.serialize_entry("name", &info.name)?;
        // A stream is no address.
        if let Some(pid) = framework.pid.as_ref().filter(|pid| pid.stream_id().is_none()) {
            map.serialize_entry("pid", pid)?;
        }
        map.serialize_entry("used_resources", &Summary(&self.used))?;
        map.serialize_entry("offered_resources", &Summary(&self.offered))?;
        map.serialize_entry("capabilities", &List(|| info.capabilities.iter().map(|one| shown(*one))))?;
        map.serialize_entry("hostname", info.hostname.as_deref().unwrap_or_default())?;
        map.serialize_entry("webui_url", info.webui_url.as_deref().unwrap_or_default())?;
        map.serialize_entry("active", &framework.connected())?;
        map.serialize_entry("connected", &framework.connected())?;
        map.serialize_entry("recovered", &framework.recovered)
    }
}

/// One framework, live or removed.
struct Framework<'a>(&'a FrameworkView);

impl Serialize for Framework<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(framework) = self;
        let info = &framework.info;
        let mut map = serializer.serialize_map(None)?;
        let brief = Brief::of(framework);
        brief.write(&mut map)?;
        map.serialize_entry("user", &info.user)?;
        map.serialize_entry("failover_timeout", &info.failover_timeout.as_secs_f64())?;
        map.serialize_entry("checkpoint", &info.checkpoint)?;
        map.serialize_entry("registered_time", &seconds(framework.registered_at))?;
        map.serialize_entry("unregistered_time", &seconds(framework.unregistered_at))?;
        if let Some(principal) = &info.principal {
            map.serialize_entry("principal", principal)?;
        }
        map.serialize_entry("resources", &Summary(&(brief.used + brief.offered)))?;
        if framework.reregistered_at.is_some() {
            map.serialize_entry("reregistered_time", &seconds(framework.reregistered_at))?;
        }
        if info.can(Capability::MultiRole) {
            map.serialize_entry("roles", &info.roles)?;
        } else {
            map.serialize_entry("role", &info.roles.first())?;
        }
        map.serialize_entry("tasks", &List(|| framework.tasks.values().map(Task)))?;
        map.serialize_entry("unreachable_tasks", &List(|| framework.unreachable_tasks.values().map(Task)))?;
        map.serialize_entry("completed_tasks", &List(|| framework.completed_tasks.values().map(Task)))?;
        let offers = || framework.offers.iter().map(|(id, offer)| Offer(id.as_str(), offer));
        map.serialize_entry("offers", &List(offers))?;
        let executors = || {
            let there = framework.executors.iter();
            there.flat_map(|(agent, all)| all.iter().map(move |one| Executor(one, agent.as_str())))
        };
        map.serialize_entry("executors", &List(executors))?;
        if !info.labels.is_empty() {
            map.serialize_entry("labels", &info.labels)?;
        }
        map.serialize_entry("offer_constraints", &serde_json::Map::new())?;
        map.end()
    }
}

/// One offer.
struct Offer<'a>(&'a str, &'a OfferRecord);

impl Serialize for Offer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(id, offer) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("framework_id", &offer.framework_id)?;
        map.serialize_entry("allocation_info", &AllocationInfo { role: &offer.role })?;
        map.serialize_entry("slave_id", &offer.agent_id)?;
        map.serialize_entry("resources", &Summary(&offer.resources))?;
        map.end()
    }
}

/// For which role.
#[derive(serde::Serialize)]
struct AllocationInfo<'a> {
    role: &'a protocol::Role,
}

/// A capability by its name on the wire: `PartitionAware` as `PARTITION_AWARE`.
pub(crate) fn shown(capability: Capability) -> String {
    let name = format!("{capability:?}");
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

    #[test]
    fn names_are_those_of_the_wire() {
        assert_eq!(shown(Capability::PartitionAware), "PARTITION_AWARE");
        assert_eq!(shown(Capability::GpuResources), "GPU_RESOURCES");
    }
}
