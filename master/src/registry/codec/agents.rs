//! Agents, and what operators want of them.

use std::sync::Arc;

use protocol::resources::Scalar;
use protocol::wire::registry as stored;
use protocol::{AgentInfo, Attribute, AttributeValue, Attributes};

use super::Read;
use super::resources::{
    duration, duration_to_stored, ranges, ranges_to_stored, resources, resources_to_stored,
};
use crate::registry::{Drain, Wish};

pub(super) fn agent_to_stored(agent: &AgentInfo) -> stored::AgentInfo {
    stored::AgentInfo {
        id: agent.id.as_ref().map(ToString::to_string),
        hostname: agent.hostname.clone(),
        port: agent.port.into(),
        resources: resources_to_stored(&agent.resources),
        attributes: agent.attributes.0.iter().map(attribute_to_stored).collect(),
    }
}

pub(super) fn agent(stored: stored::AgentInfo) -> Read<Arc<AgentInfo>> {
    Ok(Arc::new(AgentInfo {
        id: stored.id.map(Into::into),
        hostname: stored.hostname,
        port: u16::try_from(stored.port).map_err(|_| format!("{} is not a port", stored.port))?,
        resources: resources(stored.resources)?,
        attributes: Attributes(stored.attributes.into_iter().map(attribute).collect::<Read<_>>()?),
    }))
}

fn attribute_to_stored(attribute: &Attribute) -> stored::Attribute {
    use stored::attribute::Value as Stored;
    stored::Attribute {
        name: attribute.name.clone(),
        value: Some(match &attribute.value {
            AttributeValue::Scalar(scalar) => Stored::Scalar(scalar.millis()),
            AttributeValue::Ranges(ranges) => Stored::Ranges(ranges_to_stored(ranges)),
            AttributeValue::Text(text) => Stored::Text(text.clone()),
        }),
    }
}

fn attribute(stored: stored::Attribute) -> Read<Attribute> {
    use stored::attribute::Value as Stored;
    let value = match stored.value {
        Some(Stored::Scalar(millis)) => AttributeValue::Scalar(Scalar::from_millis(millis)),
        Some(Stored::Ranges(stored)) => AttributeValue::Ranges(ranges(&stored)),
        Some(Stored::Text(text)) => AttributeValue::Text(text),
        None => return Err(format!("the attribute '{}' has no value", stored.name)),
    };
    Ok(Attribute { name: stored.name, value })
}

/// Nothing where nothing is wanted.
pub(super) fn wish_to_stored(wish: &Wish) -> Option<stored::Wish> {
    let stored =
        stored::Wish { deactivated: wish.deactivated, drain: wish.drain.as_ref().map(drain_to_stored) };
    (*wish != Wish::default()).then_some(stored)
}

pub(super) fn wish(stored: Option<stored::Wish>) -> Wish {
    let read = |stored: stored::Wish| Wish {
        deactivated: stored.deactivated,
        drain: stored.drain.as_ref().map(drain),
    };
    stored.map(read).unwrap_or_default()
}

pub(super) fn drain_to_stored(drain: &Drain) -> stored::Drain {
    stored::Drain {
        max_grace_period: drain.max_grace_period.map(duration_to_stored),
        mark_gone: drain.mark_gone,
        drained: drain.drained,
    }
}

pub(super) fn drain(stored: &stored::Drain) -> Drain {
    Drain {
        max_grace_period: stored.max_grace_period.as_ref().map(duration),
        mark_gone: stored.mark_gone,
        drained: stored.drained,
    }
}
