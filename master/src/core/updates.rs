//! Status updates on their way from agents to frameworks.

use std::sync::Arc;

use protocol::messages::{AgentEvent, Event};
use protocol::{AgentId, ExecutorId, FrameworkId, Source, StatusUpdate, TaskId, TaskState, TaskStatus, Uuid};

use super::input::Change;
use super::tasks::{as_seen_by, keep_status};
use super::{Master, Turn, validate};

impl Master {
    /// An agent says how a task is: the framework is told if it is there; if not, the agent will say it again.
    pub(super) fn status_update(&mut self, turn: &mut Turn<'_>, agent_id: &AgentId, update: StatusUpdate) {
        self.counters.count("messages_status_update");
        let StatusUpdate { framework_id, mut status, latest_state } = update;
        if status.agent_id.as_ref().is_some_and(|named| named != agent_id) {
            tracing::warn!(%agent_id, %framework_id, "an update in the name of another agent is ignored");
            self.counters.count("invalid_status_updates");
            return;
        }
        if let Err(reason) = validate::report(status.state, latest_state) {
            tracing::warn!(%agent_id, %framework_id, task_id = %status.task_id, reason, "an update is ignored");
            self.counters.count("invalid_status_updates");
            return;
        }
        status.agent_id = Some(agent_id.clone());
        if self.is_removed_framework(&framework_id) {
            self.counters.count("invalid_status_updates");
            self.tell_agent(turn, agent_id, AgentEvent::ShutdownFramework { framework_id });
            return;
        }
        let Some(framework) = self.frameworks.get_mut(&framework_id) else {
            tracing::warn!(%agent_id, %framework_id, "an update for an unknown framework is ignored");
            self.counters.count("invalid_status_updates");
            return;
        };
        let key = (framework_id, status.task_id.clone());
        if self.agents.get(agent_id).is_some_and(|agent| agent.orphans.contains_key(&key)) {
            self.orphan_update(turn, agent_id, key, &status, latest_state);
            return;
        }
        let (framework_id, task_id) = key;
        let known = framework.tasks.get(&task_id).is_some_and(|record| record.task.agent_id == *agent_id);
        if known {
            self.counters.count("valid_status_updates");
            self.known_update(turn, &framework_id, status, latest_state);
            return;
        }
        self.counters.count("invalid_status_updates");
        let unheard = framework.is_unheard_end(&task_id, agent_id, status.uuid);
        if framework.knows_end(&task_id, agent_id) && !unheard {
            // An end is final: the agent must not say anything of it for ever. Where the launch overtook the news that
            // the agent was lost, it must not run it either.
            self.end_what_is_over(turn, agent_id, &framework_id, &status, latest_state);
            self.acknowledge_for(turn, agent_id, framework_id, task_id, status.uuid);
        } else {
            // Where an end was sent and then put away, only the framework can say that it came.
            status.state = as_seen_by(&framework.info, status.state);
            framework.tell(turn, Event::Update(status));
        }
    }

    /// Ends a task that was lost for its framework while it was on its way to its agent, and a custom executor that was
    /// started for it and is not counted here.
    fn end_what_is_over(
        &self,
        turn: &mut Turn<'_>,
        agent_id: &AgentId,
        framework_id: &FrameworkId,
        status: &TaskStatus,
        latest_state: TaskState,
    ) {
        let (framework_id, task_id) = (framework_id.clone(), status.task_id.clone());
        let Some(framework) = self.frameworks.get(&framework_id) else { return };
        let over = framework.completed.get(&task_id).filter(|task| task.agent_id == *agent_id);
        let executor_id = over.filter(|task| !task.command_executor).map(|task| task.executor_id.clone());
        let counted = |executor_id: &ExecutorId| {
            let key = (framework_id.clone(), executor_id.clone());
            self.agents.get(agent_id).is_some_and(|agent| agent.executors.contains_key(&key))
        };
        if let Some(executor_id) = executor_id.filter(|executor_id| !counted(executor_id)) {
            self.tell_agent(turn, agent_id, AgentEvent::ShutdownExecutor { framework_id, executor_id });
        } else if !latest_state.is_terminal() {
            let kill = AgentEvent::KillTask { framework_id, task_id, kill_policy: None };
            self.tell_agent(turn, agent_id, kill);
        }
    }

    fn known_update(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        mut status: TaskStatus,
        latest_state: TaskState,
    ) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let task_id = status.task_id.clone();
        let Some(record) = framework.tasks.get_mut(&task_id) else { return };
        let latest = as_seen_by(&framework.info, latest_state);
        status.state = as_seen_by(&framework.info, status.state);
        let told_by = (status.source, status.reason);
        let legal = record.task.state.may_become(latest);
        let unacknowledged = status.uuid.is_some();
        let (agent_id, executor_id) = (record.task.agent_id.clone(), record.task.executor_id.clone());
        let mut kept = status.clone();
        kept.data = Default::default();
        // Its agent repeats it until it is acknowledged: that is no news.
        let again = status.uuid.is_some() && record.task.status_update_uuid == status.uuid;
        let news = !again || (legal && record.task.state != latest);
        if !again {
            let task = Arc::make_mut(&mut record.task);
            keep_status(task, kept.clone());
            if framework.pid.is_some() {
                task.status_update_state = Some(status.state);
                task.status_update_uuid = status.uuid;
            }
        }
        framework.tell(turn, Event::Update(status));
        if told_by.0 == Source::Executor
            && let Some(agent) = self.agents.get_mut(&agent_id)
            && let Some(executor) = agent.executors.get_mut(&(framework_id.clone(), executor_id.clone()))
            && executor.doubtful.as_ref().is_some_and(|named| !named.contains(&task_id))
        {
            executor.doubtful = None;
        }
        if legal {
            self.move_task(turn, framework_id, &task_id, latest, told_by);
        }
        let framework = self.frameworks.get(framework_id).filter(|_| news);
        if let Some(record) = framework.and_then(|framework| framework.tasks.get(&task_id)) {
            turn.changed(Change::TaskUpdated { task: record.task.clone(), status: kept });
        }
        if latest.is_terminal() {
            self.settle_doubt(turn, &agent_id, framework_id, &executor_id);
        }
        if !unacknowledged && latest.is_terminal() {
            self.complete_task(turn, framework_id, &task_id);
        }
    }

    /// A task that its framework was told to be lost goes on ending: the framework hears nothing more of it.
    fn orphan_update(
        &mut self,
        turn: &mut Turn<'_>,
        agent_id: &AgentId,
        key: (FrameworkId, TaskId),
        status: &TaskStatus,
        latest_state: TaskState,
    ) {
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        let Some(orphan) = agent.orphans.get_mut(&key) else { return };
        if latest_state.is_terminal() {
            let role = orphan.role.clone();
            let resources = std::mem::take(&mut orphan.resources);
            if status.state.is_terminal() {
                agent.orphans.remove(&key);
            }
            self.look_whether_empty(agent_id);
            self.release(turn, &key.0, &role, agent_id, &resources);
            turn.changed(Change::AgentUpdated(agent_id.clone()));
        }
        self.acknowledge_for(turn, agent_id, key.0, key.1, status.uuid);
    }

    /// Acknowledges in place of a framework.
    fn acknowledge_for(
        &self,
        turn: &mut Turn<'_>,
        agent_id: &AgentId,
        framework_id: FrameworkId,
        task_id: TaskId,
        uuid: Option<Uuid>,
    ) {
        if let Some(uuid) = uuid {
            self.tell_agent(turn, agent_id, AgentEvent::Acknowledge { framework_id, task_id, uuid });
        }
    }
}
