//! `/state`: all of it.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::frameworks;
use super::list::List;
use super::seconds;
use super::slaves::{self, Slave};
use crate::edge::about::{About, write_version};
use crate::edge::pages::Filter;
use crate::edge::snapshot::Snapshot;
use crate::edge::wire_json;

/// The page.
pub(crate) struct Page<'a>(pub(crate) &'a Snapshot, pub(crate) &'a About, pub(crate) &'a Filter);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(snapshot, about, filter) = self;
        let info = &snapshot.info;
        let mut map = serializer.serialize_map(None)?;
        write_version(&about.version, &mut map)?;
        map.serialize_entry("start_time", &seconds(Some(about.started_at)))?;
        map.serialize_entry("elected_time", &seconds(Some(snapshot.started_at)))?;
        map.serialize_entry("id", &info.id)?;
        map.serialize_entry("pid", &info.pid)?;
        map.serialize_entry("hostname", &info.hostname)?;
        map.serialize_entry("capabilities", &wire_json::master_capabilities(info))?;
        let active = snapshot.agents.values().filter(|agent| agent.active).count();
        map.serialize_entry("activated_slaves", &(active as f64))?;
        map.serialize_entry("deactivated_slaves", &((snapshot.agents.len() - active) as f64))?;
        map.serialize_entry("unreachable_slaves", &(snapshot.unreachable_agents as f64))?;
        map.serialize_entry("leader", &info.pid)?;
        map.serialize_entry("leader_info", &Leader::of(snapshot))?;
        if let Some(cluster) = &snapshot.cluster {
            map.serialize_entry("cluster", cluster)?;
        }
        if let Some(log_dir) = about.log_dir() {
            map.serialize_entry("log_dir", &log_dir)?;
        }
        map.serialize_entry("flags", &about.flags)?;
        map.serialize_entry("slaves", &List(|| snapshot.agents.values().map(|agent| Slave(agent))))?;
        map.serialize_entry("recovered_slaves", &slaves::recovered(snapshot, filter))?;
        frameworks::Page(snapshot, filter).write(&mut map)?;
        map.serialize_entry("orphan_tasks", &[(); 0])?;
        map.serialize_entry("unregistered_frameworks", &[(); 0])?;
        map.end()
    }
}

/// Who leads: this master, or it would have sent on who asks.
#[derive(serde::Serialize)]
struct Leader<'a> {
    id: &'a protocol::MasterId,
    pid: &'a str,
    port: u16,
    hostname: &'a str,
}

impl<'a> Leader<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let info = &snapshot.info;
        let port = info.pid.parse::<libactor::Pid>().map_or(0, |pid| pid.address().port());
        Self { id: &info.id, pid: &info.pid, port, hostname: &info.hostname }
    }
}
