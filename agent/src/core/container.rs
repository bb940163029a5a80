//! What an executor is started with.

use std::path::PathBuf;

use protocol::notation::Span;
use protocol::resources::Scalar;
use protocol::{CommandInfo, ContainerId, ExecutorInfo, FrameworkId, Resource, Resources, TaskInfo};

use super::ContainerSpec;
use super::limits::{COMMAND_EXECUTOR_CPUS_MILLIS, COMMAND_EXECUTOR_MEM_MB};
use super::queue::Queued;
use super::state::Agent;

impl Agent {
    /// How an executor is started for its first work.
    pub(super) fn container_spec(
        &self,
        framework_id: &FrameworkId,
        info: &ExecutorInfo,
        work: &Queued,
        container_id: &ContainerId,
    ) -> ContainerSpec {
        let command_executor = work.tasks()[0].executor.is_none();
        let agent_id = self.agent_id();
        let sandbox = PathBuf::from(format!(
            "slaves/{agent_id}/frameworks/{framework_id}/executors/{}/runs/{container_id}",
            info.executor_id
        ));
        let framework = &self.frameworks[framework_id].info;
        let own = info.command.user.clone().or_else(|| Some(framework.user.clone()));
        let user = own.filter(|user| self.config.switch_user && !user.is_empty());
        let tasks = work.tasks().iter().map(|task| &task.resources);
        let resources = tasks.chain([&info.resources]).sum();
        let environment = self.environment(framework_id, info, command_executor, container_id);
        ContainerSpec {
            container_id: container_id.clone(),
            framework_id: framework_id.clone(),
            executor: info.clone(),
            command_executor,
            sandbox,
            user,
            environment,
            resources,
        }
    }

    /// What an executor finds in its environment besides `PATH`, `MESOS_DIRECTORY` and `MESOS_SANDBOX`, which the
    /// containerizer knows. Source: Mesos `executorEnvironment`, plus `MESOS_CONTAINER_ID`.
    fn environment(
        &self,
        framework_id: &FrameworkId,
        info: &ExecutorInfo,
        command_executor: bool,
        container_id: &ContainerId,
    ) -> Vec<(String, String)> {
        let grace = info.shutdown_grace_period.unwrap_or(self.config.executor_shutdown_grace_period);
        let pid = &self.config.pid;
        let mut environment = self.config.executor_environment.clone();
        let mut set = |name: &str, value: String| environment.push((name.to_string(), value));
        set("LIBPROCESS_PORT", "0".to_string());
        set("LIBPROCESS_IP", pid.address().ip().to_string());
        set("MESOS_FRAMEWORK_ID", framework_id.to_string());
        set("MESOS_EXECUTOR_ID", info.executor_id.to_string());
        set("MESOS_CONTAINER_ID", container_id.to_string());
        set("MESOS_SLAVE_ID", self.agent_id().to_string());
        set("MESOS_SLAVE_PID", pid.to_string());
        set("MESOS_AGENT_ENDPOINT", pid.address().to_string());
        set("MESOS_CHECKPOINT", "0".to_string());
        set("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", Span(grace).to_string());
        if !command_executor {
            environment.extend(info.command.environment.0.iter().cloned());
        }
        environment
    }
}

/// The executor that the agent makes for a command task. It runs inside the launcher: its command is never executed.
/// What it costs is not charged to the framework.
pub(super) fn command_executor_info(framework_id: &FrameworkId, task: &TaskInfo) -> ExecutorInfo {
    let command = task.command.as_ref().expect("a task without an executor has a command");
    let mut own = CommandInfo::argv("meseta", ["meseta", "launch"]);
    own.uris = command.uris.clone();
    own.user = command.user.clone();
    let mut info = ExecutorInfo::new(task.executor_id(), own);
    info.framework_id = Some(framework_id.clone());
    info.name = Some(format!("Command Executor (Task: {})", task.task_id));
    info.resources = [
        Resource::scalar("cpus", Scalar::from_millis(COMMAND_EXECUTOR_CPUS_MILLIS)),
        Resource::scalar("mem", Scalar::from_millis(COMMAND_EXECUTOR_MEM_MB * 1000)),
    ]
    .into_iter()
    .collect::<Resources>();
    info.shutdown_grace_period = None;
    info
}
