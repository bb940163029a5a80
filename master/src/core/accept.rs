//! Offers accepted: what their resources are used for.
//!
//! All offers of one call are of one framework, one agent and one role, or none of its tasks starts (E.7). Then the
//! tasks are judged one by one, each against what those before it have left. An agent that is disconnected has no
//! offers out: accepting one of those that it had is answered as any offer that is no longer valid.

use std::sync::Arc;

use protocol::limits::MAX_TASKS_IN_CALL;
use protocol::messages::{AgentEvent, Event};
use protocol::{
    AgentId, ExecutorInfo, Filters, FrameworkId, OfferId, Operation, Reason, Resources, Role, Source, Task,
    TaskInfo, TaskState, TaskStatus,
};

use super::agents::ExecutorRecord;
use super::input::Change;
use super::offers::refusal;
use super::tasks::{TaskRecord, as_seen_by};
use super::validate::{self, Fit, Place, brief};
use super::{Master, Turn};

/// The offers of one call, put together.
struct Pool {
    agent_id: AgentId,
    role: Role,
    resources: Resources,
}

fn tasks_in(operations: &[Operation]) -> usize {
    let tasks = |operation: &Operation| match operation {
        Operation::Launch { tasks } | Operation::LaunchGroup { tasks, .. } => tasks.len(),
    };
    operations.iter().map(tasks).sum()
}

impl Master {
    /// Uses offers; what is left goes back with the filters (M-D-02, M-D-05).
    pub(super) fn accept(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        offer_ids: &[OfferId],
        operations: Vec<Operation>,
        filters: Filters,
    ) {
        self.counters.count("messages_launch_tasks");
        if tasks_in(&operations) > MAX_TASKS_IN_CALL {
            tracing::warn!(%framework_id, "a call with more than {MAX_TASKS_IN_CALL} tasks is ignored");
            return self.counters.count("dropped_messages");
        }
        let pool = self.pool(framework_id, offer_ids);
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            operations.iter().for_each(|operation| framework.counters.operation(operation));
            framework.counters.offers_accepted(if pool.is_ok() { offer_ids.len() } else { 0 });
        }
        match pool {
            Ok(mut pool) => {
                for offer_id in offer_ids {
                    self.take_offer(turn, offer_id);
                }
                for operation in operations {
                    match operation {
                        Operation::Launch { tasks } => self.launch(turn, framework_id, &mut pool, tasks),
                        Operation::LaunchGroup { executor, tasks } => {
                            self.launch_group(turn, framework_id, &mut pool, executor, tasks);
                        }
                    }
                }
                let Pool { agent_id, role, resources } = pool;
                if !resources.is_empty() {
                    let refuse = refusal(filters);
                    self.allocator.recover(turn.now, framework_id, &role, &agent_id, &resources, refuse);
                }
            }
            Err(reason) => self.drop_tasks(turn, framework_id, offer_ids, operations, filters, &reason),
        }
    }

    /// Puts offers together, or says why they can't be used together.
    fn pool(&self, framework_id: &FrameworkId, offer_ids: &[OfferId]) -> Result<Pool, String> {
        let mut pool: Option<Pool> = None;
        for (index, offer_id) in offer_ids.iter().enumerate() {
            if offer_ids[..index].contains(offer_id) {
                return Err(format!("Duplicate offer {offer_id} in offer list"));
            }
            // That an offer of another framework exists is none of this one's business.
            let offer = self.offers.get(offer_id).filter(|offer| offer.framework_id == *framework_id);
            let Some(offer) = offer else {
                return Err(format!("Offer {} is no longer valid", brief(offer_id.as_str())));
            };
            match &mut pool {
                None => {
                    pool = Some(Pool {
                        agent_id: offer.agent_id.clone(),
                        role: offer.role.clone(),
                        resources: offer.resources.clone(),
                    });
                }
                Some(pool) if pool.agent_id != offer.agent_id => {
                    return Err(format!(
                        "Aggregated offers must belong to one single agent. Offer {offer_id} uses agent {} \
                         and agent {}",
                        offer.agent_id, pool.agent_id
                    ));
                }
                Some(pool) if pool.role != offer.role => {
                    return Err(format!(
                        "Aggregated offers must be allocated to the same role. Offer {offer_id} uses role '{}' \
                         but another is using role '{}'",
                        offer.role, pool.role
                    ));
                }
                Some(pool) => pool.resources += &offer.resources,
            }
        }
        pool.ok_or_else(|| "No offers specified".to_owned())
    }

    /// The offers are not usable: none of the tasks starts, and those offers that exist are given back.
    fn drop_tasks(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        offer_ids: &[OfferId],
        operations: Vec<Operation>,
        filters: Filters,
        reason: &str,
    ) {
        tracing::info!(%framework_id, reason, "offers can't be accepted");
        for offer_id in offer_ids {
            if self.offers.get(offer_id).is_some_and(|offer| offer.framework_id == *framework_id) {
                self.return_offer(turn, offer_id, refusal(filters));
            }
        }
        let message = format!("Task launched with invalid offers: {reason}");
        for operation in operations {
            match operation {
                Operation::Launch { tasks } | Operation::LaunchGroup { tasks, .. } => {
                    for task in tasks {
                        self.refuse_task(
                            turn,
                            framework_id,
                            task,
                            TaskState::Dropped,
                            Reason::InvalidOffers,
                            &message,
                        );
                    }
                }
            }
        }
    }

    /// A task does not start; nothing is kept of it.
    fn refuse_task(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        task: TaskInfo,
        state: TaskState,
        reason: Reason,
        message: &str,
    ) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let state = as_seen_by(&framework.info, state);
        self.counters.ended(state, Source::Master, Some(reason));
        framework.counters.ended(state);
        let mut status = TaskStatus::new(task.task_id, state, Source::Master).because(reason, message);
        status.agent_id = Some(task.agent_id);
        status.timestamp = Some(turn.unix_time());
        framework.tell(turn, Event::Update(status));
    }

    fn place<'a>(&'a self, framework_id: &FrameworkId, pool: &'a Pool) -> Option<Place<'a>> {
        Some(Place {
            framework: self.frameworks.get(framework_id)?,
            agent: self.agents.get(&pool.agent_id)?,
            role: &pool.role,
            left: &pool.resources,
            most: self.config.bounds.tasks_per_framework,
        })
    }

    /// Tasks of which each stands for itself.
    fn launch(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        pool: &mut Pool,
        tasks: Vec<TaskInfo>,
    ) {
        for task in tasks {
            let Some(place) = self.place(framework_id, pool) else { return };
            match validate::task(place, &task) {
                Ok(fit) => self.launch_one(turn, framework_id, pool, task, fit),
                Err(reason) => {
                    tracing::info!(%framework_id, task_id = %task.task_id, reason, "a task is refused");
                    let state = TaskState::Error;
                    self.refuse_task(turn, framework_id, task, state, Reason::TaskInvalid, &reason);
                }
            }
        }
    }

    fn launch_one(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        pool: &mut Pool,
        mut task: TaskInfo,
        fit: Fit,
    ) {
        let launch_executor = task.executor.is_none() || fit.executor.is_some();
        if let Some(executor) = &mut task.executor {
            self.use_executor(turn, framework_id, pool, executor, fit.executor);
        }
        self.use_task(turn, framework_id, pool, &mut task, fit.task);
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        let framework = framework.info.clone();
        self.tell_agent(turn, &pool.agent_id, AgentEvent::RunTask { framework, task, launch_executor });
    }

    /// Tasks that stand and fall together (M-D-12).
    fn launch_group(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        pool: &mut Pool,
        mut executor: ExecutorInfo,
        mut tasks: Vec<TaskInfo>,
    ) {
        if tasks.is_empty() {
            tracing::warn!(%framework_id, "a group without tasks is ignored");
            self.counters.count("dropped_messages");
            return;
        }
        let Some(place) = self.place(framework_id, pool) else { return };
        let fit = match validate::group(place, &executor, &tasks) {
            Ok(fit) => fit,
            Err(why) => {
                tracing::info!(%framework_id, executor_id = %executor.executor_id, why, "a group is refused");
                let (state, reason) = (TaskState::Error, Reason::TaskGroupInvalid);
                for task in tasks {
                    self.refuse_task(turn, framework_id, task, state, reason, &why);
                }
                return;
            }
        };
        let launch_executor = fit.executor.is_some();
        self.use_executor(turn, framework_id, pool, &mut executor, fit.executor);
        for (task, resources) in tasks.iter_mut().zip(fit.tasks) {
            task.executor = Some(executor.clone());
            self.use_task(turn, framework_id, pool, task, resources);
        }
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        let framework = framework.info.clone();
        let event = AgentEvent::RunTaskGroup { framework, executor, tasks, launch_executor };
        self.tell_agent(turn, &pool.agent_id, event);
    }

    /// An executor is made of resources of the pool, or is the one that runs already.
    fn use_executor(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        pool: &mut Pool,
        executor: &mut ExecutorInfo,
        resources: Option<Resources>,
    ) {
        executor.framework_id = Some(framework_id.clone());
        let key = (framework_id.clone(), executor.executor_id.clone());
        let Some(agent) = self.agents.get_mut(&pool.agent_id) else { return };
        match (resources, agent.executors.get(&key)) {
            (Some(resources), _) => {
                pool.resources -= &resources;
                agent.used += &resources;
                executor.resources = resources;
                let info = Arc::new(executor.clone());
                let record = ExecutorRecord { info, role: pool.role.clone(), doubtful: None };
                agent.executors.insert(key, record);
                turn.changed(Change::Executor(framework_id.clone(), pool.agent_id.clone()));
            }
            (None, Some(running)) => executor.resources = running.info.resources.clone(),
            (None, None) => {}
        }
    }

    /// A task is made of resources of the pool.
    fn use_task(
        &mut self,
        turn: &mut Turn<'_>,
        framework_id: &FrameworkId,
        pool: &mut Pool,
        task: &mut TaskInfo,
        resources: Resources,
    ) {
        pool.resources -= &resources;
        task.resources = resources;
        task.allocated_to = Some(pool.role.clone());
        let record = TaskRecord {
            task: Arc::new(Task::new(framework_id.clone(), task, TaskState::Staging)),
            role: pool.role.clone(),
            kill: None,
            unreachable_since: None,
        };
        turn.changed(Change::TaskAdded(record.task.clone()));
        self.add_task(record);
    }
}
