//! Subscriptions of executors, from actors and over streams.
//!
//! An actor that is gone has ended, and its executor with it. A stream that is gone says less: the process may live and
//! subscribe again, with what it has not heard to be held by the agent; so may the actor of an executor whose framework
//! checkpoints, which is told to come back. A newer stream takes the place of the older one,
//! which is closed without a word: it is mostly the same process, that has given the older one up. An actor and a stream
//! never take each other's place.
//!
//! How long an executor may be away: with a framework that checkpoints, the recovery timeout, for so long it is told to
//! try, and after a restart of the agent `--executor_reregistration_timeout`; else its shutdown grace period, for it is
//! told not to come back but to end. Then it is killed.

use std::time::Duration;

use libactor::{Pid, Time};
use protocol::messages::ExecutorEvent;
use protocol::notation::Span;
use protocol::{ContainerId, Reason, StatusUpdate, TaskInfo};

use super::Output;
use super::limits::EXECUTOR_HEARTBEAT_INTERVAL;
use super::state::{Agent, ExecutorState, Timer};

impl Agent {
    /// Whether a subscription can be taken, and why not.
    pub(super) fn may_subscribe(&self, from: &Pid, container_id: &ContainerId) -> Result<(), &'static str> {
        if self.subscribed.get(from).is_some_and(|other| other != container_id) {
            return Err("this actor is subscribed as another executor");
        }
        let streams = |one: &Pid, other: &Pid| one.stream_id().is_some() && other.stream_id().is_some();
        let (framework_id, executor_id) = &self.containers[container_id];
        let present = self.executor(framework_id, executor_id).and_then(|executor| executor.state.pid());
        match present {
            Some(pid) if pid != from && !streams(pid, from) => {
                Err("the executor is subscribed from elsewhere")
            }
            _ => Ok(()),
        }
    }

    /// Takes a subscription that may be taken. `known` is what the executor names: tasks and updates that the agent has
    /// not confirmed.
    pub(super) fn subscribe(
        &mut self,
        now: Time,
        from: Pid,
        container_id: &ContainerId,
        known: (Vec<TaskInfo>, Vec<StatusUpdate>),
        out: &mut Vec<Output>,
    ) {
        let executor = self.executor_mut(container_id).expect("a known container has an executor");
        let state = match executor.state {
            ExecutorState::Terminating(_) => ExecutorState::Terminating(Some(from.clone())),
            _ => ExecutorState::Running(from.clone()),
        };
        let before = std::mem::replace(&mut executor.state, state);
        let first = !std::mem::replace(&mut executor.subscribed, true);
        let older = before.pid().filter(|older| **older != from);
        if let Some(older) = older {
            self.subscribed.remove(older);
            out.push(Output::Unlink { pid: older.clone() });
        }
        if self.subscribed.insert(from.clone(), container_id.clone()).is_none() {
            out.push(Output::Link { pid: from.clone() });
        }
        self.timers.cancel(&Timer::ExecutorRegistration(container_id.clone()));
        self.timers.cancel(&Timer::ExecutorReturn(container_id.clone()));
        if from.stream_id().is_some() {
            self.timers.set(Timer::Heartbeat(container_id.clone()), now + EXECUTOR_HEARTBEAT_INTERVAL);
        }
        self.welcome(&from, container_id, out);
        let (tasks, updates) = known;
        for update in updates {
            self.executor_updates(now, container_id, update.status, out);
        }
        if first {
            self.keep_executor(container_id);
        }
        if before == ExecutorState::Away || older.is_some() {
            self.kill_again(now, container_id, &tasks, out);
            self.tell_again(container_id, &tasks, out);
        }
        self.hand_over(container_id, out);
    }

    /// Tells a subscriber who it is.
    fn welcome(&mut self, to: &Pid, container_id: &ContainerId, out: &mut Vec<Output>) {
        let (framework_id, executor_id) = &self.containers[container_id];
        let framework = &self.frameworks[framework_id];
        let executor = &framework.executors[executor_id];
        let mut agent = self.config.info.clone();
        agent.id = self.id.clone();
        let subscribed = ExecutorEvent::Subscribed {
            executor: executor.info.clone(),
            framework: framework.info.clone(),
            agent_id: self.agent_id(),
            agent,
        };
        out.push(Output::ToExecutor { to: to.clone(), event: subscribed });
        if matches!(executor.state, ExecutorState::Terminating(_)) {
            out.push(Output::ToExecutor { to: to.clone(), event: ExecutorEvent::Shutdown });
        }
    }

    /// What was told to one that was away may not have been read. A task that was handed over, and that the executor neither
    /// names nor has ever spoken of, never came to it: it is handed over again.
    fn tell_again(&mut self, container_id: &ContainerId, named: &[TaskInfo], out: &mut Vec<Output>) {
        let Some(executor) = self.executor_mut(container_id) else { return };
        let ExecutorState::Running(to) = executor.state.clone() else { return };
        let unnamed = |task: &TaskInfo| !named.iter().any(|named| named.task_id == task.task_id);
        for handed in &executor.handed {
            if let Some(again) = handed.clone().filtered(unnamed) {
                tracing::info!(%container_id, "the executor does not know a task: it is told again");
                out.push(Output::ToExecutor { to: to.clone(), event: again.into_event() });
            }
        }
    }

    /// Kills that came while it was away: it is told, unless it has never heard of the task.
    fn kill_again(
        &mut self,
        now: Time,
        container_id: &ContainerId,
        named: &[TaskInfo],
        out: &mut Vec<Output>,
    ) {
        let (framework_id, _) = self.containers[container_id].clone();
        let Some(executor) = self.executor_mut(container_id) else { return };
        let ExecutorState::Running(to) = executor.state.clone() else { return };
        for (task_id, kill_policy) in std::mem::take(&mut executor.kills) {
            let Some(executor) = self.executor_mut(container_id) else { return };
            let known = named.iter().any(|named| named.task_id == task_id);
            let handed = executor.handed.iter().find(|handed| handed.holds(&task_id)).cloned();
            if let (Some(handed), false) = (handed, known) {
                let idle = executor.command_executor;
                self.killed_before_delivery(now, &framework_id, &handed, out);
                if idle {
                    self.shutdown_container(now, container_id, out);
                }
                continue;
            }
            let task = self.frameworks.get(&framework_id).and_then(|framework| framework.tasks.get(&task_id));
            if task.is_some_and(|task| !task.state.is_terminal()) {
                let event = ExecutorEvent::Kill { task_id, kill_policy };
                out.push(Output::ToExecutor { to: to.clone(), event });
            }
        }
    }

    /// Tells a running executor what has waited for it.
    fn hand_over(&mut self, container_id: &ContainerId, out: &mut Vec<Output>) {
        let Some(executor) = self.executor_mut(container_id) else { return };
        let ExecutorState::Running(to) = executor.state.clone() else { return };
        for queued in executor.queued.drain(..) {
            out.push(Output::ToExecutor { to: to.clone(), event: queued.clone().into_event() });
            executor.handed.push_back(queued);
        }
    }

    /// The actor or the stream of an executor is gone.
    pub(super) fn subscriber_gone(&mut self, now: Time, pid: &Pid, container_id: ContainerId) {
        self.timers.cancel(&Timer::Heartbeat(container_id.clone()));
        self.gate.unsay(pid);
        let (wait, returns) = self.patience(&container_id);
        let grace = self.config.executor_shutdown_grace_period;
        let Some(executor) = self.executor_mut(&container_id) else { return };
        if matches!(executor.state, ExecutorState::Running(_)) && (pid.stream_id().is_some() || returns) {
            tracing::info!(%container_id, wait = %Span(wait), "the executor is gone: it may come back");
            executor.state = ExecutorState::Away;
            executor.patience = wait;
            // Of what it was told last it may have read nothing.
            self.drain_when_back(&container_id);
            return self.timers.set(Timer::ExecutorReturn(container_id), now + wait);
        }
        // Its process ends too, as a rule; one that does not is of no use any more.
        executor.state = ExecutorState::Terminating(None);
        if !self.timers.is_set(&Timer::Destroy(container_id.clone())) {
            self.timers.set(Timer::Destroy(container_id), now + grace);
        }
    }

    /// How long an executor may be away, and whether it is told to come back.
    fn patience(&self, container_id: &ContainerId) -> (Duration, bool) {
        let (framework_id, executor_id) = &self.containers[container_id];
        let framework = &self.frameworks[framework_id];
        if framework.info.checkpoint {
            return (self.config.recovery_timeout, true);
        }
        let own = framework.executors[executor_id].info.shutdown_grace_period;
        (own.unwrap_or(self.config.executor_shutdown_grace_period), false)
    }

    /// It has not come back in time: its tasks are told so when it is gone.
    pub(super) fn executor_stays_away(&mut self, container_id: &ContainerId, out: &mut Vec<Output>) {
        let Some(executor) = self.executor_mut(container_id) else { return };
        let wait = Span(executor.patience);
        tracing::warn!(%container_id, %wait, "the executor has not come back in time: it is killed");
        let message = format!("Executor did not reregister within {wait}");
        executor.doom = Some((Reason::ExecutorReregistrationTimeout, message));
        executor.state = ExecutorState::Terminating(None);
        out.push(Output::Destroy { container_id: container_id.clone() });
    }

    /// Keeps the way to a quiet executor open.
    pub(super) fn heartbeat(&mut self, now: Time, container_id: ContainerId, out: &mut Vec<Output>) {
        let Some(executor) = self.executor_mut(&container_id) else { return };
        if let Some(to) = executor.state.pid().cloned() {
            out.push(Output::ToExecutor { to, event: ExecutorEvent::Heartbeat });
            self.timers.set(Timer::Heartbeat(container_id), now + EXECUTOR_HEARTBEAT_INTERVAL);
        }
    }

    /// Nothing more is waited for from a run.
    pub(super) fn cancel_timers_of(&mut self, container_id: &ContainerId) {
        let id = || container_id.clone();
        for timer in [
            Timer::ExecutorRegistration(id()),
            Timer::ExecutorReturn(id()),
            Timer::Heartbeat(id()),
            Timer::Destroy(id()),
        ] {
            self.timers.cancel(&timer);
        }
    }
}
