//! A task has ended as its executor said: once the agent has told the executor that it holds the word, nothing else is told,
//! whatever happens to the agent's process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use libactor::Time;
use libactor::sim::Seen;
use protocol::messages::{AgentCall, AgentEvent, Event, ExecutorCall, ExecutorCallKind, ExecutorEvent};
use protocol::{FrameworkId, TaskId, TaskState, TaskStatus, Uuid};

use super::Invariant;
use crate::sim::Message;
use crate::sim::framework::Heeds;

/// What executors have said.
#[derive(Debug)]
pub struct Ends {
    heeds: Heeds,
    /// Ends that executors have told their agents.
    said: BTreeMap<Uuid, (FrameworkId, TaskId, TaskState)>,
    /// Those that an agent holds, and where.
    held: BTreeMap<TaskId, (SocketAddr, Uuid, TaskState)>,
    /// Frameworks whose tasks outlive their agents' processes.
    checkpoint: BTreeSet<FrameworkId>,
}

impl Ends {
    /// Nothing yet.
    pub fn new(heeds: Heeds) -> Self {
        Self { heeds, said: BTreeMap::new(), held: BTreeMap::new(), checkpoint: BTreeSet::new() }
    }

    fn called(&mut self, call: &ExecutorCall) {
        match &call.call {
            ExecutorCallKind::Update(status) => self.says(&call.framework_id, status),
            ExecutorCallKind::Subscribe { updates, .. } => {
                updates.iter().for_each(|update| self.says(&call.framework_id, &update.status));
            }
            ExecutorCallKind::Message(_) | ExecutorCallKind::Heartbeat => {}
        }
    }

    fn says(&mut self, framework_id: &FrameworkId, status: &TaskStatus) {
        if let (true, Some(uuid)) = (status.state.is_terminal(), status.uuid) {
            self.said.insert(uuid, (framework_id.clone(), status.task_id.clone(), status.state));
        }
    }

    fn told(&self, status: &TaskStatus) {
        let by_agent = status.uuid.is_some() && status.state.is_terminal();
        let Some((_, uuid, end)) = self.held.get(&status.task_id).filter(|_| by_agent) else { return };
        let same = status.uuid == Some(*uuid);
        assert!(
            same,
            "{} has ended as {end}, its agent held it, and it is told as {status:?}",
            status.task_id
        );
    }
}

impl Invariant for Ends {
    fn seen(&mut self, _now: Time, seen: &Seen<'_, Message>) {
        match seen {
            Seen::Sent { message: Message::Executor(call) | Message::Http { call, .. }, .. } => {
                self.called(call);
            }
            Seen::Sent { message: Message::AgentEvent(event), .. } => match event {
                AgentEvent::RunTask { framework, .. } | AgentEvent::RunTaskGroup { framework, .. } => {
                    let id = framework.id.clone().filter(|_| framework.checkpoint);
                    self.checkpoint.extend(id);
                }
                // It forgets the task.
                AgentEvent::Acknowledge { task_id, uuid, .. } => {
                    self.held.retain(|id, (_, held, _)| id != task_id || held != uuid);
                }
                _ => {}
            },
            // Another agent from now on.
            Seen::Sent { from, message: Message::Agent(AgentCall::Register { .. }), .. } => {
                self.held.retain(|_, (agent, ..)| *agent != from.address());
            }
            Seen::Sent { from, message, .. } => {
                let event = match message {
                    Message::ExecutorEvent(event) | Message::Stream { event: Some(event), .. } => event,
                    _ => return,
                };
                if let ExecutorEvent::Acknowledged { uuid, .. } = event
                    && let Some((_, task_id, end)) = self.said.get(uuid)
                {
                    self.held.entry(task_id.clone()).or_insert((from.address(), *uuid, *end));
                }
            }
            Seen::Delivered { from, to, message } => {
                if let Some(Event::Update(status)) = message.told(from, to, &self.heeds.borrow()) {
                    self.told(status);
                }
            }
            Seen::Ended { process } => {
                let (said, checkpoint) = (&self.said, &self.checkpoint);
                self.held.retain(|_, (agent, uuid, _)| {
                    agent != process || said.get(uuid).is_some_and(|(id, ..)| checkpoint.contains(id))
                });
            }
            Seen::Started { .. } => {}
        }
    }
}
