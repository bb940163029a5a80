//! Reconciliation: a framework asks how its tasks are. The answers carry no uuid and are not acknowledged.
//!
//! | the task is | explicit answer (TASK_LOST where the framework is not partition-aware) |
//! |---|---|
//! | known | its newest state that was forwarded, else TASK_STAGING |
//! | on an unreachable agent, or said to be | TASK_UNREACHABLE |
//! | said to be on an agent in transition (recovering, coming back, leaving) | none: ask again later |
//! | said to be on a registered agent that does not have it | TASK_GONE |
//! | said to be on an agent that an operator marked as gone | TASK_GONE_BY_OPERATOR |
//! | said to be nowhere while any agent recovers | none |
//! | else | TASK_UNKNOWN |

use protocol::limits::MAX_TASKS_IN_CALL;
use protocol::messages::{Event, ReconcileTask};
use protocol::{
    AgentId, FrameworkId, FrameworkInfo, Reason, Source, TaskId, TaskState, TaskStatus, UnixTime,
};

use super::tasks::{TaskRecord, as_seen_by};
use super::{Master, Turn};

impl Master {
    /// Answers for the tasks named (M-E-08), or for all that are known (M-E-09).
    pub(super) fn reconcile(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, tasks: Vec<ReconcileTask>) {
        self.counters.count("messages_reconcile_tasks");
        if tasks.len() > MAX_TASKS_IN_CALL {
            tracing::warn!(framework_id = %id, "a call with more than {MAX_TASKS_IN_CALL} tasks is ignored");
            return self.counters.count("dropped_messages");
        }
        if !tasks.is_empty() {
            for task in tasks {
                self.reconcile_one(turn, id, task.task_id, task.agent_id);
            }
            return;
        }
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let now = turn.unix_time();
        let known = framework.tasks.values().map(|record| known(record, now));
        let unreachable =
            framework.unreachable.iter().map(|(_, record)| unreachable(&framework.info, record, now));
        let answers: Vec<_> = known.chain(unreachable).collect();
        for status in answers {
            framework.tell(turn, Event::Update(status));
        }
    }

    /// Answers for one task, or leaves the question open.
    pub(super) fn reconcile_one(
        &mut self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        task_id: TaskId,
        agent_id: Option<AgentId>,
    ) {
        let now = turn.unix_time();
        let answer = self.state_of(now, id, task_id, agent_id);
        if let (Some(status), Some(framework)) = (answer, self.frameworks.get_mut(id)) {
            framework.tell(turn, Event::Update(status));
        }
    }

    fn state_of(
        &self,
        now: UnixTime,
        id: &FrameworkId,
        task_id: TaskId,
        agent_id: Option<AgentId>,
    ) -> Option<TaskStatus> {
        let framework = self.frameworks.get(id)?;
        if let Some(record) = framework.tasks.get(&task_id) {
            return Some(known(record, now));
        }
        if let Some(record) = framework.unreachable.get(&task_id) {
            return Some(unreachable(&framework.info, record, now));
        }
        if self.in_transition(agent_id.as_ref()) {
            return None;
        }
        let registered = agent_id.as_ref().is_some_and(|agent_id| self.agents.contains_key(agent_id));
        let gone = agent_id.as_ref().is_some_and(|agent_id| self.gone.contains_key(agent_id));
        let unreachable = agent_id.as_ref().and_then(|agent_id| self.unreachable.get(agent_id)).copied();
        let since = unreachable.filter(|_| !gone);
        let (state, message) = if gone {
            (TaskState::GoneByOperator, "Reconciliation: Task is gone")
        } else if since.is_some() {
            (TaskState::Unreachable, "Reconciliation: Task is unreachable")
        } else if registered {
            (TaskState::Gone, "Reconciliation: Task is unknown to the agent")
        } else {
            (TaskState::Unknown, "Reconciliation: Task is unknown")
        };
        let status = TaskStatus::new(task_id, as_seen_by(&framework.info, state), Source::Master)
            .because(Reason::Reconciliation, message);
        Some(TaskStatus { agent_id, timestamp: Some(now), unreachable_time: since, ..status })
    }

    /// Whether it is not known yet what an agent runs; of no agent in particular: of any.
    fn in_transition(&self, agent_id: Option<&AgentId>) -> bool {
        match agent_id {
            Some(id) => {
                self.recovered.contains_key(id)
                    || self.reregistering.contains_key(id)
                    || self.agents.get(id).is_some_and(|agent| agent.leaving.is_some())
            }
            None => {
                !self.recovered.is_empty()
                    || !self.reregistering.is_empty()
                    || self.agents.values().any(|agent| agent.leaving.is_some())
            }
        }
    }
}

fn known(record: &TaskRecord, now: UnixTime) -> TaskStatus {
    let task = &record.task;
    let mut status = TaskStatus::new(task.task_id.clone(), record.told(), Source::Master)
        .because(Reason::Reconciliation, "Reconciliation: Latest task state");
    status.agent_id = Some(task.agent_id.clone());
    status.executor_id = Some(task.executor_id.clone());
    status.timestamp = Some(now);
    if let Some(last) = task.statuses.iter().rev().find(|last| last.state == status.state) {
        status.healthy = last.healthy;
        status.labels = last.labels.clone();
        status.exit_status = last.exit_status;
        status.unread = last.unread.clone();
    }
    status
}

fn unreachable(framework: &FrameworkInfo, record: &TaskRecord, now: UnixTime) -> TaskStatus {
    let task = &record.task;
    let state = as_seen_by(framework, TaskState::Unreachable);
    let mut status = TaskStatus::new(task.task_id.clone(), state, Source::Master)
        .because(Reason::Reconciliation, "Reconciliation: Task is unreachable");
    status.agent_id = Some(task.agent_id.clone());
    status.executor_id = Some(task.executor_id.clone());
    status.timestamp = Some(now);
    status.unreachable_time = record.unreachable_since;
    status
}
