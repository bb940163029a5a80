//! Ending things: a task, an executor, a framework, the agent.

use std::time::Duration;

use libactor::Time;
use protocol::messages::{AgentCall, ExecutorEvent};
use protocol::{ContainerId, ExecutorId, FrameworkId, KillPolicy, Reason, TaskId, TaskState};

use super::Output;
use super::checkpoint::Key;
use super::limits::LEAVE_SLACK;
use super::queue::Queued;
use super::registration::Phase;
use super::state::{Agent, ExecutorState, Timer};
use super::updates::End;

/// The agent is ending, once its last container is gone.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    pub(super) message: String,
    pub(super) failed: bool,
    pub(super) unregister: bool,
    /// Whether it waits, for a while, until all ends are acknowledged.
    pub(super) reports: bool,
}

impl Agent {
    pub(super) fn kill_task(
        &mut self,
        now: Time,
        framework_id: FrameworkId,
        task_id: TaskId,
        kill_policy: Option<KillPolicy>,
        out: &mut Vec<Output>,
    ) {
        let task = self.frameworks.get(&framework_id).and_then(|framework| framework.tasks.get(&task_id));
        let Some(task) = task else {
            let registered = self.id.is_some();
            if registered && !self.streams.contains_key(&(framework_id.clone(), task_id.clone())) {
                let why = "Cannot find executor: the task is unknown to the agent";
                self.report_unknown_task(now, framework_id, task_id, Reason::ExecutorTerminated, why, out);
            }
            return;
        };
        if task.state.is_terminal() {
            return;
        }
        let executor_id = task.executor_id.clone();
        let kill_policy = self.kill_policy(task.kill_policy, kill_policy);
        let framework = self.frameworks.get_mut(&framework_id).expect("it has just been found");
        let Some(executor) = framework.executors.get_mut(&executor_id) else { return };
        if let Some(queued) = executor.dequeue(&task_id) {
            // Nothing was handed to an executor that has not subscribed: without a queue it has nothing to do.
            let idle = executor.queued.is_empty() && executor.state == ExecutorState::Registering;
            let container_id = executor.container_id.clone();
            self.killed_before_delivery(now, &framework_id, &queued, out);
            if idle {
                self.shutdown_container(now, &container_id, out);
            }
            return;
        }
        match &executor.state {
            ExecutorState::Running(to) => {
                let event = ExecutorEvent::Kill { task_id, kill_policy };
                out.push(Output::ToExecutor { to: to.clone(), event });
            }
            ExecutorState::Away => {
                tracing::info!(%task_id, "the executor is away: it is told of the kill when it is back");
                executor.kills.insert(task_id, kill_policy);
            }
            ExecutorState::Registering | ExecutorState::Terminating(_) => {
                tracing::info!(%task_id, "kill ignored: the executor is terminating");
            }
        }
    }

    /// Tasks that were killed in time: their executor never hears of them.
    pub(super) fn killed_before_delivery(
        &mut self,
        now: Time,
        framework_id: &FrameworkId,
        work: &Queued,
        out: &mut Vec<Output>,
    ) {
        let message = match work {
            Queued::Task(_) => "Killed before delivery to the executor",
            Queued::Group(_) => "A task within the task group was killed before delivery to the executor",
        };
        let reason = match self.drain {
            Some(_) => Reason::AgentDraining,
            None => Reason::TaskKilledDuringLaunch,
        };
        for task in work.tasks() {
            let end = End::new(TaskState::Killed, reason, message);
            self.report_end(now, framework_id, &task.task_id, end, out);
        }
    }

    /// Asks an executor to end, and kills it when the grace is over; at once if it has not subscribed.
    pub(super) fn shutdown_container(
        &mut self,
        now: Time,
        container_id: &ContainerId,
        out: &mut Vec<Output>,
    ) {
        let default_grace = self.config.executor_shutdown_grace_period;
        let Some(executor) = self.executor_mut(container_id) else { return };
        let grace = executor.info.shutdown_grace_period.unwrap_or(default_grace);
        match executor.state.clone() {
            ExecutorState::Registering => {
                executor.state = ExecutorState::Terminating(None);
                self.timers.cancel(&Timer::ExecutorRegistration(container_id.clone()));
                out.push(Output::Destroy { container_id: container_id.clone() });
            }
            ExecutorState::Running(to) => {
                executor.state = ExecutorState::Terminating(Some(to.clone()));
                out.push(Output::ToExecutor { to, event: ExecutorEvent::Shutdown });
                self.timers.set(Timer::Destroy(container_id.clone()), now + grace);
            }
            // It is told when it comes back in time.
            ExecutorState::Away => {
                executor.state = ExecutorState::Terminating(None);
                self.timers.cancel(&Timer::ExecutorReturn(container_id.clone()));
                self.timers.set(Timer::Destroy(container_id.clone()), now + grace);
            }
            ExecutorState::Terminating(_) => {}
        }
    }

    /// A command executor has one task: when it has ended, the executor ends by itself, or is killed.
    pub(super) fn end_if_done(&mut self, now: Time, container_id: &ContainerId) {
        let grace = self.config.executor_shutdown_grace_period;
        let Some((framework_id, executor_id)) = self.containers.get(container_id) else { return };
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let Some(executor) = framework.executors.get_mut(executor_id) else { return };
        // Its only task carries its id.
        let task = framework.tasks.get(&TaskId::new(executor_id.as_str()));
        let done = executor.command_executor && task.is_none_or(|task| task.state.is_terminal());
        if done && matches!(executor.state, ExecutorState::Running(_) | ExecutorState::Away) {
            executor.state = ExecutorState::Terminating(executor.state.pid().cloned());
            self.timers.cancel(&Timer::ExecutorReturn(container_id.clone()));
            self.timers.set(Timer::Destroy(container_id.clone()), now + grace);
        }
    }

    pub(super) fn shutdown_executor(
        &mut self,
        now: Time,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        out: &mut Vec<Output>,
    ) {
        match self.executor(framework_id, executor_id).map(|executor| executor.container_id.clone()) {
            Some(container_id) => self.shutdown_container(now, &container_id, out),
            None => tracing::info!(%framework_id, %executor_id, "no such executor to shut down"),
        }
    }

    /// The framework is removed: its executors end, nobody hears of its tasks any more.
    pub(super) fn shutdown_framework(
        &mut self,
        now: Time,
        framework_id: &FrameworkId,
        out: &mut Vec<Output>,
    ) {
        self.drop_streams_of(framework_id);
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        framework.removed = true;
        let containers: Vec<ContainerId> =
            framework.executors.values().map(|executor| executor.container_id.clone()).collect();
        let tasks = std::mem::take(&mut framework.tasks);
        let (ended, live) = tasks.into_iter().partition(|(_, task)| task.state.is_terminal());
        framework.tasks = live;
        for (task_id, task) in ended {
            if self.keeps(framework_id) {
                self.gate.remove(Key::Task(framework_id.clone(), task_id));
            }
            self.complete_task(framework_id, task, out);
        }
        self.keep_states(framework_id);
        for container_id in containers {
            self.shutdown_container(now, &container_id, out);
        }
        self.forget_framework_if_idle(framework_id, out);
    }

    /// The operator wants the agent to end; asked a second time, at once.
    pub(super) fn leave(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.leaving.is_some() && self.recovery.is_none() {
            let containers = self.containers.keys().cloned();
            out.extend(containers.map(|container_id| Output::Destroy { container_id }));
            return;
        }
        let message = "asked to leave".to_string();
        self.begin_leaving(now, Leaving { message, failed: false, unregister: true, reports: false }, out);
    }

    pub(super) fn begin_leaving(&mut self, now: Time, leaving: Leaving, out: &mut Vec<Output>) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(leaving);
        if self.recovery.is_none() {
            self.end_all(now, out);
        }
    }

    /// Ends all executors of an agent that leaves.
    pub(super) fn end_all(&mut self, now: Time, out: &mut Vec<Output>) {
        let containers: Vec<ContainerId> = self.containers.keys().cloned().collect();
        for container_id in &containers {
            self.shutdown_container(now, container_id, out);
        }
        self.timers.set(Timer::Leave, now + self.longest_grace() + LEAVE_SLACK);
        self.end_if_empty(out);
    }

    fn longest_grace(&self) -> Duration {
        let executors = self.frameworks.values().flat_map(|framework| framework.executors.values());
        let own = executors.filter_map(|executor| executor.info.shutdown_grace_period).max();
        own.unwrap_or_default().max(self.config.executor_shutdown_grace_period)
    }

    /// Ends a leaving agent that has nothing left.
    pub(super) fn end_if_empty(&mut self, out: &mut Vec<Output>) {
        if !self.containers.is_empty() || self.recovery.is_some() {
            return;
        }
        let Some(leaving) = self.leaving.clone() else { return };
        let told = self.phase() == Phase::Running && self.streams.is_empty();
        if leaving.reports && self.id.is_some() && !told && self.timers.is_set(&Timer::Leave) {
            return;
        }
        self.end(leaving, out);
    }

    /// The next life is that of another agent: nothing of this one is kept.
    fn end(&mut self, leaving: Leaving, out: &mut Vec<Output>) {
        self.timers.cancel(&Timer::Leave);
        if let (true, Some(to), Some(_)) = (leaving.unregister, self.master().cloned(), &self.id) {
            out.push(Output::ToMaster { to, call: AgentCall::Unregister });
        }
        self.forget_all();
        self.over = true;
        out.push(Output::Terminate { message: leaving.message, failed: leaving.failed });
    }

    /// Containers that can't be killed, and masters that do not answer, do not hold the agent for ever.
    pub(super) fn end_anyway(&mut self, out: &mut Vec<Output>) {
        let Some(mut leaving) = self.leaving.clone() else { return };
        let (containers, updates) = (self.containers.len(), self.pending_updates());
        if containers > 0 {
            leaving.message = format!("{}; {containers} containers could not be ended", leaving.message);
            leaving.failed = true;
        } else if updates > 0 {
            leaving.message = format!("{}; {updates} status updates were not acknowledged", leaving.message);
        }
        self.end(leaving, out);
    }
}
