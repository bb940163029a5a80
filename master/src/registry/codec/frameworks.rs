//! Frameworks.

use std::sync::Arc;

use protocol::wire::registry as stored;
use protocol::{Capability, FrameworkInfo, Label};
use stored::framework_info::Capability as Stored;

use super::Read;
use super::resources::{duration, duration_to_stored};

/// The capabilities and their numbers.
const CAPABILITIES: [(Capability, Stored); 8] = [
    (Capability::RevocableResources, Stored::RevocableResources),
    (Capability::TaskKillingState, Stored::TaskKillingState),
    (Capability::GpuResources, Stored::GpuResources),
    (Capability::SharedResources, Stored::SharedResources),
    (Capability::PartitionAware, Stored::PartitionAware),
    (Capability::MultiRole, Stored::MultiRole),
    (Capability::ReservationRefinement, Stored::ReservationRefinement),
    (Capability::RegionAware, Stored::RegionAware),
];

pub(super) fn framework_to_stored(framework: &FrameworkInfo) -> stored::FrameworkInfo {
    let has = |(capability, _): &&(Capability, Stored)| framework.can(*capability);
    let label = |label: &Label| stored::Label { key: label.key.clone(), value: label.value.clone() };
    stored::FrameworkInfo {
        id: framework.id.as_ref().map(ToString::to_string),
        user: framework.user.clone(),
        name: framework.name.clone(),
        failover_timeout: duration_to_stored(framework.failover_timeout),
        checkpoint: framework.checkpoint,
        roles: framework.roles.iter().map(ToString::to_string).collect(),
        hostname: framework.hostname.clone(),
        principal: framework.principal.clone(),
        webui_url: framework.webui_url.clone(),
        capabilities: CAPABILITIES.iter().filter(has).map(|(_, stored)| (*stored).into()).collect(),
        labels: framework.labels.iter().map(label).collect(),
    }
}

pub(super) fn framework(stored: stored::FrameworkInfo) -> Read<Arc<FrameworkInfo>> {
    let capability = |number: &i32| {
        let known = CAPABILITIES.iter().find(|(_, stored)| i32::from(*stored) == *number);
        known.map(|(capability, _)| *capability).ok_or_else(|| format!("{number} is not a capability"))
    };
    let label = |label: stored::Label| Label { key: label.key, value: label.value };
    Ok(Arc::new(FrameworkInfo {
        capabilities: stored.capabilities.iter().map(capability).collect::<Read<_>>()?,
        id: stored.id.map(Into::into),
        user: stored.user,
        name: stored.name,
        failover_timeout: duration(&stored.failover_timeout),
        checkpoint: stored.checkpoint,
        roles: stored.roles.into_iter().map(Into::into).collect(),
        hostname: stored.hostname,
        principal: stored.principal,
        webui_url: stored.webui_url,
        labels: stored.labels.into_iter().map(label).collect(),
    }))
}
