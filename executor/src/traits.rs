//! What an executor implements.

use bytes::Bytes;
use protocol::{AgentId, AgentInfo, ExecutorInfo, FrameworkInfo, KillPolicy, TaskId, TaskInfo};

use crate::ExecutorDriver;

/// Runs tasks of one framework on one agent. Callbacks come one at a time, on a thread of their own; a slow one delays only those
/// that follow. A panic in a callback ends the driver (where panics unwind, as in debug builds).
pub trait Executor: Send + 'static {
    /// Subscribed at the agent; comes before any other.
    fn registered(
        &mut self,
        driver: &ExecutorDriver,
        executor: &ExecutorInfo,
        framework: &FrameworkInfo,
        agent_id: &AgentId,
        agent: &AgentInfo,
    ) {
        let _ = (driver, executor, framework, agent_id, agent);
    }

    /// Subscribed again: the agent was restarted.
    fn reregistered(&mut self, driver: &ExecutorDriver, agent_id: &AgentId, agent: &AgentInfo) {
        let _ = (driver, agent_id, agent);
    }

    /// The agent is gone and may come back. Only with a framework that checkpoints: else a shutdown follows at once.
    fn disconnected(&mut self, driver: &ExecutorDriver) {
        let _ = driver;
    }

    /// Run a task: report TASK_STARTING or TASK_RUNNING, and once a terminal state. Don't wait for the task in here.
    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo);

    /// Kill a task and report TASK_KILLED. The policy given takes the place of the task's own.
    fn kill_task(&mut self, driver: &ExecutorDriver, task_id: &TaskId, kill_policy: Option<KillPolicy>) {
        let _ = (driver, task_id, kill_policy);
    }

    /// Bytes from the scheduler.
    fn framework_message(&mut self, driver: &ExecutorDriver, data: Bytes) {
        let _ = (driver, data);
    }

    /// Kill all tasks and report them. When it returns the driver ends; if the process still lives
    /// `MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD` after the request, it is killed with all that it has started.
    fn shutdown(&mut self, driver: &ExecutorDriver) {
        let _ = driver;
    }

    /// The session is over and the driver has aborted.
    fn error(&mut self, driver: &ExecutorDriver, message: &str) {
        let _ = (driver, message);
    }
}

impl Executor for Box<dyn Executor> {
    fn registered(
        &mut self,
        driver: &ExecutorDriver,
        executor: &ExecutorInfo,
        framework: &FrameworkInfo,
        agent_id: &AgentId,
        agent: &AgentInfo,
    ) {
        (**self).registered(driver, executor, framework, agent_id, agent);
    }

    fn reregistered(&mut self, driver: &ExecutorDriver, agent_id: &AgentId, agent: &AgentInfo) {
        (**self).reregistered(driver, agent_id, agent);
    }

    fn disconnected(&mut self, driver: &ExecutorDriver) {
        (**self).disconnected(driver);
    }

    fn launch_task(&mut self, driver: &ExecutorDriver, task: TaskInfo) {
        (**self).launch_task(driver, task);
    }

    fn kill_task(&mut self, driver: &ExecutorDriver, task_id: &TaskId, kill_policy: Option<KillPolicy>) {
        (**self).kill_task(driver, task_id, kill_policy);
    }

    fn framework_message(&mut self, driver: &ExecutorDriver, data: Bytes) {
        (**self).framework_message(driver, data);
    }

    fn shutdown(&mut self, driver: &ExecutorDriver) {
        (**self).shutdown(driver);
    }

    fn error(&mut self, driver: &ExecutorDriver, message: &str) {
        (**self).error(driver, message);
    }
}
