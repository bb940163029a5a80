//! The calls that are answered with much: written from a snapshot, element by element.

use std::io::{self, Write};

use protocol::wire::v1::master::{Event, event};
use protocol::wire::v1::master::{Response, response};
use protocol::wire::{Format, v1};

use super::lists::{Fields, Json, Protobuf};
use crate::edge::events::HEARTBEAT;
use crate::edge::messages;
use crate::edge::snapshot::{FrameworkView, Snapshot, TaskView};
use crate::edge::v0;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Read {
    /// GET_STATE.
    State,
    /// GET_AGENTS.
    Agents,
    /// GET_FRAMEWORKS.
    Frameworks,
    /// GET_EXECUTORS.
    Executors,
    /// GET_TASKS.
    Tasks,
    /// GET_ROLES.
    Roles,
}

/// Writes the answer to a call.
pub(crate) fn write<W: Write>(
    out: &mut W,
    snapshot: &Snapshot,
    read: Read,
    format: Format,
) -> io::Result<()> {
    match format {
        Format::Json => {
            let mut json = Json::begin(out)?;
            answer(&mut json, snapshot, read)?;
            json.end()
        }
        Format::Protobuf => {
            let mut protobuf = Protobuf::default();
            answer(&mut protobuf, snapshot, read)?;
            protobuf.end(out)
        }
    }
}

/// Writes the first event of a stream.
pub(crate) fn subscribed<W: Write>(out: &mut W, snapshot: &Snapshot, format: Format) -> io::Result<()> {
    match format {
        Format::Json => {
            let mut json = Json::begin(out)?;
            first_event(&mut json, snapshot)?;
            json.end()
        }
        Format::Protobuf => {
            let mut protobuf = Protobuf::default();
            first_event(&mut protobuf, snapshot)?;
            protobuf.end(out)
        }
    }
}

fn first_event<F: Fields>(fields: &mut F, snapshot: &Snapshot) -> io::Result<()> {
    fields.fixed(&Event { r#type: Some(event::Type::Subscribed.into()), ..Event::default() })?;
    fields.message("subscribed", 2, |fields| {
        fields.message("get_state", 1, |fields| state(fields, snapshot))?;
        fields.fixed(&event::Subscribed {
            get_state: None,
            heartbeat_interval_seconds: Some(HEARTBEAT.as_secs_f64()),
        })
    })
}

fn answer<F: Fields>(fields: &mut F, snapshot: &Snapshot, read: Read) -> io::Result<()> {
    let kind = match read {
        Read::State => response::Type::GetState,
        Read::Agents => response::Type::GetAgents,
        Read::Frameworks => response::Type::GetFrameworks,
        Read::Executors => response::Type::GetExecutors,
        Read::Tasks => response::Type::GetTasks,
        Read::Roles => response::Type::GetRoles,
    };
    fields.fixed(&Response { r#type: Some(kind.into()), ..Response::default() })?;
    match read {
        Read::State => fields.message("get_state", 9, |fields| state(fields, snapshot)),
        Read::Agents => fields.message("get_agents", 10, |fields| agents(fields, snapshot)),
        Read::Frameworks => fields.message("get_frameworks", 11, |fields| frameworks(fields, snapshot)),
        Read::Executors => fields.message("get_executors", 12, |fields| executors(fields, snapshot)),
        Read::Tasks => fields.message("get_tasks", 13, |fields| tasks(fields, snapshot)),
        Read::Roles => fields.message("get_roles", 14, |fields| roles(fields, snapshot)),
    }
}

fn state<F: Fields>(fields: &mut F, snapshot: &Snapshot) -> io::Result<()> {
    fields.message("get_tasks", 1, |fields| tasks(fields, snapshot))?;
    fields.message("get_executors", 2, |fields| executors(fields, snapshot))?;
    fields.message("get_frameworks", 3, |fields| frameworks(fields, snapshot))?;
    fields.message("get_agents", 4, |fields| agents(fields, snapshot))
}

fn tasks<F: Fields>(fields: &mut F, snapshot: &Snapshot) -> io::Result<()> {
    let message = |view: &TaskView| messages::task(&view.task, &view.role);
    let all = || snapshot.all_frameworks();
    fields.list("tasks", 2, all().flat_map(|one| one.tasks.values()).map(message))?;
    let unreachable = all().flat_map(|one| one.unreachable_tasks.values());
    fields.list("unreachable_tasks", 5, unreachable.map(message))?;
    fields.list("completed_tasks", 3, all().flat_map(|one| one.completed_tasks.values()).map(message))
}

fn executors<F: Fields>(fields: &mut F, snapshot: &Snapshot) -> io::Result<()> {
    let of = |framework: &FrameworkView| {
        let there = framework.executors.iter();
        let all = there.flat_map(|(agent_id, executors)| {
            executors.iter().map(|executor| messages::executor(executor, agent_id))
        });
        all.collect::<Vec<_>>()
    };
    fields.list("executors", 1, snapshot.all_frameworks().flat_map(|framework| of(framework)))
}

fn frameworks<F: Fields>(fields: &mut F, snapshot: &Snapshot) -> io::Result<()> {
    let message = |view: &std::sync::Arc<FrameworkView>| messages::framework(snapshot, view);
    fields.list("frameworks", 1, snapshot.frameworks.values().map(message))?;
    fields.list("completed_frameworks", 2, snapshot.completed_frameworks.iter().map(message))
}

fn agents<F: Fields>(fields: &mut F, snapshot: &Snapshot) -> io::Result<()> {
    let registered = snapshot.agents.values().map(|view| messages::agent(view, snapshot.load(&view.id)));
    fields.list("agents", 1, registered)?;
    let recovered = snapshot.recovered_agents.iter().map(|agent| messages::agent_info(agent));
    fields.list("recovered_agents", 2, recovered)
}

fn roles<F: Fields>(fields: &mut F, snapshot: &Snapshot) -> io::Result<()> {
    let roles = v0::roles::roles(snapshot);
    let message = |(role, view): (&protocol::Role, &v0::roles::RoleView)| v1::Role {
        name: role.to_string(),
        weight: v0::roles::weight(snapshot, role),
        frameworks: view.frameworks.iter().map(messages::framework_id).collect(),
        resources: messages::quantities(&view.resources()),
    };
    // Without roles there is no list, as in Mesos.
    if roles.is_empty() { Ok(()) } else { fields.list("roles", 1, roles.iter().map(message)) }
}
