//! Agents: registration, disconnection, loss.
//!
//! ```text
//!             Register                 Applied(AdmitAgent)
//!   (new) ───────────────► admitting ─────────────────────┐
//!                                                          ▼   Exited
//!   unreachable ── Reregister, Applied(MarkAgentReachable) ─► connected ──────► disconnected
//!        ▲                                                 │   ▲   Reregister      │   │
//!        │                                                 │   └──────────────────-┘   │
//!        │ Applied(MarkAgentUnreachable)                   │ pings unanswered           │ pings unanswered,
//!        │                                                 ▼                            │ reregister timeout
//!        └──────────────────────────────────────────── leaving ◄───────────────────────┘
//!                                                        │ │ (also: Unregister, another agent registers
//!   removed ◄─── Applied(RemoveAgent) ───────────────────┘ │  at the same address, MarkAgentGone)
//!   gone    ◄─── Applied(MarkAgentGone) ───────────────────┘
//! ```
//! How an agent leaves is in `leaving`. One that is leaving gets no offers, and nothing that it says is heard until the
//! registry has decided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libactor::{Pid, Time};
use protocol::messages::AgentEvent;
use protocol::{
    AgentId, AgentInfo, ExecutorId, ExecutorInfo, FrameworkId, OfferId, Reason, Resources, Role, TaskId,
    TaskState, UnixTime,
};

use super::drains::Draining;
use super::input::Change;
use super::maintenance::DOWN;
use super::tasks::Loss;
use super::{Master, Timer, Turn, validate};
use crate::registry::{Operation, Wish};

/// An agent and all that is on it.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its identity.
    pub id: AgentId,
    /// As it describes itself; `id` is set.
    pub info: Arc<AgentInfo>,
    /// Its actor.
    pub pid: Pid,
    /// The version of its program.
    pub version: String,
    /// Whether its link holds and it is registered on it.
    pub connected: bool,
    /// By an operator's word: it gets no offers.
    pub deactivated: bool,
    /// By an operator's word: it is to be emptied.
    pub draining: Option<Draining>,
    /// Set while the registry decides on its leaving.
    pub leaving: Option<Leaving>,
    /// When it registered.
    pub registered_at: Time,
    /// When it last registered again.
    pub reregistered_at: Option<Time>,
    /// Its tasks whose end is not acknowledged.
    pub tasks: BTreeSet<(FrameworkId, TaskId)>,
    /// Custom executors that live on it.
    pub executors: BTreeMap<(FrameworkId, ExecutorId), ExecutorRecord>,
    /// Tasks that it runs though their frameworks were told that they are lost: they are being killed.
    pub orphans: BTreeMap<(FrameworkId, TaskId), Orphan>,
    /// Offers of its resources that are not answered.
    pub offers: BTreeSet<OfferId>,
    /// What tasks, executors and orphans hold.
    pub used: Resources,
    /// What the offers hold.
    pub offered: Resources,
    /// Whether it has said anything since it was last told that it is registered.
    pub(super) heard: bool,
    /// When it asked to be admitted although it is; since then it is expected to register again.
    pub(super) doubted_at: Option<Time>,
    /// Whether the last ping was answered.
    pub(super) ponged: bool,
    /// Pings in a row without an answer.
    pub(super) missed_pings: u32,
}

/// A custom executor on an agent.
#[derive(Clone, Debug)]
pub struct ExecutorRecord {
    /// As its framework described it; its resources are those that it holds.
    pub info: Arc<ExecutorInfo>,
    /// The role that its resources were offered for.
    pub role: Role,
    /// Its agent has come back without naming it, and nothing was heard of it since. With the tasks of it that the agent did
    /// name: what they say is from before that, and no sign of it.
    pub doubtful: Option<BTreeSet<TaskId>>,
}

/// What is left of a task that is lost for its framework and not yet ended on its agent.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// The role that its resources were offered for.
    pub role: Role,
    /// What it holds.
    pub resources: Resources,
}

/// Why an agent is leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// It does not answer; since then.
    Unreachable(UnixTime),
    /// For good, for the reason that is given to people.
    Removed(&'static str),
    /// For good, by an operator's word; since then.
    Gone(UnixTime),
}

/// An agent whose admission the registry decides on.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    pub(super) pid: Pid,
    pub(super) version: String,
}

impl Agent {
    pub(super) fn new(id: AgentId, info: AgentInfo, pid: Pid, version: String, now: Time) -> Self {
        Self {
            id,
            info: Arc::new(info),
            pid,
            version,
            connected: true,
            deactivated: false,
            draining: None,
            leaving: None,
            registered_at: now,
            reregistered_at: None,
            tasks: BTreeSet::new(),
            executors: BTreeMap::new(),
            orphans: BTreeMap::new(),
            offers: BTreeSet::new(),
            used: Resources::new(),
            offered: Resources::new(),
            heard: false,
            doubted_at: None,
            ponged: true,
            missed_pings: 0,
        }
    }

    /// Whether its resources may be offered.
    pub fn active(&self) -> bool {
        self.connected && !self.deactivated && self.leaving.is_none()
    }

    /// Whether tasks or executors of a framework are here.
    pub(super) fn works_for(&self, framework_id: &FrameworkId) -> bool {
        let first = (framework_id.clone(), TaskId::from(""));
        let next = self.tasks.range(first..).next();
        next.is_some_and(|(owner, _)| owner == framework_id)
            || self.executors_of(framework_id).next().is_some()
    }

    /// The custom executors of one framework.
    pub fn executors_of(&self, framework_id: &FrameworkId) -> impl Iterator<Item = &ExecutorId> {
        self.executors
            .range((framework_id.clone(), ExecutorId::from(""))..)
            .take_while(move |((owner, _), _)| owner == framework_id)
            .map(|((_, executor_id), _)| executor_id)
    }

    /// Counts a task that is being killed. What it holds may have been given to another one meanwhile: then it holds
    /// nothing here.
    pub(super) fn add_orphan(&mut self, key: &(FrameworkId, TaskId), orphan: &Orphan) {
        if self.orphans.contains_key(key) {
            return;
        }
        let mut orphan = orphan.clone();
        let used = self.used.clone() + orphan.resources.clone();
        if self.info.resources.contains(&used) {
            self.used = used;
        } else {
            orphan.resources = Resources::new();
        }
        self.orphans.insert(key.clone(), orphan);
    }

    /// Drops executors and orphans of a framework that is removed; says whether there were any.
    pub(super) fn forget_framework(&mut self, framework_id: &FrameworkId) -> bool {
        let before = self.executors.len() + self.orphans.len();
        let used = &mut self.used;
        self.executors.retain(|(owner, _), executor| {
            let keep = owner != framework_id;
            if !keep {
                *used -= &executor.info.resources;
            }
            keep
        });
        self.orphans.retain(|(owner, _), orphan| {
            let keep = owner != framework_id;
            if !keep {
                *used -= &orphan.resources;
            }
            keep
        });
        before != self.executors.len() + self.orphans.len()
    }
}

impl Master {
    /// The agent that speaks from here, unless it is leaving.
    pub(super) fn speaking_agent(&mut self, from: &Pid) -> Option<AgentId> {
        let id = self.agent_pids.get(from)?;
        let agent = self.agents.get_mut(id).filter(|agent| agent.leaving.is_none())?;
        agent.heard = true;
        Some(id.clone())
    }

    /// Tells a connected agent.
    pub(super) fn tell_agent(&self, turn: &mut Turn<'_>, agent_id: &AgentId, event: AgentEvent) {
        if let Some(agent) = self.agents.get(agent_id).filter(|agent| agent.connected) {
            turn.tell_agent(agent.pid.clone(), event);
        }
    }

    /// A new agent asks to be admitted; it repeats this until it is answered (M-B-01).
    pub(super) fn register_agent(
        &mut self,
        turn: &mut Turn<'_>,
        from: Pid,
        mut info: AgentInfo,
        version: String,
    ) {
        self.counters.count("messages_register_slave");
        if self.deciding.get(&from).is_some_and(|id| self.admitting.contains_key(id)) {
            return;
        }
        if let Err(reason) = validate::agent(&info) {
            return self.refuse_agent(turn, from, reason);
        }
        if self.is_down(&info, &from) {
            return self.refuse_agent(turn, from, DOWN.to_owned());
        }
        // One that returned from here was an earlier life, which is over.
        self.abandon(turn, &from);
        if let Some(id) = self.agent_pids.get(&from).cloned()
            && let Some(agent) = self.agents.get(&id)
        {
            if agent.connected && agent.leaving.is_none() && !self.begins_anew(turn, &id) {
                return;
            }
            self.unbind(turn, &id);
            self.start_leaving(turn, &id, Leaving::Removed("a new agent registered at the same address"));
        }
        if self.agents_full() {
            return self.refuse_agent(turn, from, "this master takes no more agents".to_owned());
        }
        let id = AgentId::from(format!("{}-S{}", self.info.id, self.next_agent));
        self.next_agent += 1;
        info.id = Some(id.clone());
        turn.link(from.clone());
        self.deciding.insert(from.clone(), id.clone());
        self.admitting.insert(id, Admission { pid: from, version });
        turn.apply(Operation::AdmitAgent { agent: Arc::new(info) });
    }

    /// Whether this master has as many agents as it takes on, those included that it waits for.
    pub(super) fn agents_full(&self) -> bool {
        let deciding = self.admitting.len() + self.reregistering.len();
        self.agents.len() + deciding + self.recovered.len() >= self.config.bounds.agents
    }

    /// Whether a connected agent that asks to be admitted is in a new life, of which the link does not know. If it has
    /// said nothing since it was told that it is registered, it has not heard it: it is told again. Else it may be a
    /// message that was under way for long: it is told to register again, which one that lives on does at once.
    fn begins_anew(&mut self, turn: &mut Turn<'_>, id: &AgentId) -> bool {
        let patience = self.config.agent_ping_timeout;
        let ping_timeout = self.config.total_ping_timeout();
        let Some(agent) = self.agents.get_mut(id) else { return true };
        let to = agent.pid.clone();
        if !agent.heard {
            turn.tell_agent(to, AgentEvent::Registered { agent_id: id.clone(), ping_timeout });
            return false;
        }
        match agent.doubted_at {
            Some(since) => turn.now.since(since) >= patience,
            None => {
                agent.doubted_at = Some(turn.now);
                turn.tell_agent(to, AgentEvent::Ping { connected: false });
                false
            }
        }
    }

    /// A process has ended while the registry decides on it: what is decided is not for the next one at its address.
    pub(super) fn abandon(&mut self, turn: &Turn<'_>, pid: &Pid) {
        let Some(id) = self.deciding.remove(pid) else { return };
        self.admitting.remove(&id);
        self.reregistering.remove(&id);
        if self.recovered.contains_key(&id) && !self.timers.is_set(&Timer::Recovery) {
            self.wait_for_recovered(turn, id);
        }
    }

    /// Gives an agent time to come back that is not among those that this master began with.
    pub(super) fn wait_for_recovered(&mut self, turn: &Turn<'_>, id: AgentId) {
        self.timers.set(Timer::Recovered(id), turn.now + self.config.agent_reregister_timeout);
    }

    /// The registry holds what it was asked to.
    pub(super) fn applied(&mut self, turn: &mut Turn<'_>, operation: Operation) {
        match operation {
            Operation::AdmitAgent { agent } => self.agent_admitted(turn, Arc::unwrap_or_clone(agent)),
            Operation::MarkAgentUnreachable { agent_id, since } => {
                self.agent_unreachable(turn, &agent_id, since);
            }
            Operation::MarkAgentReachable { agent } => self.agent_reachable(turn, agent),
            Operation::RemoveAgent { agent_id } => self.agent_removed(turn, &agent_id),
            Operation::MarkAgentGone { agent_id, since } => self.agent_gone(turn, &agent_id, since),
            Operation::DeactivateAgent { agent_id } => {
                self.wished(turn, &agent_id, |wish| wish.deactivated = true);
            }
            Operation::ReactivateAgent { agent_id } => {
                self.wished(turn, &agent_id, |wish| *wish = Wish::default())
            }
            Operation::DrainAgent { agent_id, drain } => self.wished(turn, &agent_id, |wish| {
                *wish = Wish { deactivated: true, drain: Some(drain) };
            }),
            Operation::MarkAgentDrained { agent_id } => self.agent_drained(turn, &agent_id),
            Operation::Prune { unreachable, gone } => self.pruned(turn, &unreachable, &gone),
            Operation::UpdateWeights { weights } => self.weights_updated(turn, weights),
            Operation::SubscribeFramework { framework, .. } => self.framework_stored(turn, framework),
            Operation::RemoveFramework { framework_id, .. } => self.framework_removed(turn, &framework_id),
            operation @ (Operation::UpdateSchedule { .. }
            | Operation::StartMaintenance { .. }
            | Operation::StopMaintenance { .. }) => self.maintained(turn, &operation),
            // Nothing asks for these yet, or nothing follows from them.
            Operation::UpdateAgent { .. }
            | Operation::DisconnectFramework { .. }
            | Operation::UpdateQuotas { .. }
            | Operation::Found { .. }
            | Operation::Lead { .. }
            | Operation::AddMaster { .. }
            | Operation::RemoveMaster { .. }
            | Operation::ReplaceMaster { .. }
            | Operation::IdentifyMaster { .. } => {}
        }
    }

    fn agent_admitted(&mut self, turn: &mut Turn<'_>, info: AgentInfo) {
        let Some(id) = info.id.clone() else { return };
        let Some(Admission { pid, version }) = self.admitting.remove(&id) else {
            // It has ended meanwhile, without having learnt its id: nobody will come back under it.
            return turn.apply(Operation::RemoveAgent { agent_id: id });
        };
        self.deciding.remove(&pid);
        if self.is_down(&info, &pid) {
            turn.apply(Operation::RemoveAgent { agent_id: id });
            self.refuse_agent(turn, pid.clone(), DOWN.to_owned());
            return turn.unlink(pid);
        }
        let total = info.resources.clone();
        tracing::info!(agent_id = %id, %pid, hostname = info.hostname, resources = %total, "the agent is registered");
        let agent = Agent::new(id.clone(), info, pid.clone(), version, turn.now);
        self.agents.insert(id.clone(), agent);
        self.bind(&id, pid.clone());
        self.allocator.add_agent(&id, total, &BTreeMap::new());
        self.counters.count("slave_registrations");
        let ping_timeout = self.config.total_ping_timeout();
        turn.tell_agent(pid, AgentEvent::Registered { agent_id: id.clone(), ping_timeout });
        turn.changed(Change::AgentAdded(id.clone()));
        self.ping(turn, &id);
        self.allocate_soon(turn.now);
    }

    /// An agent speaks from this address, which is linked, from now on.
    pub(super) fn bind(&mut self, id: &AgentId, pid: Pid) {
        if let Some(agent) = self.agents.get_mut(id) {
            agent.pid = pid.clone();
        }
        self.agent_pids.insert(pid, id.clone());
    }

    /// It does so no more.
    pub(super) fn unbind(&mut self, turn: &mut Turn<'_>, id: &AgentId) {
        let Some(agent) = self.agents.get(id) else { return };
        if self.agent_pids.get(&agent.pid) == Some(id) {
            self.agent_pids.remove(&agent.pid);
            // The link of a disconnected one has ended.
            if agent.connected {
                turn.unlink(agent.pid.clone());
            }
        }
    }

    /// Its link is broken. It may come back; until then nothing of it is offered, and what can't survive the end of
    /// an agent's process is lost: the tasks of frameworks that don't checkpoint (M-B-05).
    pub(super) fn agent_disconnected(&mut self, turn: &mut Turn<'_>, pid: &Pid) {
        self.abandon(turn, pid);
        let Some(id) = self.agent_pids.get(pid).cloned() else { return };
        let Some(agent) = self.agents.get_mut(&id).filter(|agent| agent.connected) else { return };
        tracing::info!(agent_id = %id, "the agent is disconnected");
        agent.connected = false;
        let leaving = agent.leaving.is_some();
        turn.changed(Change::AgentUpdated(id.clone()));
        self.allocator.set_agent_active(&id, false);
        self.rescind_offers_of_agent(turn, &id);
        if leaving {
            return;
        }
        let message = format!("Agent {} disconnected", self.agents[&id].info.hostname);
        let loss = Loss {
            state: TaskState::Gone,
            reason: Reason::AgentDisconnected,
            message: &message,
            unreachable_since: None,
        };
        let fragile = |master: &Master, framework_id: &FrameworkId| {
            master.frameworks.get(framework_id).is_some_and(|framework| !framework.info.checkpoint)
        };
        let agent = &self.agents[&id];
        let tasks: Vec<_> = agent.tasks.iter().filter(|(owner, _)| fragile(self, owner)).cloned().collect();
        let executors: Vec<_> =
            agent.executors.keys().filter(|(owner, _)| fragile(self, owner)).cloned().collect();
        let orphans: Vec<_> =
            agent.orphans.keys().filter(|(owner, _)| fragile(self, owner)).cloned().collect();
        for (framework_id, task_id) in tasks {
            self.lose_task(turn, &framework_id, &task_id, &loss);
        }
        for (framework_id, executor_id) in executors {
            self.drop_executor(turn, &id, &framework_id, &executor_id);
        }
        for key in orphans {
            if let Some(orphan) = self.agents.get_mut(&id).and_then(|agent| agent.orphans.remove(&key)) {
                self.release(turn, &key.0, &orphan.role, &id, &orphan.resources);
            }
        }
        self.timers.set(Timer::Reregister(id), turn.now + self.config.agent_reregister_timeout);
    }

    /// An executor is no more: what it held is free.
    pub(super) fn drop_executor(
        &mut self,
        turn: &mut Turn<'_>,
        agent_id: &AgentId,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> bool {
        let Some(agent) = self.agents.get_mut(agent_id) else { return false };
        let Some(executor) = agent.executors.remove(&(framework_id.clone(), executor_id.clone())) else {
            return false;
        };
        self.release(turn, framework_id, &executor.role, agent_id, &executor.info.resources);
        turn.changed(Change::Executor(framework_id.clone(), agent_id.clone()));
        true
    }
}
