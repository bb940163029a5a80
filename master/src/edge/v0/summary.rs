//! `/state-summary`: agents and frameworks, and their tasks as numbers.

use std::collections::BTreeSet;

use protocol::AgentId;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::counts::StateCounts;
use super::frameworks::Brief;
use super::list::List;
use super::slaves::Slave;
use super::tasks::all_tasks;
use crate::edge::snapshot::{AgentView, FrameworkView, Snapshot};

/// The page.
pub(crate) struct Page<'a>(pub(crate) &'a Snapshot);

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let snapshot = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("hostname", &snapshot.info.hostname)?;
        if let Some(cluster) = &snapshot.cluster {
            map.serialize_entry("cluster", cluster)?;
        }
        let agents = || snapshot.agents.values().map(|agent| Agent(snapshot, agent));
        map.serialize_entry("slaves", &List(agents))?;
        map.serialize_entry("frameworks", &List(|| snapshot.frameworks.values().map(|one| Framework(one))))?;
        map.end()
    }
}

struct Agent<'a>(&'a Snapshot, &'a AgentView);

impl Serialize for Agent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(snapshot, agent) = self;
        let mut map = serializer.serialize_map(None)?;
        Slave(agent).write(&mut map)?;
        let load = snapshot.load(&agent.id);
        load.counts.write(&mut map)?;
        map.serialize_entry("framework_ids", &load.frameworks)?;
        map.end()
    }
}

struct Framework<'a>(&'a FrameworkView);

impl Serialize for Framework<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut counts = StateCounts::default();
        let mut agents: BTreeSet<&AgentId> = BTreeSet::new();
        for view in all_tasks(self.0) {
            counts.add(view.task.state);
            agents.insert(&view.task.agent_id);
        }
        let mut map = serializer.serialize_map(None)?;
        Brief::of(self.0).write(&mut map)?;
        counts.write(&mut map)?;
        map.serialize_entry("slave_ids", &agents)?;
        map.end()
    }
}
