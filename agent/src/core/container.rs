//! What an executor is started with.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;

use protocol::notation::Span;
use protocol::resources::Scalar;
use protocol::{
    Carried, Command, CommandInfo, ContainerId, ExecutorInfo, FrameworkId, FrameworkInfo, Resource,
    Resources, Role, TaskInfo, TaskStatus, wire,
};
use wire::v1::NetworkInfo;
use wire::v1::network_info::{IpAddress, Protocol};

use super::limits::{COMMAND_EXECUTOR_CPUS_MILLIS, COMMAND_EXECUTOR_MEM_MB};
use super::queue::Queued;
use super::state::{Agent, Executor};
use super::{ContainerSpec, Limitation};

/// Longest command that is shown whole in the name of its executor, characters. Source: Mesos.
const SHOWN_LONGEST: usize = 15;
/// What is shown of a longer one. Source: Mesos.
const SHOWN_START: usize = 12;

impl Agent {
    /// How an executor is started for the work that waits for it.
    pub(super) fn container_spec(
        &self,
        framework_id: &FrameworkId,
        info: &ExecutorInfo,
        work: &VecDeque<Queued>,
        container_id: &ContainerId,
    ) -> ContainerSpec {
        let first = &work[0].tasks()[0];
        let agent_id = self.agent_id();
        let sandbox = PathBuf::from(format!(
            "slaves/{agent_id}/frameworks/{framework_id}/executors/{}/runs/{container_id}",
            info.executor_id
        ));
        let framework = &self.frameworks[framework_id].info;
        let own = info.command.user.clone().or_else(|| Some(framework.user.clone()));
        let user = own.filter(|user| self.config.switch_user && !user.is_empty());
        let tasks = work.iter().flat_map(Queued::tasks).map(|task| &task.resources);
        let resources = tasks.chain([&info.resources]).sum();
        let environment = self.environment(framework_id, info, first, container_id);
        let container = match &first.executor {
            Some(_) => info.unread.as_ref().and_then(|unread| unread.read().container),
            None => first.unread.as_ref().and_then(|unread| unread.read().container),
        };
        ContainerSpec {
            container_id: container_id.clone(),
            framework_id: framework_id.clone(),
            executor: info.clone(),
            command_executor: first.executor.is_none(),
            sandbox,
            user,
            environment,
            resources,
            container: container.as_ref().and_then(Carried::new),
        }
    }

    /// What an executor finds in its environment besides `PATH`, `MESOS_DIRECTORY` and `MESOS_SANDBOX`, which the
    /// containerizer knows. Source: Mesos `executorEnvironment`, plus `MESOS_CONTAINER_ID`, which native executors need,
    /// and the role, which Mesos's own executors add.
    ///
    /// `MESOS_CHECKPOINT` says whether the executor is to come back when its subscription breaks, and outlives the agent's
    /// process: those of frameworks that checkpoint, the command executor included.
    ///
    /// Here a proof of being this run's executor would be handed over, `MESOS_EXECUTOR_AUTHENTICATION_TOKEN`.
    fn environment(
        &self,
        framework_id: &FrameworkId,
        info: &ExecutorInfo,
        first: &TaskInfo,
        container_id: &ContainerId,
    ) -> Vec<(String, String)> {
        let framework = &self.frameworks[framework_id].info;
        let custom = first.executor.is_some();
        let returns = framework.checkpoint;
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
        set("MESOS_CHECKPOINT", u8::from(returns).to_string());
        set("MESOS_HTTP_COMMAND_EXECUTOR", "0".to_string());
        set("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", Span(grace).to_string());
        if returns {
            set("MESOS_RECOVERY_TIMEOUT", Span(self.config.recovery_timeout).to_string());
            set(
                "MESOS_SUBSCRIPTION_BACKOFF_MAX",
                Span(self.config.executor_reregistration_timeout / 2).to_string(),
            );
        }
        if let Some(role) = allocation_role(framework, first) {
            set("MESOS_ALLOCATION_ROLE", role.to_string());
        }
        if custom {
            environment.extend(info.command.environment.0.iter().cloned());
        }
        environment
    }
}

/// Adds to what an executor says of its task where that runs: tools find tasks by the address. What the executor has said
/// itself stays. Source: Mesos, `Slave::_statusUpdate`.
pub(super) fn add_container_status(status: &mut TaskStatus, executor: &Executor, agent: IpAddr) {
    let mut carried = status.unread.as_ref().map(Carried::read).unwrap_or_default();
    let container = carried.container_status.get_or_insert_default();
    if container.container_id.is_none() {
        let value = executor.container_id.to_string();
        container.container_id = Some(wire::v1::ContainerId { value, parent: None });
    }
    if container.network_infos.is_empty() {
        let protocol = if agent.is_ipv4() { Protocol::IPv4 } else { Protocol::IPv6 };
        container.network_infos.push(NetworkInfo {
            ip_addresses: vec![IpAddress {
                protocol: Some(protocol.into()),
                ip_address: Some(agent.to_string()),
            }],
            ..Default::default()
        });
    }
    container.executor_pid = container.executor_pid.or(executor.os_pid);
    status.unread = Carried::new(&carried);
}

/// Adds to the end of a task which limit its container broke. Source: Mesos, `TaskStatus.limitation`.
pub(super) fn add_limitation(status: &mut TaskStatus, limitation: &Limitation) {
    let mut carried = status.unread.as_ref().map(Carried::read).unwrap_or_default();
    let resources = wire::convert::resources_to_wire(&limitation.resources, None, true);
    carried.limitation = Some(wire::v1::TaskResourceLimitation { resources });
    status.unread = Carried::new(&carried);
}

/// The role that the resources are allocated to, where it is known.
fn allocation_role<'a>(framework: &'a FrameworkInfo, task: &'a TaskInfo) -> Option<&'a Role> {
    let only = framework.roles.first().filter(|_| framework.roles.len() == 1);
    task.allocated_to.as_ref().or(only)
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
    info.name = Some(format!("Command Executor (Task: {}) (Command: {})", task.task_id, shown(command)));
    info.unread = Carried::new(&wire::v1::ExecutorInfo {
        source: Some(task.task_id.to_string()),
        ..Default::default()
    });
    info.resources = [
        Resource::scalar("cpus", Scalar::from_millis(COMMAND_EXECUTOR_CPUS_MILLIS)),
        Resource::scalar("mem", Scalar::from_millis(COMMAND_EXECUTOR_MEM_MB * 1000)),
    ]
    .into_iter()
    .collect::<Resources>();
    info.shutdown_grace_period = None;
    info
}

/// A command as it stands in the name of its executor. Source: Mesos `getExecutorInfo`.
fn shown(command: &CommandInfo) -> String {
    let (before, text, after) = match &command.command {
        Command::Shell(text) => ("sh -c '", text.clone(), "'"),
        Command::Argv { path, arguments } => ("[", format!("{path}, {}", arguments.join(", ")), "]"),
    };
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(SHOWN_START).collect();
    let rest: String = chars.by_ref().take(SHOWN_LONGEST - SHOWN_START).collect();
    let (rest, dots) = if chars.next().is_some() { ("", "...") } else { (rest.as_str(), "") };
    // Mesos closes the quote of a text that it has cut after the dots.
    format!("{before}{start}{rest}{dots}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_commands_are_cut_in_the_names_of_their_executors() {
        for (command, expected) in [
            (CommandInfo::shell("sleep 600"), "sh -c 'sleep 600'"),
            (CommandInfo::shell("123456789012345"), "sh -c '123456789012345'"),
            (CommandInfo::shell("1234567890123456"), "sh -c '123456789012...'"),
            (CommandInfo::shell("äääääääääääääääää"), "sh -c 'ääääääääääää...'"),
            (CommandInfo::argv("ls", ["ls", "-l"]), "[ls, ls, -l]"),
            (CommandInfo::argv("/bin/echo", ["echo", "much to say"]), "[/bin/echo, e...]"),
        ] {
            assert_eq!(shown(&command), expected);
        }
    }

    #[test]
    fn what_an_executor_says_of_its_container_stays() {
        let own = wire::v1::TaskStatus {
            container_status: Some(wire::v1::ContainerStatus {
                network_infos: vec![NetworkInfo { name: Some("overlay".into()), ..Default::default() }],
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut status =
            TaskStatus::new("t".into(), protocol::TaskState::Running, protocol::Source::Executor);
        status.unread = Carried::new(&own);
        let executor = Executor {
            info: ExecutorInfo::new("e", CommandInfo::shell("")),
            command_executor: false,
            container_id: "c".into(),
            sandbox: PathBuf::new(),
            state: super::super::ExecutorState::Registering,
            os_pid: Some(7),
            queued: Default::default(),
            completed_tasks: Default::default(),
            doom: None,
            subscribed: false,
            relaunched: false,
            handed: Default::default(),
            kills: Default::default(),
            patience: Default::default(),
            live: Default::default(),
            allotted: Default::default(),
        };
        add_container_status(&mut status, &executor, "::1".parse().unwrap());
        let told = status.unread.unwrap().read().container_status.unwrap();
        assert_eq!(told.network_infos, own.container_status.unwrap().network_infos);
        assert_eq!((told.container_id.unwrap().value.as_str(), told.executor_pid), ("c", Some(7)));
    }
}
