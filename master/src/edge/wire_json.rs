//! Messages of the newer APIs within the JSON of the older endpoints.

use std::collections::BTreeMap;

use protocol::messages::MasterInfo;
use protocol::wire::convert;
use protocol::wire::{self, WireMessage, v1};
use protocol::{AgentInfo, Resources, Role};
use serde::Serialize;
use serde_json::value::RawValue;

use super::messages;

/// A message.
pub(crate) fn message<M: WireMessage>(message: &M) -> impl Serialize + use<M> {
    raw(wire::encode(wire::Format::Json, message))
}

/// Resources in full, in the older format.
pub(crate) fn resources(resources: &Resources, allocated_to: Option<&Role>) -> impl Serialize + use<> {
    list(&convert::resources_to_wire(resources, allocated_to, false))
}

/// Resources in full, each with the role that it is allocated to.
pub(crate) fn resources_by_role(resources: &BTreeMap<Role, Resources>) -> impl Serialize + use<> {
    list(&messages::by_role(resources))
}

/// An agent that is waited for.
pub(crate) fn recovered_agent(info: &AgentInfo) -> impl Serialize + use<> {
    message(&messages::agent_info(info))
}

/// What a master understands.
pub(crate) fn master_capabilities(info: &MasterInfo) -> Vec<&'static str> {
    let all = messages::master_info(info).capabilities;
    all.iter().map(|capability: &v1::master_info::Capability| capability.r#type().as_str_name()).collect()
}

fn list<M: WireMessage>(elements: &[M]) -> Option<Box<RawValue>> {
    let mut json = Vec::new();
    wire::to_json_list(elements, &mut json);
    raw(json)
}

/// JSON as it is; null where it is none, which it always is.
fn raw(json: Vec<u8>) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(json).ok()?).ok()
}
