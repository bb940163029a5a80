//! Who makes offers.

use std::net::{IpAddr, SocketAddr};

use crate::messages::MasterInfo;
use crate::wire::{API_VERSION, v1};
use v1::master_info::Capability;
use v1::master_info::capability::Type;

/// What a master that speaks this API can do: clients test whether it says so.
const CAPABILITIES: [Type; 3] = [Type::AgentUpdate, Type::AgentDraining, Type::QuotaV2];

/// A master. Its address is that of its pid, `master@ip:port`; what is no address leaves `ip` and `port` zero.
pub fn master_info_to_wire(info: &MasterInfo) -> v1::MasterInfo {
    let address = info.pid.split_once('@').and_then(|(_, address)| address.parse::<SocketAddr>().ok());
    let port = address.map_or(0, |address| address.port());
    v1::MasterInfo {
        id: info.id.to_string(),
        // In the order of the network, read as a number of this machine's order, which all that Mesos runs on have little.
        ip: address.map_or(0, |address| match address.ip() {
            IpAddr::V4(ip) => u32::from_le_bytes(ip.octets()),
            IpAddr::V6(_) => 0,
        }),
        port: port.into(),
        pid: Some(info.pid.clone()),
        hostname: Some(info.hostname.clone()),
        version: Some(API_VERSION.to_owned()),
        address: Some(v1::Address {
            hostname: Some(info.hostname.clone()),
            ip: address.map(|address| address.ip().to_string()),
            port: port.into(),
        }),
        domain: None,
        capabilities: CAPABILITIES.iter().map(|kind| Capability { r#type: Some((*kind).into()) }).collect(),
    }
}
