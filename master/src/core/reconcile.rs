//! Reconciliation: a framework asks how its tasks are. The answers carry no uuid and are not acknowledged.
//!
//! | the task is | explicit answer (TASK_LOST where the framework is not partition-aware) |
//! |---|---|
//! | known | its newest state that was forwarded, else TASK_STAGING |
//! | on an unreachable agent, or said to be | TASK_UNREACHABLE |
//! | said to be on an agent in transition (recovering, coming back, leaving) | none: ask again later |
//! | said to be on a registered agent that does not have it | TASK_GONE |
//! | said to be nowhere while any agent recovers | none |
//! | else | TASK_UNKNOWN |

use protocol::messages::ReconcileTask;
use protocol::{AgentId, FrameworkId, Reason, Source, TaskId, TaskState, TaskStatus, UnixTime};

use super::frameworks::Framework;
use super::tasks::{TaskRecord, as_seen_by};
use super::{Master, Turn};

impl Master {
    /// Answers for the tasks named (M-E-08), or for all that are known (M-E-09).
    pub(super) fn reconcile(&mut self, turn: &mut Turn<'_>, id: &FrameworkId, tasks: Vec<ReconcileTask>) {
        self.counters.count("messages_reconcile_tasks");
        if !tasks.is_empty() {
            for task in tasks {
                self.reconcile_one(turn, id, task.task_id, task.agent_id);
            }
            return;
        }
        let Some(framework) = self.frameworks.get(id) else { return };
        let Some(pid) = &framework.pid else { return };
        for record in framework.tasks.values() {
            turn.update(pid.clone(), known(record, turn.unix_time()));
        }
        for (_, record) in framework.unreachable.iter() {
            turn.update(pid.clone(), unreachable(framework, record, turn.unix_time()));
        }
    }

    /// Answers for one task, or leaves the question open.
    pub(super) fn reconcile_one(
        &self,
        turn: &mut Turn<'_>,
        id: &FrameworkId,
        task_id: TaskId,
        agent_id: Option<AgentId>,
    ) {
        let Some(framework) = self.frameworks.get(id) else { return };
        let Some(pid) = framework.pid.clone() else { return };
        let now = turn.unix_time();
        if let Some(record) = framework.tasks.get(&task_id) {
            return turn.update(pid, known(record, now));
        }
        if let Some(record) = framework.unreachable.get(&task_id) {
            return turn.update(pid, unreachable(framework, record, now));
        }
        let answer = |state, message: &str| {
            let mut status =
                TaskStatus::new(task_id.clone(), as_seen_by(&framework.info, state), Source::Master)
                    .because(Reason::Reconciliation, message);
            status.agent_id = agent_id.clone();
            status.timestamp = Some(now);
            status
        };
        if self.in_transition(agent_id.as_ref()) {
            return;
        }
        let since = agent_id.as_ref().and_then(|agent_id| self.unreachable.get(agent_id));
        let registered = agent_id.as_ref().is_some_and(|agent_id| self.agents.contains_key(agent_id));
        let status = if let Some(since) = since {
            let status = answer(TaskState::Unreachable, "Reconciliation: Task is unreachable");
            TaskStatus { unreachable_time: Some(*since), ..status }
        } else if registered {
            answer(TaskState::Gone, "Reconciliation: Task is unknown to the agent")
        } else {
            answer(TaskState::Unknown, "Reconciliation: Task is unknown")
        };
        turn.update(pid, status);
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
    }
    status
}

fn unreachable(framework: &Framework, record: &TaskRecord, now: UnixTime) -> TaskStatus {
    let task = &record.task;
    let state = as_seen_by(&framework.info, TaskState::Unreachable);
    let mut status = TaskStatus::new(task.task_id.clone(), state, Source::Master)
        .because(Reason::Reconciliation, "Reconciliation: Task is unreachable");
    status.agent_id = Some(task.agent_id.clone());
    status.executor_id = Some(task.executor_id.clone());
    status.timestamp = Some(now);
    status.unreachable_time = record.unreachable_since;
    status
}
