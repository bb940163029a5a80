//! Every update reaches its framework at least once, and a task's updates in order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use libactor::sim::Seen;
use libactor::{Pid, Time};
use protocol::messages::{AgentCall, AgentEvent, Call, Event, SchedulerCall};
use protocol::{FrameworkId, TaskId, Uuid};

use super::{Invariant, ensure};
use crate::sim::framework::Heeds;
use crate::sim::{Cluster, Message};

/// Updates on their way from agents to frameworks.
#[derive(Debug)]
pub struct Updates {
    heeds: Heeds,
    streams: BTreeMap<TaskId, Stream>,
    /// Updates that the master has acknowledged in the place of their frameworks.
    unheard: Vec<(FrameworkId, TaskId)>,
    /// Which updates those are.
    settled: BTreeSet<Uuid>,
    /// Frameworks whose updates outlive their agents' processes.
    checkpoint: BTreeSet<FrameworkId>,
}

#[derive(Debug, Default)]
struct Stream {
    /// In the order in which they were first sent.
    sent: Vec<Sent>,
    delivered: BTreeSet<Uuid>,
    /// How far the framework has come.
    reached: usize,
    acknowledged: BTreeSet<Uuid>,
}

#[derive(Debug)]
struct Sent {
    uuid: Uuid,
    framework_id: FrameworkId,
    /// Whose life must still go on for it to be owed; none once it has ended, where that does not outlive it.
    agent: Option<Pid>,
}

impl Invariant for Updates {
    fn seen(&mut self, _now: Time, seen: &Seen<'_, Message>) {
        match seen {
            Seen::Sent { from, message: Message::Agent(AgentCall::Update(update)), .. } => {
                let uuid = update.status.uuid.expect("an agent's update has a uuid");
                let stream = self.streams.entry(update.status.task_id.clone()).or_default();
                if stream.sent.iter().all(|sent| sent.uuid != uuid) {
                    let framework_id = update.framework_id.clone();
                    stream.sent.push(Sent { uuid, framework_id, agent: Some((*from).clone()) });
                }
            }
            // It is another agent from now on.
            Seen::Sent { from, message: Message::Agent(AgentCall::Register { .. }), .. } => {
                self.agent_ended(from.address(), true);
            }
            Seen::Sent { message, .. } => {
                if let Message::AgentEvent(
                    AgentEvent::RunTask { framework, .. } | AgentEvent::RunTaskGroup { framework, .. },
                ) = message
                {
                    self.checkpoint.extend(framework.id.clone().filter(|_| framework.checkpoint));
                }
                if let Some(SchedulerCall { call: Call::Acknowledge { task_id, uuid, .. }, .. }) =
                    message.scheduler_call()
                {
                    let stream = self.streams.entry(task_id.clone()).or_default();
                    assert!(stream.delivered.contains(uuid), "{uuid} of {task_id} is acknowledged unseen");
                    stream.acknowledged.insert(*uuid);
                }
            }
            Seen::Delivered { message: Message::AgentEvent(event), .. } => {
                if let AgentEvent::Acknowledge { framework_id, task_id, uuid } = event
                    && self.streams.get(task_id).is_none_or(|it| !it.acknowledged.contains(uuid))
                {
                    self.settled.insert(*uuid);
                    self.unheard.push((framework_id.clone(), task_id.clone()));
                }
            }
            Seen::Delivered { from, to, message } => {
                let told = message.told(from, to, &self.heeds.borrow()).cloned();
                if let Some(Event::Update(status)) = told
                    && let Some(uuid) = status.uuid
                {
                    self.delivered(&status.task_id, uuid);
                }
            }
            // What a master has called ended is not in the registry: the next one may hear of it again.
            Seen::Started { pid } if pid.name() == "master" => self.unheard.clear(),
            Seen::Ended { process } => self.agent_ended(*process, false),
            _ => {}
        }
    }

    fn converged(&self, cluster: &Cluster) -> Result<(), String> {
        // A framework that knows how a task has ended is not bothered with how it came there.
        for (framework_id, task_id) in &self.unheard {
            let settled = !cluster.is_current(framework_id) || cluster.knows_end(task_id);
            ensure!(settled, "an update of {task_id} is acknowledged, but not by its framework");
        }
        let owed = |sent: &Sent| {
            let settled = self.settled.contains(&sent.uuid);
            sent.agent.is_some() && !settled && cluster.is_current(&sent.framework_id)
        };
        for (task_id, stream) in &self.streams {
            for sent in stream.sent.iter().filter(|sent| owed(sent)) {
                let came = stream.delivered.contains(&sent.uuid) || cluster.knows_end(task_id);
                ensure!(came, "update {} of {task_id} has never reached its framework", sent.uuid);
            }
        }
        Ok(())
    }
}

impl Updates {
    /// Nothing yet.
    pub fn new(heeds: Heeds) -> Self {
        Self {
            heeds,
            streams: BTreeMap::new(),
            unheard: Vec::new(),
            settled: BTreeSet::new(),
            checkpoint: BTreeSet::new(),
        }
    }

    /// An agent's process has ended, or the agent with all that it had kept.
    fn agent_ended(&mut self, process: SocketAddr, for_good: bool) {
        for sent in self.streams.values_mut().flat_map(|stream| &mut stream.sent) {
            let lost = for_good || !self.checkpoint.contains(&sent.framework_id);
            if lost && sent.agent.as_ref().is_some_and(|agent| agent.address() == process) {
                sent.agent = None;
            }
        }
    }

    fn delivered(&mut self, task_id: &TaskId, uuid: Uuid) {
        let stream = self.streams.entry(task_id.clone()).or_default();
        let place = stream.sent.iter().position(|sent| sent.uuid == uuid);
        let Some(place) = place else { panic!("update {uuid} of {task_id} was sent by no agent") };
        if stream.delivered.insert(uuid) {
            assert!(place >= stream.reached, "update {uuid} of {task_id} comes after a later one");
            stream.reached = place;
        }
    }
}
