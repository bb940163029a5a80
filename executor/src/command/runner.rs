//! The life of the one task.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use libactor::{Clock, Time};
use protocol::{Capability, CheckStatus, Reason, Source, TaskInfo, TaskState, TaskStatus};
use tokio::sync::{Notify, mpsc};

use super::launch::{Launched, Surroundings, launch};
use crate::ExecutorDriver;
use crate::checks::{Asked, Checker, Finding, Prober};
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
    pub(super) around: Arc<Surroundings>,
    pub(super) scope: Scope,
    /// Of this much, four fifths are for the task at a shutdown.
    pub(super) shutdown_grace: Duration,
    /// Whether the framework wants to hear of TASK_KILLING.
    pub(super) tells_killing: bool,
    /// What a check has found while the agent was away, the newest only: it is told when the agent is back.
    pub(super) held: Held,
}

/// Whether findings can be told.
#[derive(Debug, Default)]
pub(super) struct Held {
    away: bool,
    newest: Option<TaskStatus>,
}

/// Why a task is being ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    Killed,
    /// Its health check says so.
    Unhealthy(String),
    TooLong,
    Destroyed,
}

/// How far the end of a task is.
struct Ending {
    cause: Cause,
    /// When TERM was sent.
    since: Time,
    /// When KILL follows; absent: it has.
    escalation: Option<Time>,
}

/// A task that runs.
struct Running {
    task: Arc<TaskInfo>,
    process: Launched,
    /// When it has run long enough.
    limit: Option<Time>,
    ending: Option<Ending>,
    checker: Option<Checker>,
    /// What was found last.
    healthy: Option<bool>,
    check: Option<CheckStatus>,
    /// A callback that returns when the task has ended: a shutdown.
    owed: bool,
}

/// What woke a running task.
enum Event {
    Ended(std::io::Result<ExitStatus>),
    Callback(Option<Callback>),
    Found(Finding),
    Timer,
    Destroy,
}

impl Runner {
    /// Waits for the task, runs it, reports its end, and stops the driver.
    pub(super) async fn run(mut self) {
        let Some(task) = self.wait_for_launch().await else { return };
        let task = Arc::new(task);
        let asked = Asked::of(&task);
        let check = asked.as_ref().ok().and_then(Asked::no_result);
        let status =
            |state| with_check(TaskStatus::new(task.task_id.clone(), state, Source::Executor), check);
        self.update(status(TaskState::Starting));
        let launched = asked.and_then(|asked| Ok((launch(&task, &self.around)?, asked)));
        match launched {
            Err(reason) => {
                self.update(status(TaskState::Failed).because(Reason::CommandExecutorFailed, reason));
                self.driver.callback_returned();
            }
            Ok((process, asked)) => {
                tracing::info!(task = %task.task_id, pid = process.pid, "the task runs");
                self.update(status(TaskState::Running));
                self.driver.callback_returned();
                let limit = task.max_completion_time.map(|most| self.clock.now() + most);
                let checker = Checker::begin(asked, self.prober(&task));
                let running = Running {
                    task,
                    process,
                    limit,
                    ending: None,
                    checker,
                    healthy: None,
                    check,
                    owed: false,
                };
                self.attend(running).await;
            }
        }
        self.driver.stop();
        while let Some(callback) = self.callbacks.recv().await {
            self.refuse(callback);
        }
    }

    fn prober(&self, task: &Arc<TaskInfo>) -> Prober {
        Prober {
            task: task.clone(),
            around: self.around.clone(),
            scope: self.scope.clone(),
            clock: self.clock.clone(),
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
        let result = loop {
            let timer = match &running.ending {
                Some(ending) => ending.escalation,
                None => running.limit,
            };
            let clock = self.clock.clone();
            let destroyed = running.is_destroyed();
            let event = tokio::select! {
                biased;
                status = running.process.child.wait() => Event::Ended(status),
                () = self.destroy.notified(), if !destroyed => Event::Destroy,
                callback = self.callbacks.recv(), if !running.owed => Event::Callback(callback),
                () = async { clock.sleep_until(timer.expect("guarded")).await }, if timer.is_some() => Event::Timer,
                finding = next_finding(&mut running.checker) => Event::Found(finding),
            };
            match event {
                Event::Ended(result) => break result,
                Event::Destroy => self.destroy(&mut running).await,
                // The driver has ended without a shutdown: it was aborted.
                Event::Callback(None) => {
                    running.owed = true;
                    self.destroy(&mut running).await;
                }
                Event::Callback(Some(callback)) => self.called(&mut running, callback),
                Event::Found(finding) => self.found(&mut running, finding),
                Event::Timer => self.timer(&mut running).await,
            }
        };
        // With it go the commands of checks that are under way.
        running.checker = None;
        process::kill_rest(running.process.pid, &self.scope).await;
        if running.is_destroyed() {
            self.driver.abort();
            return;
        }
        let cause = running.ending.take().map(|ending| ending.cause);
        self.update(ended(running.status(TaskState::Running), &result, cause));
        if running.owed {
            self.driver.callback_returned();
        }
    }

    fn called(&mut self, running: &mut Running, callback: Callback) {
        let own = running.task.kill_policy.unwrap_or_default();
        match callback {
            Callback::Kill { task_id, kill_policy } if task_id == running.task.task_id => {
                let grace = kill_policy.and_then(|policy| policy.grace_period);
                self.end(running, Cause::Killed, grace.unwrap_or(own.grace()));
            }
            Callback::Shutdown | Callback::Error(_) => {
                running.owed = true;
                return self.shut_down(running, own.grace().min(self.shutdown_grace * 4 / 5));
            }
            Callback::Disconnected => self.held.away = true,
            Callback::Reregistered { .. } => {
                self.held.away = false;
                if let Some(status) = self.held.newest.take() {
                    self.update(status);
                }
            }
            Callback::Launch(_) => return self.refuse(callback),
            Callback::Registered { .. } | Callback::Kill { .. } | Callback::Message(_) => {}
        }
        self.driver.callback_returned();
    }

    /// Tells what a check has found, or ends the task because of it.
    fn found(&mut self, running: &mut Running, finding: Finding) {
        let (reason, message) = match finding {
            Finding::Health { healthy, message } => {
                running.healthy = Some(healthy);
                (Reason::TaskHealthCheckStatusUpdated, Some(message))
            }
            Finding::Changed(status) => {
                running.check = Some(status);
                (Reason::TaskCheckStatusUpdated, None)
            }
            Finding::Kill { message } => {
                tracing::warn!(task = %running.task.task_id, %message, "the task is killed");
                let grace = running.task.kill_policy.unwrap_or_default().grace();
                return self.end(running, Cause::Unhealthy(message), grace);
            }
        };
        let status = TaskStatus { reason: Some(reason), message, ..running.status(TaskState::Running) };
        if self.held.away {
            self.held.newest = Some(status);
        } else {
            self.update(status);
        }
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
        match &mut running.ending {
            Some(ending) => {
                tracing::warn!(task = %running.task.task_id, "the task did not end by itself: it is killed");
                ending.escalation = None;
                process::kill_tree(running.process.pid, &self.scope).await;
            }
            None => {
                let grace = running.task.kill_policy.unwrap_or_default().grace();
                self.end(running, Cause::TooLong, grace);
            }
        }
    }

    /// Sends TERM and sets the time of KILL; a second call may only bring it nearer, counting from the first.
    fn end(&mut self, running: &mut Running, cause: Cause, grace: Duration) {
        if let Some(Ending { since, escalation: Some(escalation), .. }) = &mut running.ending {
            *escalation = (*escalation).min(*since + grace);
        }
        if running.ending.is_some() {
            return;
        }
        if let Some(checker) = &mut running.checker {
            checker.stop();
        }
        // What was not told before is told with the end.
        self.held.newest = None;
        if cause != Cause::TooLong && self.tells_killing {
            self.update(running.status(TaskState::Killing));
        }
        let since = self.clock.now();
        running.ending = Some(Ending { cause, since, escalation: Some(since + grace) });
        process::terminate(running.process.pid, &self.scope);
    }

    /// As [`end`](Self::end), counting from now: the time that is left is that of the executor.
    fn shut_down(&mut self, running: &mut Running, grace: Duration) {
        let by = self.clock.now() + grace;
        self.end(running, Cause::Killed, grace);
        if let Some(Ending { escalation: Some(escalation), .. }) = &mut running.ending {
            *escalation = (*escalation).min(by);
        }
    }

    async fn destroy(&mut self, running: &mut Running) {
        running.checker = None;
        running.ending = Some(Ending { cause: Cause::Destroyed, since: self.clock.now(), escalation: None });
        process::kill_tree(running.process.pid, &self.scope).await;
    }

    fn update(&self, status: TaskStatus) {
        self.driver.send_status_update(status);
    }
}

impl Running {
    fn is_destroyed(&self) -> bool {
        matches!(&self.ending, Some(Ending { cause: Cause::Destroyed, .. }))
    }

    /// A status with what was found last.
    fn status(&self, state: TaskState) -> TaskStatus {
        let status = TaskStatus::new(self.task.task_id.clone(), state, Source::Executor);
        TaskStatus { healthy: self.healthy, ..with_check(status, self.check) }
    }
}

fn with_check(status: TaskStatus, check: Option<CheckStatus>) -> TaskStatus {
    match check {
        Some(check) => status.with_check(check),
        None => status,
    }
}

async fn next_finding(checker: &mut Option<Checker>) -> Finding {
    match checker {
        Some(checker) => checker.next().await,
        None => std::future::pending().await,
    }
}

/// The last status of a task, made of its last one. As in Mesos, it speaks of health only where that is why the task ended.
fn ended(status: TaskStatus, result: &std::io::Result<ExitStatus>, cause: Option<Cause>) -> TaskStatus {
    let (exit_status, how) = match result {
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
    let (state, reason, healthy, message) = match cause {
        Some(Cause::Killed | Cause::Destroyed) => (TaskState::Killed, None, None, how),
        Some(Cause::Unhealthy(why)) => (
            TaskState::Killed,
            Some(Reason::TaskHealthCheckStatusUpdated),
            Some(false),
            format!("The task was killed because it was not healthy: {why}. {how}"),
        ),
        Some(Cause::TooLong) => (
            TaskState::Failed,
            Some(Reason::MaxCompletionTimeReached),
            None,
            format!("Command ran for longer than it may. {how}"),
        ),
        None if exit_status == Some(0) => (TaskState::Finished, None, None, how),
        None => (TaskState::Failed, None, None, how),
    };
    TaskStatus { state, reason, healthy, message: Some(message), exit_status, ..status }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_becomes_a_status() {
        let wait = |raw| Ok(ExitStatus::from_raw(raw));
        let running = || TaskStatus {
            healthy: Some(true),
            ..TaskStatus::new("t".into(), TaskState::Running, Source::Executor)
        };
        for (raw, cause, state, exit, message) in [
            (0, None, TaskState::Finished, 0, "Command exited with status 0"),
            (7 << 8, None, TaskState::Failed, 7, "Command exited with status 7"),
            (9, None, TaskState::Failed, 137, "Command terminated with signal Killed"),
            (15, Some(Cause::Killed), TaskState::Killed, 143, "Command terminated with signal Terminated"),
            (0, Some(Cause::Killed), TaskState::Killed, 0, "Command exited with status 0"),
        ] {
            let status = ended(running(), &wait(raw), cause);
            assert_eq!((status.state, status.exit_status), (state, Some(exit)));
            assert_eq!(status.message.as_deref(), Some(message));
        }
        let late = ended(running(), &wait(15), Some(Cause::TooLong));
        assert_eq!((late.state, late.reason), (TaskState::Failed, Some(Reason::MaxCompletionTimeReached)));
        assert_eq!(late.healthy, None);
        let sick = ended(running(), &wait(15), Some(Cause::Unhealthy("it failed once".to_owned())));
        assert_eq!((sick.state, sick.healthy), (TaskState::Killed, Some(false)));
        assert_eq!(sick.reason, Some(Reason::TaskHealthCheckStatusUpdated));
        assert_eq!(
            sick.message.as_deref(),
            Some(
                "The task was killed because it was not healthy: it failed once. Command terminated with signal Terminated"
            )
        );
    }
}
