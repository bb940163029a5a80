//! Events as they are written.

use std::collections::BTreeSet;

use bytes::Bytes;
use protocol::wire::v1::master::{Event, event};
use protocol::wire::{self, Format, recordio};
use protocol::{AgentId, FrameworkId};

use crate::core::{Change, Master};
use crate::edge::load::Load;
use crate::edge::{messages, mirror};

/// One event in the formats that somebody wants.
#[derive(Debug)]
pub(super) struct Records {
    event: Option<Event>,
    json: Option<Bytes>,
    protobuf: Option<Bytes>,
}

impl Records {
    /// What a change is told as; nothing, where it is not told, or what it names is gone again.
    pub(super) fn of(master: &Master, change: &Change) -> Self {
        Self { event: event_of(master, change), json: None, protobuf: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.event.is_none()
    }

    /// The record.
    pub(super) fn in_format(&mut self, format: Format) -> Bytes {
        let made = match format {
            Format::Json => &mut self.json,
            Format::Protobuf => &mut self.protobuf,
        };
        let event = &self.event;
        made.get_or_insert_with(|| event.as_ref().map_or_else(Bytes::new, |event| record(format, event)))
            .clone()
    }
}

/// Those of one turn whose addition was not told, because they were gone at its end: nor is their removal.
#[derive(Debug, Default)]
pub(super) struct Untold {
    agents: BTreeSet<AgentId>,
    frameworks: BTreeSet<FrameworkId>,
}

impl Untold {
    /// Whether a change is not to be told; `empty`: there is nothing to tell of it.
    pub(super) fn skips(&mut self, change: &Change, empty: bool) -> bool {
        match change {
            Change::AgentAdded(id) if empty => {
                self.agents.insert(id.clone());
            }
            Change::FrameworkAdded(id) if empty => {
                self.frameworks.insert(id.clone());
            }
            Change::AgentRemoved(id) => return empty || self.agents.remove(id),
            Change::FrameworkRemoved(info) => {
                return empty || info.id.as_ref().is_some_and(|id| self.frameworks.remove(id));
            }
            _ => {}
        }
        empty
    }
}

/// A sign of life.
pub(crate) fn heartbeat(format: Format) -> Bytes {
    record(format, &Event { r#type: Some(event::Type::Heartbeat.into()), ..Event::default() })
}

fn record(format: Format, event: &Event) -> Bytes {
    recordio::record(&wire::encode(format, event))
}

fn event_of(master: &Master, change: &Change) -> Option<Event> {
    let of = |kind: event::Type| Event { r#type: Some(kind.into()), ..Event::default() };
    Some(match change {
        Change::TaskAdded(task) => {
            let role = messages::role_of(master, task);
            let added = event::TaskAdded { task: messages::task(task, &role) };
            Event { task_added: Some(added), ..of(event::Type::TaskAdded) }
        }
        Change::TaskUpdated { task, status } => {
            let updated = event::TaskUpdated {
                framework_id: messages::framework_id(&task.framework_id),
                status: messages::task_status(status),
                state: messages::task_state(task.state),
            };
            Event { task_updated: Some(updated), ..of(event::Type::TaskUpdated) }
        }
        Change::AgentAdded(id) => {
            let agent = master.agents().get(id)?;
            let agent = messages::agent(&mirror::agent_view(agent), &Load::of(master, agent));
            Event { agent_added: Some(event::AgentAdded { agent }), ..of(event::Type::AgentAdded) }
        }
        Change::AgentRemoved(id) => {
            let removed = event::AgentRemoved { agent_id: messages::agent_id(id) };
            Event { agent_removed: Some(removed), ..of(event::Type::AgentRemoved) }
        }
        Change::FrameworkAdded(id) => {
            let framework = messages::framework_event(master, id)?;
            let added = event::FrameworkAdded { framework };
            Event { framework_added: Some(added), ..of(event::Type::FrameworkAdded) }
        }
        Change::FrameworkUpdated(id) => {
            let framework = messages::framework_event(master, id)?;
            let updated = event::FrameworkUpdated { framework };
            Event { framework_updated: Some(updated), ..of(event::Type::FrameworkUpdated) }
        }
        Change::FrameworkRemoved(info) => {
            let removed = event::FrameworkRemoved { framework_info: messages::framework_info(info) };
            Event { framework_removed: Some(removed), ..of(event::Type::FrameworkRemoved) }
        }
        Change::FrameworkState(_)
        | Change::FrameworkForgotten(_)
        | Change::AgentUpdated(_)
        | Change::AgentMoved(_)
        | Change::TaskMoved(..)
        | Change::Executor(..)
        | Change::Offer(..)
        | Change::Weights
        | Change::Maintenance => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_is_not_told_where_its_addition_was_not() {
        let added = |id: &str| Change::AgentAdded(id.into());
        let removed = |id: &str| Change::AgentRemoved(id.into());
        let mut untold = Untold::default();
        assert!(!untold.skips(&removed("a"), false));
        assert!(untold.skips(&added("a"), true));
        assert!(untold.skips(&removed("a"), false));
        assert!(!untold.skips(&added("b"), false));
        assert!(!untold.skips(&removed("b"), false));
        let framework = protocol::FrameworkInfo { id: Some("f".into()), ..protocol::FrameworkInfo::new("f") };
        assert!(untold.skips(&Change::FrameworkAdded("f".into()), true));
        assert!(untold.skips(&Change::FrameworkRemoved(framework.clone()), false));
        assert!(!untold.skips(&Change::FrameworkRemoved(framework), false));
    }
}
