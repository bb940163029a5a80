//! Tasks as the master keeps them, and the one place where their states, the resources that they hold, and the
//! counts of them change together.

use std::sync::Arc;

use protocol::messages::{AgentEvent, Event};
use protocol::{
    AgentId, FrameworkId, FrameworkInfo, KillPolicy, Reason, Resources, Role, Source, Task, TaskId,
    TaskState, TaskStatus, UnixTime, Uuid,
};

use super::input::Change;
use super::limits::MAX_STATUSES_PER_TASK;
use super::{Master, Turn};

/// A task and what only the master knows of it.
#[derive(Clone, Debug)]
pub struct TaskRecord {
    /// The task. Shared with snapshots: changed by copy where one still reads it.
    pub task: Arc<Task>,
    /// The role that its resources were offered for.
    pub role: Role,
    /// A kill was asked for, with this policy: repeated when its agent registers again.
    pub kill: Option<Option<KillPolicy>>,
    /// Since when its agent is unreachable.
    pub unreachable_since: Option<UnixTime>,
}

impl TaskRecord {
    /// Whether its resources count as used.
    pub fn holds(&self) -> bool {
        !self.task.state.is_terminal() && self.task.state != TaskState::Unreachable
    }

    /// What the framework was told last: the state of the newest update that was forwarded. Before the first one
    /// it is staging, whatever its agent knows: a later state, told now, would be followed by earlier ones.
    pub fn told(&self) -> TaskState {
        match (self.task.status_update_state, self.task.state) {
            (Some(told), _) => told,
            (None, TaskState::Unreachable) => TaskState::Unreachable,
            (None, _) => TaskState::Staging,
        }
    }
}

/// How a framework is told of a state: only partition-aware ones tell the kinds of loss apart (M-E-02).
pub(super) fn as_seen_by(framework: &FrameworkInfo, state: TaskState) -> TaskState {
    if framework.can(protocol::Capability::PartitionAware) {
        return state;
    }
    match state {
        TaskState::Dropped
        | TaskState::Unreachable
        | TaskState::Gone
        | TaskState::GoneByOperator
        | TaskState::Unknown => TaskState::Lost,
        TaskState::Staging
        | TaskState::Starting
        | TaskState::Running
        | TaskState::Finished
        | TaskState::Failed
        | TaskState::Killed
        | TaskState::Lost
        | TaskState::Error
        | TaskState::Killing => state,
    }
}

/// Keeps a status with its task: one entry a state, without the data, the oldest forgotten.
pub(super) fn keep_status(task: &mut Task, status: TaskStatus) {
    match task.statuses.last_mut() {
        Some(last) if last.state == status.state => *last = status,
        _ => {
            if task.statuses.len() >= MAX_STATUSES_PER_TASK {
                task.statuses.remove(0);
            }
            task.statuses.push(status);
        }
    }
}

impl Master {
    /// A record, whose resources are already allocated to its framework.
    pub(super) fn add_task(&mut self, record: TaskRecord) {
        let framework_id = record.task.framework_id.clone();
        let task_id = record.task.task_id.clone();
        self.counters.enter(record.task.state);
        if let Some(agent) = self.agents.get_mut(&record.task.agent_id) {
            if record.holds() {
                agent.used += &record.task.resources;
            }
            agent.tasks.insert((framework_id.clone(), task_id.clone()));
        }
        if let Some(framework) = self.frameworks.get_mut(&framework_id) {
            framework.counters.enter(record.task.state);
            framework.tasks.insert(task_id, record);
        }
    }

    /// Moves a task into another state; at a terminal one its resources are free (M-E-05). Those who watch are told by
    /// the caller, who knows the status that says so.
    pub(super) fn move_task(
        &mut self,
        turn: &Turn<'_>,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        next: TaskState,
        told_by: (Source, Option<Reason>),
    ) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let Some(record) = framework.tasks.get_mut(task_id) else { return };
        let held = record.holds();
        let before = record.task.state;
        if before == next {
            return;
        }
        Arc::make_mut(&mut record.task).state = next;
        let release = (held && !record.holds())
            .then(|| (record.task.agent_id.clone(), record.role.clone(), record.task.resources.clone()));
        self.counters.leave(before);
        self.counters.enter(next);
        framework.counters.leave(before);
        framework.counters.enter(next);
        if next.is_terminal() {
            self.counters.ended(next, told_by.0, told_by.1);
            framework.counters.ended(next);
            if next != TaskState::Finished {
                let reason = told_by.1.map_or_else(|| "none".to_owned(), Reason::name);
                let agent_id = &record.task.agent_id;
                tracing::info!(%framework_id, %task_id, %agent_id, state = %next, reason, "the task has ended");
            }
        }
        if let Some((agent_id, role, resources)) = release {
            self.release(turn, framework_id, &role, &agent_id, &resources);
        }
    }

    /// What was used on an agent is free.
    pub(super) fn release(
        &mut self,
        turn: &Turn<'_>,
        framework_id: &FrameworkId,
        role: &Role,
        agent_id: &AgentId,
        resources: &Resources,
    ) {
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.used -= resources;
            self.allocator.recover(turn.now, framework_id, role, agent_id, resources, None);
        }
    }

    /// Takes a task that holds nothing any more out of the tables.
    pub(super) fn take_task(&mut self, framework_id: &FrameworkId, task_id: &TaskId) -> Option<TaskRecord> {
        let framework = self.frameworks.get_mut(framework_id)?;
        let record = framework.tasks.remove(task_id)?;
        debug_assert!(!record.holds(), "a task that is taken out holds nothing");
        self.counters.leave(record.task.state);
        framework.counters.leave(record.task.state);
        if let Some(agent) = self.agents.get_mut(&record.task.agent_id) {
            agent.tasks.remove(&(framework_id.clone(), task_id.clone()));
        }
        self.look_whether_empty(&record.task.agent_id);
        Some(record)
    }

    /// Moves a task whose end is known to its framework among the completed ones.
    pub(super) fn complete_task(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        task_id: &TaskId,
    ) {
        if let Some(record) = self.take_task(framework_id, task_id)
            && let Some(framework) = self.frameworks.get_mut(framework_id)
        {
            framework.complete(turn, record.task);
        }
    }

    /// The master itself says that a task is lost, in the words its framework understands. What the framework
    /// was already sent the end of is only put away: if that did not come, its agent sends it again. Unreachable tasks
    /// are kept apart: they may come back.
    pub(super) fn lose_task(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        task_id: &TaskId,
        loss: &Loss<'_>,
    ) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        let Some(record) = framework.tasks.get(task_id) else { return };
        if record.task.status_update_state.is_some_and(TaskState::is_terminal) {
            self.complete_task(turn, framework_id, task_id);
            return;
        }
        let status = loss.status(&framework.info, &record.task, turn);
        self.move_task(turn, framework_id, task_id, status.state, (Source::Master, status.reason));
        let Some(mut record) = self.take_task(framework_id, task_id) else { return };
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        tell_loss(&mut record.task, &status);
        turn.changed(Change::TaskUpdated { task: record.task.clone(), status: status.clone() });
        if loss.state == TaskState::Unreachable {
            record.unreachable_since = loss.unreachable_since;
            if let Some(forgotten) = framework.unreachable.insert(task_id.clone(), record) {
                turn.changed(Change::TaskMoved(framework_id.clone(), forgotten));
            }
        } else {
            framework.complete(turn, record.task);
        }
        framework.tell(turn, Event::Update(status));
    }

    /// Kills a task, as well as can be: an unknown one is answered as a reconciliation (M-E-06).
    pub(super) fn kill(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        task_id: TaskId,
        agent_id: Option<AgentId>,
        policy: Option<KillPolicy>,
    ) {
        self.counters.count("messages_kill_task");
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let Some(record) = framework.tasks.get_mut(&task_id) else {
            self.reconcile_one(turn, framework_id, task_id, agent_id);
            return;
        };
        if agent_id.is_some_and(|agent_id| agent_id != record.task.agent_id) {
            tracing::warn!(%framework_id, %task_id, "a kill names another agent than the task's: ignored");
            self.counters.count("dropped_messages");
            return;
        }
        if record.task.state.is_terminal() {
            return;
        }
        record.kill = Some(policy);
        let agent_id = record.task.agent_id.clone();
        if let Some(agent) = self.agents.get(&agent_id).filter(|agent| agent.connected) {
            turn.tell_agent(
                agent.pid.clone(),
                AgentEvent::KillTask { framework_id: framework_id.clone(), task_id, kill_policy: policy },
            );
        }
    }

    /// The framework has seen an update: its agent may send the next one (M-E-04).
    pub(super) fn acknowledge(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        agent_id: &AgentId,
        task_id: TaskId,
        uuid: Uuid,
    ) {
        self.counters.count("messages_status_update_acknowledgement");
        let connected = self.agents.get(agent_id).filter(|agent| agent.connected);
        let record = self
            .frameworks
            .get(framework_id)
            .and_then(|framework| framework.tasks.get(&task_id))
            .filter(|record| record.task.agent_id == *agent_id);
        let foreign = record.is_some_and(|record| record.task.status_update_uuid != Some(uuid));
        let (Some(agent), false) = (connected, foreign) else {
            tracing::debug!(%framework_id, %task_id, %agent_id, "an acknowledgement of nothing is ignored");
            self.counters.count("invalid_status_update_acknowledgements");
            return;
        };
        let done = record.is_some_and(|record| record.told().is_terminal());
        turn.tell_agent(
            agent.pid.clone(),
            AgentEvent::Acknowledge { framework_id: framework_id.clone(), task_id: task_id.clone(), uuid },
        );
        self.counters.count("valid_status_update_acknowledgements");
        if done {
            self.complete_task(turn, framework_id, &task_id);
        }
        if let Some(framework) = self.frameworks.get_mut(framework_id)
            && framework.heard_end(&task_id, agent_id, uuid)
            && !done
        {
            turn.changed(Change::TaskMoved(framework_id.clone(), task_id));
        }
    }
}

/// A loss that the master declares.
#[derive(Debug)]
pub(super) struct Loss<'a> {
    /// For partition-aware frameworks; the others are told TASK_LOST.
    pub(super) state: TaskState,
    /// Why.
    pub(super) reason: Reason,
    /// For people.
    pub(super) message: &'a str,
    /// Set where the agent may come back.
    pub(super) unreachable_since: Option<UnixTime>,
}

impl Loss<'_> {
    /// How a framework is told of the loss of one task.
    pub(super) fn status(&self, framework: &FrameworkInfo, task: &Task, turn: &Turn<'_>) -> TaskStatus {
        let state = as_seen_by(framework, self.state);
        // Who does not know of operators is not told of them. Source: Mesos.
        let reason = match (self.reason, state) {
            (Reason::AgentRemovedByOperator, TaskState::Lost) => Reason::AgentRemoved,
            (reason, _) => reason,
        };
        let mut status =
            TaskStatus::new(task.task_id.clone(), state, Source::Master).because(reason, self.message);
        status.agent_id = Some(task.agent_id.clone());
        status.executor_id = Some(task.executor_id.clone());
        status.timestamp = Some(turn.unix_time());
        status.unreachable_time = self.unreachable_since;
        status
    }
}

/// Notes with a task what its framework is told of its loss.
pub(super) fn tell_loss(task: &mut Arc<Task>, status: &TaskStatus) {
    let task = Arc::make_mut(task);
    task.state = status.state;
    keep_status(task, status.clone());
    task.status_update_state = Some(status.state);
    task.status_update_uuid = None;
}
