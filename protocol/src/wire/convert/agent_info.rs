//! Who offers resources.

use super::{attributes, attributes_to_wire, ids, resources, resources_to_wire};
use crate::AgentInfo;
use crate::wire::v1;

/// An agent.
///
/// # Errors
/// Says what of it is wrong.
pub fn agent_info(info: v1::AgentInfo) -> Result<AgentInfo, String> {
    let port = u16::try_from(info.port()).map_err(|_| format!("{} is not a port", info.port()))?;
    Ok(AgentInfo {
        port,
        resources: resources(&info.resources)?,
        attributes: attributes(info.attributes)?,
        id: ids::present(info.id.map(|id| id.value)),
        hostname: info.hostname,
    })
}

/// An agent.
pub fn agent_info_to_wire(info: &AgentInfo, refined: bool) -> v1::AgentInfo {
    v1::AgentInfo {
        hostname: info.hostname.clone(),
        port: Some(info.port.into()),
        resources: resources_to_wire(&info.resources, None, refined),
        attributes: attributes_to_wire(&info.attributes),
        id: info.id.as_ref().map(Into::into),
        domain: None,
        // Agents do not recover yet.
        checkpoint: None,
    }
}
