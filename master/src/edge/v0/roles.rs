//! Roles: who is subscribed to them, what they use, are offered and have reserved.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{FrameworkId, Resources, Role};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::list::List;
use super::resources::Quantities;
use super::slaves::reserved;
use crate::edge::snapshot::Snapshot;

/// Of a role that no weight was set for, in thousandths. Source: Mesos.
const DEFAULT_WEIGHT: u64 = 1000;

/// What there is to say of one role.
#[derive(Debug, Default)]
pub(crate) struct RoleView {
    pub(crate) frameworks: BTreeSet<FrameworkId>,
    pub(crate) used: Resources,
    pub(crate) offered: Resources,
    pub(crate) reserved: Resources,
}

impl RoleView {
    /// What it has of the cluster, reserved or not.
    pub(crate) fn resources(&self) -> Resources {
        self.used.clone() + self.offered.clone()
    }
}

/// The roles that somebody is subscribed to, holds something for, or has set a weight of.
pub(crate) fn roles(snapshot: &Snapshot) -> BTreeMap<Role, RoleView> {
    let mut roles: BTreeMap<Role, RoleView> = BTreeMap::new();
    for role in snapshot.weights.keys() {
        roles.entry(role.clone()).or_default();
    }
    for framework in snapshot.frameworks.values() {
        for role in &framework.info.roles {
            roles.entry(role.clone()).or_default().frameworks.insert(framework.id.clone());
        }
        for (role, used) in framework.used_by_role() {
            let view = roles.entry(role).or_default();
            view.used += &used;
            view.frameworks.insert(framework.id.clone());
        }
        for (role, offered) in framework.offered_by_role() {
            roles.entry(role).or_default().offered += &offered;
        }
    }
    for agent in snapshot.agents.values() {
        for (role, theirs) in reserved(&agent.info.resources) {
            roles.entry(role).or_default().reserved += &theirs;
        }
    }
    roles
}

/// The weight of a role.
pub(crate) fn weight(snapshot: &Snapshot, role: &Role) -> f64 {
    snapshot.weights.get(role).copied().unwrap_or(DEFAULT_WEIGHT) as f64 / 1000.0
}

/// `/roles`.
pub(crate) struct Page<'a>(pub(crate) &'a Snapshot);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let roles = roles(self.0);
        let mut map = serializer.serialize_map(None)?;
        let shown = || roles.iter().map(|(role, view)| Shown { role, view, weight: weight(self.0, role) });
        map.serialize_entry("roles", &List(shown))?;
        map.end()
    }
}

struct Shown<'a> {
    role: &'a Role,
    view: &'a RoleView,
    weight: f64,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { role, view, weight } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", role)?;
        map.serialize_entry("weight", weight)?;
        map.serialize_entry("quota", &Quota(role, view))?;
        map.serialize_entry("resources", &Quantities(&view.resources()))?;
        map.serialize_entry("allocated", &Quantities(&view.used))?;
        map.serialize_entry("offered", &Quantities(&view.offered))?;
        map.serialize_entry("reserved", &Quantities(&view.reserved))?;
        map.serialize_entry("frameworks", &view.frameworks)?;
        map.end()
    }
}

/// Nothing is guaranteed and nothing limited as long as there are no quotas; what counts against one is what is used,
/// and what is reserved besides.
struct Quota<'a>(&'a Role, &'a RoleView);

impl Serialize for Quota<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(role, view) = self;
        let unreserved = view.used.filtered(|one| one.reservations.is_empty() && !one.revocable);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", role)?;
        map.serialize_entry("guarantee", &Quantities(&Resources::new()))?;
        map.serialize_entry("limit", &Quantities(&Resources::new()))?;
        map.serialize_entry("consumed", &Quantities(&(unreserved + view.reserved.clone())))?;
        map.end()
    }
}
