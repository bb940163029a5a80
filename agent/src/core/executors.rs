//! Executors: speaking, exiting.

use libactor::{Pid, Time};
use protocol::messages::{AgentCall, ExecutorCall, ExecutorCallKind, ExecutorEvent};
use protocol::notation::Span;
use protocol::{ContainerId, ExecutorId, FrameworkId, Reason, TaskId, TaskState};

use super::checkpoint::Key;
use super::launch::NEVER_STARTED;
use super::registration::Phase;
use super::state::{Agent, Executor, ExecutorState};
use super::updates::End;
use super::{ContainerEnd, Output};

/// What [`ExecutorExited`](protocol::messages::AgentCall::ExecutorExited) says of an executor of whose end nobody knows
/// how it came. Source: Mesos.
pub(super) const UNKNOWN_STATUS: i32 = -1;

impl Agent {
    /// An executor calls: what does not fit the run that the agent knows is refused.
    pub(super) fn executor_calls(&mut self, now: Time, from: Pid, call: ExecutorCall, out: &mut Vec<Output>) {
        let container_id = call.container_id;
        let known = self.containers.get(&container_id).is_some_and(|(framework, executor)| {
            (framework, executor) == (&call.framework_id, &call.executor_id)
        });
        if !known {
            return self.refuse_call(from, "the agent does not know this run of the executor", out);
        }
        if self.recovery.is_some() {
            return self.call_waits(from, container_id, call.call);
        }
        if let ExecutorCallKind::Subscribe { tasks, updates } = call.call {
            return match self.may_subscribe(&from, &container_id) {
                Ok(()) => self.subscribe(now, from, &container_id, (tasks, updates), out),
                Err(why) => self.refuse_call(from, why, out),
            };
        }
        if self.subscribed.get(&from) != Some(&container_id) {
            if self.awaits(&container_id) {
                // It has not seen yet that the agent was away. What it says now it says again when it subscribes.
                return self.counters.refused_executor_calls += 1;
            }
            return self.refuse_call(from, "the executor is not subscribed", out);
        }
        match call.call {
            ExecutorCallKind::Subscribe { .. } | ExecutorCallKind::Heartbeat => {}
            ExecutorCallKind::Update(status) => self.executor_updates(now, &container_id, status, out),
            ExecutorCallKind::Message(data) => {
                self.message_to_framework(call.framework_id, call.executor_id, data, out);
            }
        }
    }

    /// Whether an executor is away that has subscribed before.
    fn awaits(&self, container_id: &ContainerId) -> bool {
        let of = self.containers.get(container_id);
        let executor = of.and_then(|(framework_id, executor_id)| self.executor(framework_id, executor_id));
        executor.is_some_and(|executor| executor.state == ExecutorState::Away)
    }

    pub(super) fn message_to_framework(
        &mut self,
        framework_id: FrameworkId,
        executor_id: ExecutorId,
        data: bytes::Bytes,
        out: &mut Vec<Output>,
    ) {
        match (self.phase(), self.master().cloned()) {
            (Phase::Running, Some(to)) => {
                self.counters.valid_framework_messages += 1;
                out.push(Output::ToMaster {
                    to,
                    call: AgentCall::Message { framework_id, executor_id, data },
                });
            }
            _ => self.counters.invalid_framework_messages += 1,
        }
    }

    fn refuse_call(&mut self, to: Pid, message: &str, out: &mut Vec<Output>) {
        tracing::warn!(from = %to, message, "call of an executor refused");
        self.counters.refused_executor_calls += 1;
        out.push(Output::ToExecutor { to, event: ExecutorEvent::Error(message.to_string()) });
    }

    /// The container has been made, or not.
    pub(super) fn launched(
        &mut self,
        now: Time,
        container_id: &ContainerId,
        result: Result<u32, String>,
        out: &mut Vec<Output>,
    ) {
        match result {
            Ok(os_pid) => {
                if let Some(executor) = self.executor_mut(container_id) {
                    executor.os_pid = Some(os_pid);
                }
                self.allot(container_id, out);
            }
            Err(message) => {
                self.counters.container_launch_errors += 1;
                let doom = self.executor_mut(container_id).and_then(|executor| executor.doom.take());
                let (reason, message) = doom.unwrap_or_else(|| {
                    (Reason::ContainerLaunchFailed, format!("Failed to launch container: {message}"))
                });
                let end = End::new(TaskState::Failed, reason, &message);
                self.executor_gone(now, container_id, NEVER_STARTED, end, out);
            }
        }
    }

    /// It has not subscribed in time: its tasks are told so when it is gone.
    pub(super) fn registration_timeout(&mut self, container_id: &ContainerId, out: &mut Vec<Output>) {
        let timeout = self.config.executor_registration_timeout;
        let Some(executor) = self.executor_mut(container_id) else { return };
        let message = format!("Executor did not register within {}", Span(timeout));
        tracing::warn!(%container_id, timeout = %Span(timeout), "the executor has not registered in time: it is killed");
        executor.doom = Some((Reason::ExecutorRegistrationTimeout, message));
        executor.state = ExecutorState::Terminating(None);
        out.push(Output::Destroy { container_id: container_id.clone() });
    }

    pub(super) fn container_exited(
        &mut self,
        now: Time,
        container_id: &ContainerId,
        end: ContainerEnd,
        out: &mut Vec<Output>,
    ) {
        let Some(executor) = self.executor_mut(container_id) else { return };
        let limitation = end.limitation.as_ref();
        let (reason, text) = match (limitation, executor.doom.take()) {
            (Some(limitation), _) => (limitation.reason, limitation.message.clone()),
            (None, Some(doom)) => doom,
            (None, None) if executor.command_executor => {
                (Reason::CommandExecutorFailed, describe_exit(end.status))
            }
            (None, None) => (Reason::ExecutorTerminated, describe_exit(end.status)),
        };
        let status = end.status.unwrap_or(UNKNOWN_STATUS);
        let text = match end.message {
            Some(message) => format!("{text}: {message}"),
            None => text,
        };
        let end = End { state: TaskState::Failed, reason, message: &text, limitation };
        self.executor_gone(now, container_id, status, end, out);
    }

    /// Forgets a run whose container is gone; tasks that it left end so.
    pub(super) fn executor_gone(
        &mut self,
        now: Time,
        container_id: &ContainerId,
        status: i32,
        end: End<'_>,
        out: &mut Vec<Output>,
    ) {
        let Some((framework_id, executor_id)) = self.containers.remove(container_id) else { return };
        self.cancel_timers_of(container_id);
        if let Some(recovery) = &mut self.recovery {
            recovery.waiting.remove(container_id);
        }
        let framework = self.frameworks.get_mut(&framework_id).expect("a container's framework is known");
        let executor = framework.executors.remove(&executor_id).expect("a container's executor is known");
        if framework.info.checkpoint {
            self.gate.remove(Key::Executor(framework_id.clone(), executor_id.clone()));
        }
        let left: Vec<TaskId> = framework
            .tasks
            .values()
            .filter(|task| task.executor_id == executor_id && !task.state.is_terminal())
            .map(|task| task.task_id.clone())
            .collect();
        if let Some(pid) = executor.state.pid()
            && self.subscribed.remove(pid).is_some()
        {
            out.push(Output::Unlink { pid: pid.clone() });
        }
        self.counters.executors_terminated += 1;
        let (tasks, message) = (left.len(), end.message);
        if end.reason == Reason::ContainerLaunchFailed {
            tracing::warn!(%executor_id, %framework_id, %container_id, tasks, error = message, "the executor can't be launched");
        } else {
            tracing::info!(%executor_id, %framework_id, %container_id, tasks, how = message, "the executor is gone");
        }
        let command_executor = executor.command_executor;
        self.complete_executor(&framework_id, executor, out);
        for task_id in left {
            self.report_end(now, &framework_id, &task_id, end, out);
        }
        if !command_executor {
            self.report_executor_exit(&framework_id, &executor_id, status, out);
        }
        self.forget_framework_if_idle(&framework_id, out);
        self.end_if_empty(out);
    }

    pub(super) fn report_executor_exit(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        status: i32,
        out: &mut Vec<Output>,
    ) {
        let (framework_id, executor_id) = (framework_id.clone(), executor_id.clone());
        match (self.phase(), self.master().cloned()) {
            (Phase::Running, Some(to)) => {
                let call = AgentCall::ExecutorExited { framework_id, executor_id, status };
                out.push(Output::ToMaster { to, call });
            }
            // The registration that is under way may still name it.
            (Phase::Registering, Some(_)) => {
                self.ended_meanwhile.insert((framework_id, executor_id), status);
            }
            // A master that is away learns it from the list of executors at the next registration.
            (Phase::Disconnected | Phase::Recovering, _) | (_, None) => {}
        }
    }

    /// The master has answered a registration: it is told what has ended since that was sent.
    pub(super) fn report_ended_meanwhile(&mut self, out: &mut Vec<Output>) {
        for ((framework_id, executor_id), status) in std::mem::take(&mut self.ended_meanwhile) {
            let again = self.frameworks.get(&framework_id);
            if again.is_none_or(|framework| !framework.executors.contains_key(&executor_id)) {
                self.report_executor_exit(&framework_id, &executor_id, status, out);
            }
        }
    }

    /// A linked actor is gone, the master's or an executor's; or an executor's stream.
    pub(super) fn exited(&mut self, now: Time, pid: &Pid, out: &mut Vec<Output>) {
        if self.master() == Some(pid) {
            self.master_exited(now, out);
        }
        if let Some(container_id) = self.subscribed.remove(pid) {
            self.subscriber_gone(now, pid, container_id);
        }
    }

    pub(super) fn message_to_executor(
        &mut self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        data: bytes::Bytes,
        out: &mut Vec<Output>,
    ) {
        let executor = self.executor(framework_id, executor_id);
        match executor.map(|executor| executor.state.clone()) {
            Some(ExecutorState::Running(to)) => {
                self.counters.valid_framework_messages += 1;
                out.push(Output::ToExecutor { to, event: ExecutorEvent::Message(data) });
            }
            _ => {
                tracing::debug!(%framework_id, %executor_id, "message dropped: the executor does not run");
                self.counters.invalid_framework_messages += 1;
            }
        }
    }

    pub(super) fn executor(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> Option<&Executor> {
        self.frameworks.get(framework_id)?.executors.get(executor_id)
    }
}

fn describe_exit(status: Option<i32>) -> String {
    match status {
        Some(status @ 128..) => format!("Executor was killed by signal {}", status - 128),
        Some(status) => format!("Executor exited with status {status}"),
        None => "Executor ended while the agent was away".to_owned(),
    }
}
