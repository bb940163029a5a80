//! Executors that call over HTTP. They name no run: the one that is there is meant.

use libactor::{Pid, Time};
use protocol::messages::ExecutorCallKind;
use protocol::{ContainerId, ExecutorId, FrameworkId, TaskState, TaskStatus};

use super::state::{Agent, ExecutorState};
use super::{Output, Refusal};

/// Who calls.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) framework_id: FrameworkId,
    pub(super) executor_id: ExecutorId,
    pub(super) stream: Option<Pid>,
}

type Refused = (Refusal, String);

impl Agent {
    /// Decides whether a call is taken: the run that it is for. The order of the checks and the sentences are Mesos's.
    pub(super) fn admit(&self, caller: &Caller, call: &ExecutorCallKind) -> Result<ContainerId, Refused> {
        if let ExecutorCallKind::Update(status) = call {
            valid_update(caller, status)
                .map_err(|why| invalid(&format!("Failed to validate Executor::Call: {why}")))?;
        }
        if self.id.is_none() || self.recovery.is_some() {
            return Err((Refusal::Unavailable, "Agent has not finished recovery".into()));
        }
        let framework = self.frameworks.get(&caller.framework_id);
        let framework = framework.ok_or_else(|| invalid("Framework cannot be found"))?;
        let executor = framework.executors.get(&caller.executor_id);
        let executor = executor.ok_or_else(|| invalid("Executor cannot be found"))?;
        match call {
            ExecutorCallKind::Subscribe { .. } => {
                let stream = caller.stream.as_ref().filter(|pid| pid.stream_id().is_some());
                let stream = stream.ok_or_else(|| invalid("A subscription needs a stream for its events"))?;
                self.may_subscribe(stream, &executor.container_id).map_err(forbidden)?;
            }
            ExecutorCallKind::Heartbeat => {}
            ExecutorCallKind::Update(_) | ExecutorCallKind::Message(_) => {
                if executor.state == ExecutorState::Registering {
                    return Err(forbidden("Executor is not subscribed"));
                }
                if executor.state.pid().is_some_and(|pid| pid.stream_id().is_none()) {
                    return Err(forbidden("Executor is not connected via HTTP"));
                }
            }
        }
        Ok(executor.container_id.clone())
    }

    /// Does what a call that was admitted asks for.
    pub(super) fn take_call(
        &mut self,
        now: Time,
        caller: Caller,
        container_id: &ContainerId,
        call: ExecutorCallKind,
        out: &mut Vec<Output>,
    ) {
        match (call, caller.stream) {
            (ExecutorCallKind::Subscribe { tasks, updates }, Some(stream)) => {
                self.subscribe(now, stream, container_id, (tasks, updates), out);
            }
            (ExecutorCallKind::Subscribe { .. }, None) | (ExecutorCallKind::Heartbeat, _) => {}
            (ExecutorCallKind::Update(status), _) => self.executor_updates(now, container_id, status, out),
            (ExecutorCallKind::Message(data), _) => {
                self.message_to_framework(caller.framework_id, caller.executor_id, data, out);
            }
        }
    }
}

fn invalid(why: &str) -> Refused {
    (Refusal::Invalid, why.to_owned())
}

fn forbidden(why: &str) -> Refused {
    (Refusal::Forbidden, why.to_owned())
}

/// What Mesos asks of an update before it looks for the executor.
fn valid_update(caller: &Caller, status: &TaskStatus) -> Result<(), String> {
    if status.uuid.is_none() {
        return Err("Expecting 'uuid' to be present".into());
    }
    let executor_id = &caller.executor_id;
    if let Some(named) = status.executor_id.as_ref().filter(|named| *named != executor_id) {
        return Err(format!(
            "ExecutorID in Call: {executor_id} does not match ExecutorID in TaskStatus: {named}"
        ));
    }
    if status.source != protocol::Source::Executor {
        return Err(format!(
            "Received Call from executor {executor_id} of framework {} with invalid source, expecting \
             'SOURCE_EXECUTOR'",
            caller.framework_id
        ));
    }
    if status.state == TaskState::Staging {
        return Err(format!(
            "Received TASK_STAGING from executor {executor_id} of framework {} which is not allowed",
            caller.framework_id
        ));
    }
    Ok(())
}
