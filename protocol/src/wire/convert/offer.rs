//! Offers, and what else is said of roles.

use super::EventContext;
use super::resource::allocation_to_wire;
use super::{attributes_to_wire, resources_to_wire};
use crate::wire::v1;
use crate::{Offer, Role};

/// The path below which an agent answers.
const AGENT_PATH: &str = "/slave(1)";

/// An offer, as a framework of that kind is sent it.
pub fn offer_to_wire(offer: &Offer, context: &EventContext) -> v1::Offer {
    let allocated_to = context.multi_role.then_some(&offer.role);
    let (ip, port) = offer.address.rsplit_once(':').unwrap_or((&offer.address, ""));
    v1::Offer {
        id: (&offer.id).into(),
        framework_id: (&offer.framework_id).into(),
        agent_id: (&offer.agent_id).into(),
        hostname: offer.hostname.clone(),
        url: Some(v1::Url {
            scheme: "http".to_owned(),
            address: v1::Address {
                hostname: Some(offer.hostname.clone()),
                ip: Some(ip.trim_start_matches('[').trim_end_matches(']').to_owned()),
                port: port.parse::<u16>().unwrap_or_default().into(),
            },
            path: Some(AGENT_PATH.to_owned()),
            query: Vec::new(),
            fragment: None,
        }),
        domain: None,
        resources: resources_to_wire(&offer.resources, allocated_to, context.refined),
        attributes: attributes_to_wire(&offer.attributes),
        executor_ids: offer.executor_ids.iter().map(Into::into).collect(),
        unavailability: None,
        allocation_info: allocated_to.map(allocation_to_wire),
    }
}

/// The weight of a role, in thousandths.
pub fn weight_to_wire(role: &Role, thousandths: u64) -> v1::WeightInfo {
    v1::WeightInfo { weight: thousandths as f64 / 1000.0, role: Some(role.to_string()) }
}
