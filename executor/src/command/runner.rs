//! The life of the one task.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use libactor::{Clock, Time};
use protocol::{Capability, Reason, Source, TaskId, TaskInfo, TaskState, TaskStatus};
use tokio::sync::{Notify, mpsc};

use super::launch::{Launched, Surroundings, launch};
use crate::ExecutorDriver;
use crate::core::Callback;
use crate::process::{self, Scope};

/// Runs one task between its agent and the system.
pub(super) struct Runner {
    pub(super) driver: ExecutorDriver,
    /// From the session; each is answered with `callback_returned`.
    pub(super) callbacks: mpsc::Receiver<Callback>,
    /// Kill all at once and say nothing more.
    pub(super) destroy: Arc<Notify>,
    pub(super) clock: Clock,
    pub(super) around: Surroundings,
    pub(super) scope: Scope,
    /// Of this much, four fifths are for the task at a shutdown.
    pub(super) shutdown_grace: Duration,
    /// Whether the framework wants to hear of TASK_KILLING.
    pub(super) tells_killing: bool,
}

/// Why a task is being ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Killed,
    TooLong,
    Destroyed,
}

/// A task that runs.
struct Running {
    task: TaskInfo,
    process: Launched,
    /// When it has run long enough.
    limit: Option<Time>,
    /// Why it is being ended, and when TERM is followed by KILL; absent: it was.
    ending: Option<(Cause, Option<Time>)>,
    /// A callback that returns when the task has ended: a shutdown.
    owed: bool,
}

/// What woke a running task.
enum Event {
    Ended(std::io::Result<ExitStatus>),
    Callback(Option<Callback>),
    Timer,
    Destroy,
}

impl Runner {
    /// Waits for the task, runs it, reports its end, and stops the driver.
    pub(super) async fn run(mut self) {
        let Some(task) = self.wait_for_launch().await else { return };
        self.update(TaskStatus::new(task.task_id.clone(), TaskState::Starting, Source::Executor));
        match launch(&task, &self.around) {
            Err(reason) => {
                let status = TaskStatus::new(task.task_id, TaskState::Failed, Source::Executor);
                self.update(status.because(Reason::CommandExecutorFailed, reason));
                self.driver.callback_returned();
            }
            Ok(process) => {
                tracing::info!(task = %task.task_id, pid = process.pid, "the task runs");
                self.update(TaskStatus::new(task.task_id.clone(), TaskState::Running, Source::Executor));
                self.driver.callback_returned();
                let limit = task.max_completion_time.map(|most| self.clock.now() + most);
                self.attend(Running { task, process, limit, ending: None, owed: false }).await;
            }
        }
        self.driver.stop();
        while let Some(callback) = self.callbacks.recv().await {
            self.refuse(callback);
        }
    }

    /// The task, or nothing if it never comes. The callback that brought it has not returned then.
    async fn wait_for_launch(&mut self) -> Option<TaskInfo> {
        loop {
            let callback = tokio::select! {
                biased;
                () = self.destroy.notified() => {
                    self.driver.abort();
                    return None;
                }
                callback = self.callbacks.recv() => callback?,
            };
            match callback {
                Callback::Launch(task) => return Some(task),
                Callback::Registered { framework, .. } => {
                    self.tells_killing = framework.can(Capability::TaskKillingState);
                }
                Callback::Reregistered { .. }
                | Callback::Disconnected
                | Callback::Kill { .. }
                | Callback::Message(_)
                | Callback::Shutdown
                | Callback::Error(_) => {}
            }
            self.driver.callback_returned();
        }
    }

    /// Sees a running task to its end and reports it.
    async fn attend(&mut self, mut running: Running) {
        let status = loop {
            let timer = match running.ending {
                Some((_, escalation)) => escalation,
                None => running.limit,
            };
            let clock = self.clock.clone();
            let event = tokio::select! {
                biased;
                status = running.process.child.wait() => Event::Ended(status),
                () = self.destroy.notified(), if !running.is_destroyed() => Event::Destroy,
                callback = self.callbacks.recv(), if !running.owed => Event::Callback(callback),
                () = async { clock.sleep_until(timer.expect("guarded")).await }, if timer.is_some() => Event::Timer,
            };
            match event {
                Event::Ended(status) => break status,
                Event::Destroy => self.destroy(&mut running).await,
                // The driver has ended without a shutdown: it was aborted.
                Event::Callback(None) => {
                    running.owed = true;
                    self.destroy(&mut running).await;
                }
                Event::Callback(Some(callback)) => self.called(&mut running, callback),
                Event::Timer => self.timer(&mut running).await,
            }
        };
        process::kill_rest(running.process.pid, &self.scope).await;
        let cause = running.ending.map(|(cause, _)| cause);
        if cause == Some(Cause::Destroyed) {
            self.driver.abort();
            return;
        }
        self.update(ended(running.task.task_id, status, cause));
        if running.owed {
            self.driver.callback_returned();
        }
    }

    fn called(&mut self, running: &mut Running, callback: Callback) {
        let own = running.task.kill_policy.unwrap_or_default();
        match callback {
            Callback::Kill { task_id, kill_policy } if task_id == running.task.task_id => {
                self.end(running, Cause::Killed, kill_policy.unwrap_or(own).grace());
            }
            Callback::Shutdown | Callback::Error(_) => {
                running.owed = true;
                return self.end(running, Cause::Killed, own.grace().min(self.shutdown_grace * 4 / 5));
            }
            Callback::Launch(_) => return self.refuse(callback),
            Callback::Registered { .. }
            | Callback::Reregistered { .. }
            | Callback::Disconnected
            | Callback::Kill { .. }
            | Callback::Message(_) => {}
        }
        self.driver.callback_returned();
    }

    /// There is one task and no other.
    fn refuse(&self, callback: Callback) {
        if let Callback::Launch(task) = callback {
            let status = TaskStatus::new(task.task_id, TaskState::Failed, Source::Executor);
            self.update(
                status.because(
                    Reason::CommandExecutorFailed,
                    "a command executor runs one task, and it has one",
                ),
            );
        }
        self.driver.callback_returned();
    }

    async fn timer(&mut self, running: &mut Running) {
        match running.ending {
            Some((cause, _)) => {
                tracing::warn!(task = %running.task.task_id, "the task did not end by itself: it is killed");
                running.ending = Some((cause, None));
                process::kill_tree(running.process.pid, &self.scope).await;
            }
            None => {
                let grace = running.task.kill_policy.unwrap_or_default().grace();
                self.end(running, Cause::TooLong, grace);
            }
        }
    }

    /// Sends TERM and sets the time of KILL; a second call may only bring it nearer.
    fn end(&mut self, running: &mut Running, cause: Cause, grace: Duration) {
        let at = self.clock.now() + grace;
        match &mut running.ending {
            Some((_, Some(escalation))) => *escalation = (*escalation).min(at),
            Some((_, None)) => {}
            None => {
                running.ending = Some((cause, Some(at)));
                if cause == Cause::Killed && self.tells_killing {
                    let task_id = running.task.task_id.clone();
                    self.update(TaskStatus::new(task_id, TaskState::Killing, Source::Executor));
                }
                process::terminate_group(running.process.pid);
            }
        }
    }

    async fn destroy(&mut self, running: &mut Running) {
        running.ending = Some((Cause::Destroyed, None));
        process::kill_tree(running.process.pid, &self.scope).await;
    }

    fn update(&self, status: TaskStatus) {
        self.driver.send_status_update(status);
    }
}

impl Running {
    fn is_destroyed(&self) -> bool {
        matches!(self.ending, Some((Cause::Destroyed, _)))
    }
}

/// The last status of a task.
fn ended(task_id: TaskId, result: std::io::Result<ExitStatus>, cause: Option<Cause>) -> TaskStatus {
    let (exit_status, message) = match &result {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => (Some(code), format!("Command exited with status {code}")),
            (None, Some(signal)) => (
                Some(128 + signal),
                format!("Command terminated with signal {}", process::signal_name(signal)),
            ),
            (None, None) => (None, "Command ended in an unknown way".to_owned()),
        },
        Err(error) => (None, format!("The end of the command could not be waited for: {error}")),
    };
    let (state, reason, message) = match cause {
        Some(Cause::Killed | Cause::Destroyed) => (TaskState::Killed, None, message),
        Some(Cause::TooLong) => (
            TaskState::Failed,
            Some(Reason::MaxCompletionTimeReached),
            format!("Command ran for longer than it may. {message}"),
        ),
        None if exit_status == Some(0) => (TaskState::Finished, None, message),
        None => (TaskState::Failed, None, message),
    };
    let mut status = TaskStatus::new(task_id, state, Source::Executor);
    status.message = Some(message);
    status.reason = reason;
    status.exit_status = exit_status;
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_becomes_a_status() {
        let wait = |raw| Ok(ExitStatus::from_raw(raw));
        for (raw, cause, state, exit, message) in [
            (0, None, TaskState::Finished, 0, "Command exited with status 0"),
            (7 << 8, None, TaskState::Failed, 7, "Command exited with status 7"),
            (9, None, TaskState::Failed, 137, "Command terminated with signal Killed"),
            (15, Some(Cause::Killed), TaskState::Killed, 143, "Command terminated with signal Terminated"),
            (0, Some(Cause::Killed), TaskState::Killed, 0, "Command exited with status 0"),
        ] {
            let status = ended("t".into(), wait(raw), cause);
            assert_eq!((status.state, status.exit_status), (state, Some(exit)));
            assert_eq!(status.message.as_deref(), Some(message));
        }
        let late = ended("t".into(), wait(15), Some(Cause::TooLong));
        assert_eq!((late.state, late.reason), (TaskState::Failed, Some(Reason::MaxCompletionTimeReached)));
    }
}
