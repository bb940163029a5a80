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
//! A recovered framework waits for ever: how long it has been away is not known (E.22).

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
use super::ring::Ring;
use super::tasks::{TaskRecord, keep_status};
use super::{Master, Timer, Turn, validate};

/// A framework and all that is its.
#[derive(Clone, Debug)]
pub struct Framework {
    /// Its identity.
    pub id: FrameworkId,
    /// As it describes itself; `id` is set.
    pub info: FrameworkInfo,
    /// Its scheduler's actor; absent: it is disconnected and gets no offers.
    pub pid: Option<Pid>,
    /// Known from agents alone: its scheduler has not subscribed at this master.
    pub recovered: bool,
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
    /// Its tasks on registered agents whose end it has not acknowledged.
    pub tasks: BTreeMap<TaskId, TaskRecord>,
    /// Its tasks on unreachable agents.
    pub unreachable: Ring<TaskId, TaskRecord>,
    /// Its tasks that have ended.
    pub completed: Ring<TaskId, Arc<Task>>,
}

impl Framework {
    fn demand(&self) -> FrameworkDemand {
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

    /// It has acknowledged an end: the completed task names no update any more that it may not have heard.
    pub(super) fn heard_end(&mut self, task_id: &TaskId, agent_id: &AgentId, uuid: Uuid) {
        if let Some(task) = self.completed.get_mut(task_id)
            && task.agent_id == *agent_id
            && task.status_update_uuid == Some(uuid)
        {
            Arc::make_mut(task).status_update_uuid = None;
        }
    }

    /// The role that a task of an unknown past is counted for.
    pub(super) fn first_role(&self) -> Role {
        self.info.roles.first().cloned().unwrap_or_default()
    }
}

impl Master {
    /// A scheduler subscribes, for the first time or again.
    pub(super) fn subscribe(
        &mut self,
        turn: &mut Turn<'_>,
        from: Pid,
        claimed: Option<FrameworkId>,
        mut info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
    ) {
        let again = info.id.is_some();
        self.counters.count(if again {
            "messages_reregister_framework"
        } else {
            "messages_register_framework"
        });
        if info.roles.is_empty() {
            info.roles.insert(Role::default());
        }
        if let Err(reason) = validate::subscription(claimed.as_ref(), &info, &suppressed) {
            return self.refuse_subscription(turn, from, reason);
        }
        let bound = self.schedulers.get(&from).cloned();
        let Some(id) = info.id.clone() else {
            match bound {
                // The answer to its first call has not reached it yet: it gets it again.
                Some(id) => self.resubscribe(turn, &id, from, info, suppressed, false),
                None => self.welcome(turn, from, info, suppressed),
            }
            return;
        };
        if self.is_removed_framework(&id) {
            return self.refuse_subscription(turn, from, "Framework has been removed".to_owned());
        }
        if let Some(other) = bound.filter(|bound| *bound != id) {
            let reason = format!("This scheduler is already subscribed as framework {other}");
            return self.refuse_subscription(turn, from, reason);
        }
        if self.frameworks.contains_key(&id) {
            self.resubscribe(turn, &id, from, info, suppressed, true);
        } else {
            self.welcome(turn, from, info, suppressed);
        }
    }

    /// Whether this master has as many frameworks as it takes on.
    pub(super) fn frameworks_full(&self) -> bool {
        self.frameworks.len() >= self.config.bounds.frameworks
    }

    /// A framework that is not known subscribes.
    fn welcome(&mut self, turn: &mut Turn<'_>, from: Pid, info: FrameworkInfo, suppressed: BTreeSet<Role>) {
        if self.frameworks_full() {
            let reason = format!("This master has {} frameworks and takes no more", self.frameworks.len());
            return self.refuse_subscription(turn, from, reason);
        }
        self.add_subscriber(turn, from, info, suppressed);
    }

    fn refuse_subscription(&mut self, turn: &mut Turn<'_>, from: Pid, reason: String) {
        tracing::info!(%from, reason, "a subscription is refused");
        self.counters.count("refused_subscriptions");
        turn.tell_scheduler(from, Event::Error(reason));
    }

    /// Whether a framework of this id was here and is not to come back. Identities that this master gave out are
    /// known for ever, others as long as they are among the completed frameworks.
    pub(super) fn is_removed_framework(&self, id: &FrameworkId) -> bool {
        if self.frameworks.contains_key(id) {
            return false;
        }
        let number = id
            .as_str()
            .strip_prefix(self.info.id.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|number| number.parse::<u64>().ok());
        self.completed_frameworks.contains_key(id)
            || number.is_some_and(|number| number < self.next_framework)
    }

    fn add_subscriber(
        &mut self,
        turn: &mut Turn<'_>,
        from: Pid,
        mut info: FrameworkInfo,
        roles: BTreeSet<Role>,
    ) {
        let id = info.id.clone().unwrap_or_else(|| {
            let number = self.next_framework;
            self.next_framework += 1;
            FrameworkId::from(format!("{}-{number:04}", self.info.id))
        });
        info.id = Some(id.clone());
        tracing::info!(framework_id = %id, name = info.name, pid = %from, "the framework is subscribed");
        let mut framework = self.new_framework(id.clone(), info);
        framework.pid = Some(from.clone());
        framework.registered_at = Some(turn.now);
        framework.suppressed = roles;
        self.allocator.add_framework(&id, framework.demand(), &BTreeMap::new());
        self.frameworks.insert(id.clone(), framework);
        self.schedulers.insert(from.clone(), id.clone());
        turn.link(from.clone());
        self.answer_subscription(turn, from, id, false);
    }

    fn new_framework(&self, id: FrameworkId, info: FrameworkInfo) -> Framework {
        Framework {
            id,
            info,
            pid: None,
            recovered: false,
            registered_at: None,
            reregistered_at: None,
            unregistered_at: None,
            suppressed: BTreeSet::new(),
            offers: BTreeSet::new(),
            tasks: BTreeMap::new(),
            unreachable: Ring::new(self.config.max_unreachable_tasks_per_framework),
            completed: Ring::new(self.config.max_completed_tasks_per_framework),
        }
    }

    /// An agent runs tasks of a framework that has not subscribed here: it is known from now on.
    pub(super) fn add_recovered(&mut self, id: &FrameworkId, info: FrameworkInfo) {
        let info = FrameworkInfo { id: Some(id.clone()), ..info };
        let mut framework = self.new_framework(id.clone(), info);
        framework.recovered = true;
        self.allocator.add_framework(id, framework.demand(), &BTreeMap::new());
        self.frameworks.insert(id.clone(), framework);
    }

    fn answer_subscription(&mut self, turn: &mut Turn<'_>, to: Pid, id: FrameworkId, resubscribed: bool) {
        let event = Event::Subscribed { framework_id: id, master: self.info.clone(), resubscribed };
        turn.tell_scheduler(to, event);
        self.allocate_soon(turn.now);
    }

    fn resubscribe(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        from: Pid,
        info: FrameworkInfo,
        suppressed: BTreeSet<Role>,
        again: bool,
    ) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if framework.info.principal != info.principal {
            let reason = "Changing framework's principal is not allowed".to_owned();
            return self.refuse_subscription(turn, from, reason);
        }
        let older = framework.pid.take();
        let failover = older.as_ref() != Some(&from);
        // Going inactive clears the filters: they were the older scheduler's.
        let demand = framework.demand();
        self.allocator.update_framework(id, demand);
        self.remove_offers_of_framework(turn, id, (!failover).then(|| from.clone()));
        if failover {
            if let Some(older) = older {
                turn.tell_scheduler(older.clone(), Event::Error("Framework failed over".to_owned()));
                self.schedulers.remove(&older);
                turn.unlink(older);
            }
            self.schedulers.insert(from.clone(), id.clone());
            turn.link(from.clone());
        }
        self.timers.cancel(&Timer::Failover(id.clone()));
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        if framework.recovered {
            framework.info = FrameworkInfo { id: Some(id.clone()), ..info };
            framework.recovered = false;
            framework.registered_at = Some(turn.now);
        } else {
            // The user and the checkpoint flag stay as they were (E.25).
            let checkpoint = framework.info.checkpoint;
            let user = std::mem::take(&mut framework.info.user);
            framework.info = FrameworkInfo { id: Some(id.clone()), user, checkpoint, ..info };
            framework.reregistered_at = Some(turn.now);
        }
        let name = framework.info.name.as_str();
        tracing::info!(framework_id = %id, name, pid = %from, failover, "the framework is subscribed again");
        framework.suppressed = suppressed;
        framework.pid = Some(from.clone());
        let demand = framework.demand();
        let info = framework.info.clone();
        self.allocator.update_framework(id, demand);
        self.answer_subscription(turn, from, id.clone(), again);
        self.tell_agents_of(turn, info);
    }

    /// Agents that work for a framework learn that somebody listens again.
    fn tell_agents_of(&self, turn: &mut Turn<'_>, info: FrameworkInfo) {
        let Some(id) = &info.id else { return };
        for agent in self.agents.values().filter(|agent| agent.connected && agent.works_for(id)) {
            turn.tell_agent(agent.pid.clone(), AgentEvent::UpdateFramework { framework: info.clone() });
        }
    }

    /// Its scheduler is gone: it gets no offers, and its tasks go on for a while.
    pub(super) fn framework_disconnected(&mut self, turn: &mut Turn<'_>, pid: &Pid) {
        let Some(id) = self.schedulers.remove(pid) else { return };
        let Some(framework) = self.frameworks.get_mut(&id) else { return };
        framework.pid = None;
        framework.unregistered_at = Some(turn.now);
        let timeout = framework.info.failover_timeout;
        tracing::info!(framework_id = %id, failover_timeout = %Span(timeout), "the framework is disconnected");
        let demand = framework.demand();
        self.allocator.update_framework(&id, demand);
        self.remove_offers_of_framework(turn, &id, None);
        if timeout == Duration::ZERO {
            self.remove_framework(turn, &id);
        } else {
            self.timers.set(Timer::Failover(id), turn.now + timeout);
        }
    }

    /// The framework itself ends its life.
    pub(super) fn teardown(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        self.counters.count("messages_unregister_framework");
        self.remove_framework(turn, id);
    }

    /// Ends a framework: all that it runs is killed, its id can't come back.
    pub(super) fn remove_framework(&mut self, turn: &mut Turn<'_>, id: &FrameworkId) {
        self.remove_offers_of_framework(turn, id, None);
        let Some(mut framework) = self.frameworks.remove(id) else { return };
        let tasks = framework.tasks.len();
        tracing::info!(framework_id = %id, tasks, "the framework is removed");
        self.timers.cancel(&Timer::Failover(id.clone()));
        if let Some(pid) = framework.pid.take() {
            self.schedulers.remove(&pid);
            turn.unlink(pid);
        }
        framework.unregistered_at = Some(turn.now);
        self.allocator.remove_framework(id);
        let mut touched = BTreeSet::new();
        for (task_id, record) in std::mem::take(&mut framework.tasks) {
            let held = record.holds();
            let mut task = record.task;
            self.counters.leave(task.state);
            if let Some(agent) = self.agents.get_mut(&task.agent_id) {
                agent.tasks.remove(&(id.clone(), task_id.clone()));
                if held {
                    agent.used -= &task.resources;
                }
                touched.insert(task.agent_id.clone());
            }
            if !task.state.is_terminal() {
                let killed = TaskStatus::new(task_id.clone(), TaskState::Killed, Source::Master)
                    .because(Reason::FrameworkRemoved, format!("Framework {id} removed"));
                self.counters.ended(TaskState::Killed, Source::Master, Some(Reason::FrameworkRemoved));
                let task = Arc::make_mut(&mut task);
                task.state = TaskState::Killed;
                keep_status(task, TaskStatus { timestamp: Some(turn.unix_time()), ..killed });
            }
            framework.completed.insert(task_id, task);
        }
        for agent in self.agents.values_mut() {
            let theirs = agent.forget_framework(id) || touched.contains(&agent.id);
            if theirs && agent.connected {
                let event = AgentEvent::ShutdownFramework { framework_id: id.clone() };
                turn.tell_agent(agent.pid.clone(), event);
            }
        }
        self.completed_frameworks.insert(id.clone(), framework);
    }

    /// No filters, no suppression: offers again (M-D-07).
    pub(super) fn revive(&mut self, turn: &Turn<'_>, id: &FrameworkId, roles: &BTreeSet<Role>) {
        self.counters.count("messages_revive_offers");
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let named = named_roles(&framework.info.roles, roles);
        if named.is_empty() {
            return;
        }
        framework.suppressed.retain(|role| !named.contains(role));
        self.allocator.revive(id, &named);
        self.allocate_soon(turn.now);
    }

    /// No offers for some roles.
    pub(super) fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<Role>) {
        self.counters.count("messages_suppress_offers");
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let named = named_roles(&framework.info.roles, roles);
        if named.is_empty() {
            return;
        }
        framework.suppressed.extend(named.iter().cloned());
        self.allocator.suppress(id, &named);
    }

    /// Asks are taken note of, no more (M-C-14).
    pub(super) fn request(&mut self) {
        self.counters.count("messages_resource_request");
    }
}

/// Those of the roles asked for that are subscribed; all of them where none is asked for.
fn named_roles(subscribed: &BTreeSet<Role>, asked: &BTreeSet<Role>) -> BTreeSet<Role> {
    if asked.is_empty() { subscribed.clone() } else { subscribed.intersection(asked).cloned().collect() }
}
