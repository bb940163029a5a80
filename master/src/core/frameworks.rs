//! Frameworks: subscription, failover, disconnection, teardown.
//!
//! ```text
//!              Subscribe                       Exited
//!   (unknown) ───────────► subscribed ─────────────────────► disconnected
//!       │                   ▲   │  ▲                            │    │
//!       │ an agent runs its │   │  └──── Subscribe, same id ────┘    │ failover_timeout
//!       │ tasks (recovered) │   │ Teardown                           │ (zero: at once)
//!       └──► disconnected ──┘   └────────────► removed ◄─────────────┘
//! ```
//! On each arrow but `recovered` the registry is told, and a subscription is answered when it knows (`subscribing`). A framework
//! that the registry knew when this master began is disconnected, with what is left of its time. One that is known from agents
//! alone waits for ever: how long it has been away is not known (E.22).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libactor::{Pid, Time};
use protocol::messages::{AgentEvent, Event};
use protocol::notation::Span;
use protocol::{
    AgentId, Capability, FrameworkId, FrameworkInfo, OfferId, Reason, Role, Source, Task, TaskId, TaskState,
    TaskStatus, Uuid,
};

use super::allocator::FrameworkDemand;
use super::framework_counters::FrameworkCounters;
use super::input::Change;
use super::ring::Ring;
use super::tasks::{TaskRecord, keep_status};
use super::{Master, Timer, Turn};

/// A framework and all that is its.
#[derive(Clone, Debug)]
pub struct Framework {
    /// Its identity.
    pub id: FrameworkId,
    /// As it describes itself; `id` is set.
    pub info: FrameworkInfo,
    /// Its scheduler's actor; absent: it is disconnected and gets no offers.
    pub pid: Option<Pid>,
    /// Known from the registry or from agents: its scheduler has not subscribed at this master.
    pub recovered: bool,
    /// What the registry was told of it last.
    pub(super) stored: Stored,
    /// Until when its scheduler may stay away; absent while it is there, and where it may for ever.
    pub(super) away_until: Option<Time>,
    /// When it first subscribed.
    pub registered_at: Option<Time>,
    /// When it last subscribed again.
    pub reregistered_at: Option<Time>,
    /// When it was last disconnected, or removed.
    pub unregistered_at: Option<Time>,
    /// Roles that it wants no offers for.
    pub suppressed: BTreeSet<Role>,
    /// Its offers that are not answered.
    pub offers: BTreeSet<OfferId>,
    /// What is counted of it.
    pub counters: FrameworkCounters,
    /// Its tasks on registered agents whose end it has not acknowledged.
    pub tasks: BTreeMap<TaskId, TaskRecord>,
    /// Its tasks on unreachable agents.
    pub unreachable: Ring<TaskId, TaskRecord>,
    /// Its tasks that have ended.
    pub completed: Ring<TaskId, Arc<Task>>,
}

/// What the registry was told of a framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Nothing: it is known from agents alone.
    Unknown,
    /// How it describes itself, and that its scheduler is there.
    Connected,
    /// That it is gone.
    Disconnected,
}

impl Framework {
    /// Tells its scheduler, if it has one; says whether it has.
    pub(super) fn tell(&mut self, turn: &mut Turn<'_>, event: Event) -> bool {
        let Some(to) = self.pid.clone() else { return false };
        self.counters.event(&event);
        turn.tell_scheduler(to, event);
        true
    }

    /// All that is measured of it, by Mesos's names without the `master/frameworks/<name>/<id>/`.
    pub fn metrics(&self) -> impl Iterator<Item = (Cow<'static, str>, u64)> {
        let now = [
            ("subscribed", u64::from(self.pid.is_some())),
            ("tasks/active/task_unreachable", self.unreachable.len() as u64),
        ];
        let roles = self.info.roles.iter().map(|role| {
            (Cow::from(format!("roles/{role}/suppressed")), u64::from(self.suppressed.contains(role)))
        });
        let named = self.counters.named().chain(now).map(|(name, value)| (Cow::from(name), value));
        named.chain(roles)
    }

    pub(super) fn demand(&self) -> FrameworkDemand {
        FrameworkDemand {
            roles: self.info.roles.clone(),
            suppressed: self.suppressed.clone(),
            gpus: self.info.can(Capability::GpuResources),
            active: self.pid.is_some(),
        }
    }

    /// Whether it was told that a task of this agent has ended, or uses the id for another one by now.
    pub(super) fn knows_end(&self, task_id: &TaskId, agent_id: &AgentId) -> bool {
        let elsewhere = self.tasks.get(task_id).is_some_and(|record| record.task.agent_id != *agent_id);
        elsewhere
            || (!self.tasks.contains_key(task_id)
                && self.completed.get(task_id).is_some_and(|task| task.agent_id == *agent_id))
    }

    /// Whether this very update is the end that it was sent for a task of this agent, and has not acknowledged. That
    /// it was sent does not mean that it came.
    pub(super) fn is_unheard_end(&self, task_id: &TaskId, agent_id: &AgentId, uuid: Option<Uuid>) -> bool {
        let over = self.completed.get(task_id).filter(|task| task.agent_id == *agent_id);
        uuid.is_some()
            && !self.tasks.contains_key(task_id)
            && over.is_some_and(|task| task.status_update_uuid == uuid)
    }

    /// It has acknowledged an end: the completed task names no update any more that it may not have heard. Says whether
    /// it did.
    pub(super) fn heard_end(&mut self, task_id: &TaskId, agent_id: &AgentId, uuid: Uuid) -> bool {
        if let Some(task) = self.completed.get_mut(task_id)
            && task.agent_id == *agent_id
            && task.status_update_uuid == Some(uuid)
        {
            Arc::make_mut(task).status_update_uuid = None;
            return true;
        }
        false
    }

    /// Keeps a task that has ended, in place of the one that ended first.
    pub(super) fn complete(&mut self, turn: &mut Turn<'_>, task: Arc<Task>) {
        let task_id = task.task_id.clone();
        turn.changed(Change::TaskMoved(self.id.clone(), task_id.clone()));
        if let Some(forgotten) = self.completed.insert(task_id, task) {
            turn.changed(Change::TaskMoved(self.id.clone(), forgotten));
        }
    }

    /// The role that a task of an unknown past is counted for.
    pub(super) fn first_role(&self) -> Role {
        self.info.roles.first().cloned().unwrap_or_default()
    }
}

impl Master {
    /// Its scheduler is gone: it gets no offers, and its tasks go on for a while.
    pub(super) fn framework_disconnected(&mut self, turn: &mut Turn<'_>, pid: &Pid) {
        self.subscriber_gone(pid);
        let Some(id) = self.schedulers.remove(pid) else { return };
        let Some(framework) = self.frameworks.get_mut(&id) else { return };
        framework.pid = None;
        framework.unregistered_at = Some(turn.now);
        let timeout = framework.info.failover_timeout;
        framework.away_until = Some(turn.now + timeout);
        tracing::info!(framework_id = %id, failover_timeout = %Span(timeout), "the framework is disconnected");
        let demand = framework.demand();
        self.allocator.update_framework(&id, demand);
        self.timers.cancel(&Timer::Heartbeat(id.clone()));
        self.remove_offers_of_framework(turn, &id, false);
        if self.expects_subscriber(&id) {
            // Another one takes its place as soon as the registry knows.
            turn.changed(Change::FrameworkState(id));
        } else if timeout == Duration::ZERO {
            self.remove_framework(turn, &id);
        } else {
            self.tell_disconnected(turn, &id, turn.now);
            turn.changed(Change::FrameworkState(id.clone()));
            self.set_failover(&id);
        }
    }

    /// The framework itself ends its life.
    pub(super) fn teardown(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        self.counters.count("messages_unregister_framework");
        self.remove_framework(turn, id);
    }

    /// Ends a framework: all that it runs is killed, its id can't come back.
    pub(super) fn remove_framework(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        self.remove_offers_of_framework(turn, id, false);
        let underway = self.forget_subscribing(turn, id);
        let framework = self.frameworks.remove(id);
        if underway || framework.is_some() {
            self.tell_removed(turn, id);
        }
        let Some(mut framework) = framework else { return };
        let tasks = framework.tasks.len();
        tracing::info!(framework_id = %id, tasks, "the framework is removed");
        self.timers.cancel(&Timer::Failover(id.clone()));
        self.timers.cancel(&Timer::Heartbeat(id.clone()));
        if let Some(pid) = framework.pid.take() {
            self.schedulers.remove(&pid);
            turn.unlink(pid);
        }
        framework.unregistered_at = Some(turn.now);
        self.allocator.remove_framework(id);
        let touched = self.end_tasks(turn, &mut framework);
        for agent in self.agents.values_mut() {
            let forgotten = agent.forget_framework(id);
            if forgotten {
                turn.changed(Change::Executor(id.clone(), agent.id.clone()));
                turn.changed(Change::AgentUpdated(agent.id.clone()));
            }
            if (forgotten || touched.contains(&agent.id)) && agent.connected {
                let event = AgentEvent::ShutdownFramework { framework_id: id.clone() };
                turn.tell_agent(agent.pid.clone(), event);
            }
        }
        let wanted_empty = self.wishes.iter().filter(|(_, wish)| wish.drain.is_some());
        self.maybe_empty.extend(wanted_empty.map(|(id, _)| id.clone()));
        turn.changed(Change::FrameworkRemoved(framework.info.clone()));
        if let Some(forgotten) = self.completed_frameworks.insert(id.clone(), framework) {
            turn.changed(Change::FrameworkForgotten(forgotten));
        }
    }

    /// All tasks of a framework that is removed are over. Says on which agents they were.
    fn end_tasks(&mut self, turn: &mut Turn<'_>, framework: &mut Framework) -> BTreeSet<AgentId> {
        let mut touched = BTreeSet::new();
        for (task_id, record) in std::mem::take(&mut framework.tasks) {
            let held = record.holds();
            let mut task = record.task;
            self.counters.leave(task.state);
            framework.counters.leave(task.state);
            if let Some(agent) = self.agents.get_mut(&task.agent_id) {
                agent.tasks.remove(&(framework.id.clone(), task_id.clone()));
                if held {
                    agent.used -= &task.resources;
                }
                touched.insert(task.agent_id.clone());
            }
            let mut killed = TaskStatus::new(task_id.clone(), TaskState::Killed, Source::Master)
                .because(Reason::FrameworkRemoved, format!("Framework {} removed", framework.id));
            killed.agent_id = Some(task.agent_id.clone());
            killed.timestamp = Some(turn.unix_time());
            if !task.state.is_terminal() {
                self.counters.ended(TaskState::Killed, Source::Master, Some(Reason::FrameworkRemoved));
                framework.counters.ended(TaskState::Killed);
                let task = Arc::make_mut(&mut task);
                task.state = TaskState::Killed;
                keep_status(task, killed.clone());
            }
            turn.changed(Change::TaskUpdated { task: task.clone(), status: killed });
            framework.completed.insert(task_id, task);
        }
        touched
    }

    /// No filters, no suppression: offers again (M-D-07).
    pub(super) fn revive(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, roles: &BTreeSet<Role>) {
        self.counters.count("messages_revive_offers");
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let Some(named) = named_roles(&framework.info, roles) else {
            return self.counters.count("dropped_messages");
        };
        framework.suppressed.retain(|role| !named.contains(role));
        self.allocator.revive(id, &named);
        self.allocate_soon(turn.now);
        turn.changed(Change::FrameworkState(id.clone()));
    }

    /// No offers for some roles.
    pub(super) fn suppress(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, roles: &BTreeSet<Role>) {
        self.counters.count("messages_suppress_offers");
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let Some(named) = named_roles(&framework.info, roles) else {
            return self.counters.count("dropped_messages");
        };
        framework.suppressed.extend(named.iter().cloned());
        self.allocator.suppress(id, &named);
        turn.changed(Change::FrameworkState(id.clone()));
    }

    /// Asks are taken note of, no more (M-C-14).
    pub(super) fn request(&mut self) {
        self.counters.count("messages_resource_request");
    }
}

/// The roles asked for; all where none is. A call that names one that the framework is not subscribed to is ignored as a
/// whole, as Mesos does.
fn named_roles(info: &FrameworkInfo, asked: &BTreeSet<Role>) -> Option<BTreeSet<Role>> {
    if asked.is_empty() {
        return Some(info.roles.clone());
    }
    if let Some(role) = asked.difference(&info.roles).next() {
        let framework_id = info.id.as_ref().map_or("", FrameworkId::as_str);
        tracing::warn!(framework_id, %role, "a call names a role that is not the framework's: ignored");
        return None;
    }
    Some(asked.clone())
}
