//! What the framework asks for.

use libactor::Time;
use protocol::messages::{Call, SchedulerCall};
use protocol::{Capability, Operation, Reason, Source, TaskInfo, TaskState, TaskStatus, UnixTime};

use super::{Callback, DriverCall, Output, Phase, Session};
use crate::Status;

impl Session {
    pub(super) fn call(&mut self, now: Time, call: DriverCall, out: &mut Vec<Output>) {
        if matches!(self.phase, Phase::Idle | Phase::Failing) && !matches!(call, DriverCall::Abort) {
            return;
        }
        match call {
            DriverCall::Stop { failover } => {
                if !failover {
                    self.send(Call::Teardown, out);
                }
                self.end(Status::Stopped, out);
            }
            DriverCall::Abort => self.end(Status::Aborted, out),
            DriverCall::RequestResources { requests } => self.or_drop(Call::Request { requests }, out),
            DriverCall::Accept { offer_ids, operations, filters } => {
                if self.master().is_some() {
                    self.send(Call::Accept { offer_ids, operations, filters }, out);
                } else {
                    self.lose(now, operations, "the master is disconnected");
                }
            }
            DriverCall::Decline { offer_ids, filters } => {
                self.or_drop(Call::Decline { offer_ids, filters }, out);
            }
            DriverCall::Revive { roles } => {
                if roles.is_empty() {
                    self.suppressed.clear();
                } else {
                    self.suppressed.retain(|role| !roles.contains(role));
                }
                self.send(Call::Revive { roles }, out);
            }
            DriverCall::Suppress { roles } => {
                let these = if roles.is_empty() { &self.framework.roles } else { &roles };
                self.suppressed.extend(these.iter().cloned());
                self.send(Call::Suppress { roles }, out);
            }
            DriverCall::Kill { task_id, kill_policy } => {
                self.or_drop(Call::Kill { task_id, agent_id: None, kill_policy }, out);
            }
            DriverCall::ShutdownExecutor { executor_id, agent_id } => {
                self.or_drop(Call::Shutdown { executor_id, agent_id }, out);
            }
            DriverCall::Acknowledge { agent_id, task_id, uuid } => {
                if self.implicit_acknowledgements {
                    tracing::warn!(task = %task_id, "updates are acknowledged implicitly: the call is ignored");
                } else {
                    self.or_drop(Call::Acknowledge { agent_id, task_id, uuid }, out);
                }
            }
            DriverCall::Message { agent_id, executor_id, data } => {
                self.or_drop(Call::Message { agent_id, executor_id, data }, out);
            }
            DriverCall::Reconcile { tasks } => self.or_drop(Call::Reconcile { tasks }, out),
        }
    }

    /// A call could not be queued: tasks to be launched are lost, the rest is the framework's to repeat.
    pub(super) fn not_sent(&mut self, now: Time, call: SchedulerCall) {
        match call.call {
            Call::Accept { operations, .. } => {
                self.lose(now, operations, "too many messages wait for the master")
            }
            other => {
                tracing::warn!(call = ?std::mem::discriminant(&other), "a call to the master was not sent")
            }
        }
    }

    fn or_drop(&mut self, call: Call, out: &mut Vec<Output>) {
        if !self.send(call, out) {
            tracing::debug!("a call was dropped: the master is disconnected");
        }
    }

    /// Reports tasks that will never be launched.
    fn lose(&mut self, now: Time, operations: Vec<Operation>, why: &str) {
        for operation in operations {
            match operation {
                Operation::Launch { tasks } | Operation::LaunchGroup { tasks, .. } => {
                    for task in tasks {
                        let status = self.lost(now, task, why);
                        self.push(Callback::Update(status), &mut Vec::new());
                    }
                }
            }
        }
    }

    fn lost(&self, now: Time, task: TaskInfo, why: &str) -> TaskStatus {
        let state = match self.framework.can(Capability::PartitionAware) {
            true => TaskState::Dropped,
            false => TaskState::Lost,
        };
        let executor_id = task.executor.map(|executor| executor.executor_id);
        let status = TaskStatus::new(task.task_id, state, Source::Master);
        TaskStatus {
            agent_id: Some(task.agent_id),
            executor_id,
            timestamp: Some(UnixTime(now.as_nanos())),
            ..status.because(Reason::MasterDisconnected, why)
        }
    }
}
