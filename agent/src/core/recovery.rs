//! An earlier life of the agent: what it has kept is taken up again.
//!
//! ```text
//!   recover(records) ──► Begin: Output::Recover ──► Recovered ──► registers with the master
//!
//!   an executor          found running                     found ended, or nowhere
//!   ───────────          ─────────────                     ───────────────────────
//!   had subscribed       Away: it has                      its tasks end, as if it had ended now
//!                        --executor_reregistration_timeout
//!   had not              Registering: as if launched now   launched again, once
//! ```
//!
//! A run that was asked for and never subscribed was never handed a task: that it is launched again runs nothing twice, and
//! spares its framework a lost task whenever the agent is restarted during a launch. Only once: what ends the agent when it is
//! launched would do so for ever.

use std::collections::{BTreeMap, BTreeSet};

use libactor::{Pid, Time};
use protocol::messages::ExecutorCallKind;
use protocol::{Capability, ContainerId, FrameworkId, Reason, StatusUpdate, TaskId, TaskInfo, TaskState};

use super::checkpoint::{AgentRecord, ExecutorRecord, Key, Record, Records, TaskRecord, UpdateRecord};
use super::executors::UNKNOWN_STATUS;
use super::kill::Leaving;
use super::launch::{NEVER_STARTED, Run, dropped_for};
use super::queue::Queued;
use super::reconfigure;
use super::state::{Agent, Executor, ExecutorState, Framework, Timer};
use super::stream::Stream;
use super::updates::{End, remember};
use super::{AgentConfig, ContainerEnd, Found, Incompatible, Output, Recover};

/// What is known between the start and [`Input::Recovered`](super::Input::Recovered).
#[derive(Clone, Debug, Default)]
pub(super) struct Recovery {
    /// The machine was started anew: no container lives.
    rebooted: bool,
    /// What the earlier life has said of itself.
    before: Option<AgentRecord>,
    /// Subscriptions that have come meanwhile, one a run.
    pub(super) waiting: BTreeMap<ContainerId, (Pid, Known)>,
}

/// Tasks and updates that an executor names when it subscribes.
pub(super) type Known = (Vec<TaskInfo>, Vec<StatusUpdate>);

impl Agent {
    /// An agent that takes up what an earlier life has kept. Without records it is as [`Agent::new`].
    ///
    /// # Errors
    /// The configuration has changed in a way that `--reconfiguration_policy` forbids.
    pub fn recover(
        config: AgentConfig,
        seed: u64,
        now: Time,
        records: Records,
    ) -> Result<Self, Incompatible> {
        let mut agent = Self::new(config, seed, now);
        let Some(Record::Agent(before)) = records.0.get(&Key::Agent).cloned() else {
            // Nothing else means anything without it.
            records.0.into_keys().for_each(|key| agent.gate.remove(key));
            return Ok(agent);
        };
        agent.id = before.info.id.clone();
        agent.take_records(now, records);
        let boots = (before.boot_id.as_str(), agent.config.boot_id.as_str());
        let rebooted = boots.0 != boots.1 && !boots.0.is_empty() && !boots.1.is_empty();
        if agent.config.recover == Recover::Reconnect {
            let used = if rebooted { Default::default() } else { agent.used_resources() };
            let policy = agent.config.reconfiguration_policy;
            reconfigure::may_become(&before.info, &agent.config.info, &used, policy)?;
        }
        agent.recovery = Some(Recovery { rebooted, before: Some(before), waiting: BTreeMap::new() });
        Ok(agent)
    }

    /// Builds what the records speak of. What belongs to nothing is not kept any longer.
    fn take_records(&mut self, now: Time, records: Records) {
        let mut tasks: Vec<TaskRecord> = Vec::new();
        let mut updates: BTreeMap<(FrameworkId, TaskId), Vec<UpdateRecord>> = BTreeMap::new();
        // In the order of the keys: frameworks before executors before tasks before updates.
        for (key, record) in records.0 {
            let known = match &key {
                Key::Agent | Key::Drain | Key::Framework(_) => true,
                Key::Executor(framework_id, _)
                | Key::Task(framework_id, _)
                | Key::Update(framework_id, ..) => self.frameworks.contains_key(framework_id),
            };
            match record {
                _ if !known => self.gate.remove(key),
                Record::Agent(_) => {}
                Record::Drain(drain) => self.drain = Some(drain.max_grace_period),
                Record::Framework(info) => {
                    let Some(framework_id) = info.id.clone() else { continue };
                    let (executors, tasks) = Default::default();
                    let (completed_executors, removed) = Default::default();
                    let framework = Framework { info, executors, tasks, completed_executors, removed };
                    self.frameworks.insert(framework_id, framework);
                }
                Record::Executor(record) => self.take_executor(record),
                Record::Task(record) => tasks.push(record),
                Record::Update(record) => {
                    let key = (record.framework_id.clone(), record.status.task_id.clone());
                    updates.entry(key).or_default().push(record);
                }
            }
        }
        tasks.sort_by_key(|record| record.order);
        self.arrivals = tasks.last().map_or(0, |record| record.order + 1);
        for record in tasks {
            let key = (record.task.framework_id.clone(), record.task.task_id.clone());
            self.take_task(now, record, updates.remove(&key).unwrap_or_default());
        }
        for update in updates.into_values().flatten() {
            self.gate.remove(Record::Update(update).key());
        }
        for framework_id in self.frameworks.keys().cloned().collect::<Vec<_>>() {
            self.forget_framework_if_idle(&framework_id, &mut Vec::new());
        }
    }

    fn take_executor(&mut self, record: ExecutorRecord) {
        let executor_id = record.info.executor_id.clone();
        self.containers
            .insert(record.container_id.clone(), (record.framework_id.clone(), executor_id.clone()));
        let executor = Executor {
            info: record.info,
            command_executor: record.command_executor,
            container_id: record.container_id,
            sandbox: record.sandbox,
            state: if record.subscribed { ExecutorState::Away } else { ExecutorState::Registering },
            os_pid: None,
            queued: Default::default(),
            completed_tasks: Default::default(),
            doom: None,
            subscribed: record.subscribed,
            relaunched: record.relaunched,
            handed: Default::default(),
            kills: BTreeMap::new(),
            patience: self.config.executor_reregistration_timeout,
            live: Default::default(),
            allotted: Default::default(),
        };
        if let Some(framework) = self.frameworks.get_mut(&record.framework_id) {
            framework.executors.insert(executor_id, executor);
        }
    }

    fn take_task(&mut self, now: Time, record: TaskRecord, updates: Vec<UpdateRecord>) {
        let TaskRecord { mut task, info, group, .. } = record;
        let (framework_id, task_id) = (task.framework_id.clone(), task.task_id.clone());
        for update in &updates {
            task.state = update.status.state;
            remember(&mut task, &update.status);
        }
        // The outstanding one may have been forwarded: what is told of the task meanwhile must not fall behind it.
        let outstanding = updates.iter().position(|update| !update.acknowledged);
        let told = outstanding.or(updates.len().checked_sub(1)).map(|at| &updates[at].status);
        if let Some(told) = told {
            task.status_update_state = Some(told.state);
            task.status_update_uuid = told.uuid;
        }
        let open = updates.iter().any(|update| !update.acknowledged);
        if task.state.is_terminal() && !open {
            self.gate.remove(Key::Task(framework_id, task_id));
            return updates.into_iter().for_each(|update| self.gate.remove(Record::Update(update).key()));
        }
        if !updates.is_empty() {
            let stream = Stream::recovered(task.state, updates);
            self.streams.insert((framework_id.clone(), task_id.clone()), stream);
        }
        let Some(framework) = self.frameworks.get_mut(&framework_id) else { return };
        let (state, executor_id) = (task.state, task.executor_id.clone());
        framework.enter(task);
        if state.is_terminal() {
            return;
        }
        let executor = framework.executors.get_mut(&executor_id);
        match (executor, info, state) {
            (Some(executor), Some(info), TaskState::Staging) => executor.take_work(info, &group),
            (Some(_), _, state) if state != TaskState::Staging => {}
            _ => {
                let message = "What the agent had kept of its executor is damaged";
                let end = End::new(TaskState::Lost, Reason::AgentRestarted, message);
                self.report_end(now, &framework_id, &task_id, end, &mut Vec::new());
            }
        }
    }

    /// The first of all: containers of an earlier life are found again.
    pub(super) fn begin(&mut self, out: &mut Vec<Output>) {
        let rebooted = self.recovery.as_ref().is_some_and(|recovery| recovery.rebooted);
        if rebooted {
            tracing::warn!("the machine was started anew: all that ran here has ended");
        }
        out.push(Output::Recover { containers: self.containers.keys().cloned().collect(), rebooted });
    }

    /// An executor subscribes before its container is found again: it is answered then. All else it says again.
    pub(super) fn call_waits(&mut self, from: Pid, container_id: ContainerId, call: ExecutorCallKind) {
        if let (Some(recovery), ExecutorCallKind::Subscribe { tasks, updates }) = (&mut self.recovery, call) {
            recovery.waiting.insert(container_id, (from, (tasks, updates)));
        }
    }

    /// What has become of the containers is known.
    pub(super) fn recovered(
        &mut self,
        now: Time,
        mut containers: BTreeMap<ContainerId, Found>,
        out: &mut Vec<Output>,
    ) {
        let Some(Recovery { rebooted, before, waiting }) = self.recovery.take() else { return };
        for container_id in self.containers.keys().cloned().collect::<Vec<_>>() {
            match containers.remove(&container_id) {
                _ if rebooted => self.rebooted(now, &container_id, out),
                Some(Found::Running(os_pid)) => self.found_running(now, &container_id, os_pid, out),
                Some(Found::Ended(end)) => self.found_ended(now, &container_id, end, out),
                None => self.found_ended(now, &container_id, ContainerEnd::default(), out),
            }
        }
        let info = &self.config.info;
        let same = |record: &AgentRecord| {
            let now = protocol::AgentInfo { id: record.info.id.clone(), ..info.clone() };
            record.info == now && record.boot_id == self.config.boot_id
        };
        if !before.as_ref().is_some_and(same) {
            self.keep_agent();
        }
        for (container_id, (from, known)) in waiting {
            if self.containers.contains_key(&container_id) && self.may_subscribe(&from, &container_id).is_ok()
            {
                self.subscribe(now, from, &container_id, known, out);
            }
        }
        self.drain_tasks(now, out);
        self.recovery_is_over(now, out);
        self.clean_up(now, out);
        if self.leaving.is_some() {
            self.end_all(now, out);
        }
    }

    /// `--recover=cleanup`: all is killed and reported, nothing is kept.
    fn clean_up(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.config.recover != Recover::Cleanup || self.leaving.is_some() {
            return;
        }
        let why = "The agent was started with --recover=cleanup";
        for container_id in self.containers.keys().cloned().collect::<Vec<_>>() {
            self.shutdown_container(now, &container_id, out);
            if let Some(executor) = self.executor_mut(&container_id) {
                executor.doom = Some((Reason::ExecutorTerminated, why.to_owned()));
            }
            out.push(Output::Destroy { container_id });
        }
        let message = "cleaned up, as asked by --recover=cleanup".to_owned();
        self.leaving = Some(Leaving { message, failed: false, unregister: true, reports: true });
    }

    fn found_running(&mut self, now: Time, container_id: &ContainerId, os_pid: u32, out: &mut Vec<Output>) {
        let registration = now + self.config.executor_registration_timeout;
        let Some(executor) = self.executor_mut(container_id) else { return };
        executor.os_pid = Some(os_pid);
        match executor.state {
            // All its tasks were killed while it was launched.
            ExecutorState::Registering if executor.queued.is_empty() => {
                executor.state = ExecutorState::Terminating(None);
                return out.push(Output::Destroy { container_id: container_id.clone() });
            }
            ExecutorState::Registering => {
                self.timers.set(Timer::ExecutorRegistration(container_id.clone()), registration);
            }
            _ => {
                let until = now + executor.patience;
                self.timers.set(Timer::ExecutorReturn(container_id.clone()), until);
            }
        }
        self.end_if_done(now, container_id);
        self.allot(container_id, out);
    }

    fn found_ended(
        &mut self,
        now: Time,
        container_id: &ContainerId,
        end: ContainerEnd,
        out: &mut Vec<Output>,
    ) {
        let reconnects = self.config.recover == Recover::Reconnect && self.leaving.is_none();
        let may = reconnects && self.drain.is_none() && end == ContainerEnd::default();
        let Some(executor) = self.executor_mut(container_id) else { return };
        if executor.subscribed || end != ContainerEnd::default() {
            return self.container_exited(now, container_id, end, out);
        }
        if may && !executor.relaunched && !executor.queued.is_empty() {
            return self.relaunch(now, container_id, out);
        }
        let (framework_id, _) = &self.containers[container_id];
        let state = dropped_for(&self.frameworks[framework_id].info);
        let message = "The agent was restarted while the executor was being launched";
        let end = End::new(state, Reason::AgentRestarted, message);
        self.executor_gone(now, container_id, NEVER_STARTED, end, out);
    }

    /// Launches a run in the place of one that never came to be.
    fn relaunch(&mut self, now: Time, container_id: &ContainerId, out: &mut Vec<Output>) {
        let Some((framework_id, executor_id)) = self.containers.remove(container_id) else { return };
        let Some(framework) = self.frameworks.get_mut(&framework_id) else { return };
        let Some(executor) = framework.executors.remove(&executor_id) else { return };
        tracing::info!(%executor_id, %framework_id, %container_id, "the executor was never started: it is launched again");
        let Executor { info, command_executor, queued, .. } = executor;
        self.launch_executor(
            now,
            &framework_id,
            Run { info, command_executor, queued, relaunched: true },
            out,
        );
    }

    /// Nothing outlives the end of its machine.
    fn rebooted(&mut self, now: Time, container_id: &ContainerId, out: &mut Vec<Output>) {
        let (framework_id, _) = &self.containers[container_id];
        let state = match self.frameworks[framework_id].info.can(Capability::PartitionAware) {
            true => TaskState::Gone,
            false => TaskState::Lost,
        };
        let end = End::new(state, Reason::AgentRestarted, "The agent's machine was rebooted");
        self.executor_gone(now, container_id, UNKNOWN_STATUS, end, out);
    }

    /// Who is waited for while containers are being found again.
    pub(super) fn check_recovery(&self) {
        let Some(recovery) = &self.recovery else { return };
        let known: BTreeSet<&ContainerId> = self.containers.keys().collect();
        assert!(recovery.waiting.keys().all(|id| known.contains(id)), "only those that are known wait");
    }
}

impl Executor {
    /// A task of an earlier life that the executor has not spoken of. One that has subscribed may have been handed it.
    fn take_work(&mut self, info: TaskInfo, group: &[TaskId]) {
        let queue = if self.subscribed { &mut self.handed } else { &mut self.queued };
        if group.is_empty() {
            return queue.push_back(Queued::Task(Box::new(info)));
        }
        let place = |id: &TaskId| group.iter().position(|known| known == id);
        match queue.iter_mut().find(|one| one.tasks().iter().any(|task| group.contains(&task.task_id))) {
            Some(Queued::Group(tasks)) => {
                let at = tasks.partition_point(|task| place(&task.task_id) < place(&info.task_id));
                tasks.insert(at, info);
            }
            _ => queue.push_back(Queued::Group(vec![info])),
        }
    }
}

#[cfg(test)]
impl Agent {
    /// One that has nothing to recover, and may speak to masters.
    pub(super) fn begun(config: AgentConfig, seed: u64) -> Self {
        let mut agent = Self::new(config, seed, Time::default());
        agent.recovered(Time::default(), BTreeMap::new(), &mut Vec::new());
        agent
    }
}
