//! A task arrives: its executor is found or made, and the task is handed over or queued.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use libactor::Time;
use protocol::messages::{AgentCall, ExecutorEvent};
use protocol::notation::Span;
use protocol::resources::Scalar;
use protocol::validate;
use protocol::{
    Capability, CommandInfo, ContainerId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Reason,
    Resource, Resources, Source, StatusUpdate, Task, TaskInfo, TaskState, TaskStatus, UnixTime, Uuid,
};

use super::limits::{COMMAND_EXECUTOR_CPUS_MILLIS, COMMAND_EXECUTOR_MEM_MB, MAX_TASKS};
use super::queue::Queued;
use super::state::{Agent, Executor, ExecutorState, Framework, Timer};
use super::updates::End;
use super::{ContainerSpec, Output};

/// What [`ExecutorExited`](protocol::messages::AgentCall::ExecutorExited) says of an executor that never started.
/// Source: Mesos.
pub(super) const NEVER_STARTED: i32 = -1;

impl Agent {
    pub(super) fn run_task(
        &mut self,
        now: Time,
        framework: FrameworkInfo,
        task: TaskInfo,
        launch_executor: bool,
        out: &mut Vec<Output>,
    ) {
        let Some(framework_id) = framework.id.clone() else {
            tracing::warn!(task = %task.task_id, "task of a framework without an id ignored");
            return;
        };
        let key = (framework_id.clone(), task.task_id.clone());
        if self.id.is_none() || self.leaving.is_some() || self.streams.contains_key(&key) {
            tracing::warn!(task = %task.task_id, "task ignored: not registered, leaving, or known already");
            return;
        }
        let known = self.frameworks.get(&framework_id);
        if known.is_some_and(|known| known.removed || known.tasks.contains_key(&task.task_id)) {
            tracing::warn!(task = %task.task_id, "task ignored: its framework is removed, or it is known already");
            return;
        }
        let executor_id = task.executor_id();
        if self.frameworks.values().map(|framework| framework.tasks.len()).sum::<usize>() >= MAX_TASKS {
            self.turn_away(now, &framework, &framework_id, &task, out);
            if launch_executor {
                self.report_no_executor(&framework_id, &task, out);
            }
            return;
        }
        let fate = self.refuses(&framework, &framework_id, &executor_id, &task, launch_executor);
        if let Err((state, reason, message)) = fate {
            // A refused task is known, as ended, until the framework has acknowledged it.
            let record = Task::new(framework_id.clone(), &task, TaskState::Staging);
            self.enter_framework(framework, &framework_id).tasks.insert(task.task_id.clone(), record);
            let end = End { state, reason, message: &message };
            self.report_end(now, &framework_id, &task.task_id, end, out);
            if launch_executor {
                self.report_no_executor(&framework_id, &task, out);
            }
            return;
        }
        let framework = self.enter_framework(framework, &framework_id);
        framework
            .tasks
            .insert(task.task_id.clone(), Task::new(framework_id.clone(), &task, TaskState::Staging));
        match framework.executors.get_mut(&executor_id) {
            Some(executor) => match executor.state.pid().cloned() {
                Some(to) => out.push(Output::ToExecutor { to, event: ExecutorEvent::Launch(task) }),
                None => executor.queued.push_back(Queued::Task(Box::new(task))),
            },
            None => self.launch_executor(now, &framework_id, task, out),
        }
    }

    /// Why a task can't be run here.
    fn refuses(
        &self,
        framework: &FrameworkInfo,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        task: &TaskInfo,
        launch_executor: bool,
    ) -> Result<(), (TaskState, Reason, String)> {
        let valid = validate::framework_id(framework_id).and_then(|()| validate::task(task));
        if let Err(problem) = valid {
            return Err((TaskState::Error, Reason::TaskInvalid, problem.to_string()));
        }
        let executor =
            self.frameworks.get(framework_id).and_then(|framework| framework.executors.get(executor_id));
        match executor {
            Some(Executor { state: ExecutorState::Terminating(_), .. }) => {
                let message = "the executor is terminating".to_string();
                Err((dropped_for(framework), Reason::ExecutorTerminated, message))
            }
            Some(executor) if executor.command_executor != task.executor.is_none() => {
                let message =
                    format!("the executor id '{executor_id}' is that of another task's own executor");
                Err((TaskState::Error, Reason::TaskInvalid, message))
            }
            None if !launch_executor => {
                let message = "the executor that the task was meant for has ended".to_string();
                Err((dropped_for(framework), Reason::ExecutorTerminated, message))
            }
            _ => Ok(()),
        }
    }

    /// The agent is full: of a task that comes then it keeps nothing, and it says so once, without a uuid.
    fn turn_away(
        &mut self,
        now: Time,
        framework: &FrameworkInfo,
        framework_id: &FrameworkId,
        task: &TaskInfo,
        out: &mut Vec<Output>,
    ) {
        let state = dropped_for(framework);
        let message = format!("the agent holds {MAX_TASKS} tasks already");
        let mut status = TaskStatus::new(task.task_id.clone(), state, Source::Agent)
            .because(Reason::ContainerLaunchFailed, message);
        status.agent_id = self.id.clone();
        status.timestamp = Some(UnixTime(now.as_nanos()));
        self.count(state);
        if let Some(to) = self.master().cloned() {
            let update = StatusUpdate { framework_id: framework_id.clone(), status, latest_state: state };
            out.push(Output::ToMaster { to, call: AgentCall::Update(update) });
        }
    }

    /// The master counts a custom executor from the task that brings it: one that is not started for a refused task
    /// is told to have ended.
    fn report_no_executor(&mut self, framework_id: &FrameworkId, task: &TaskInfo, out: &mut Vec<Output>) {
        let Some(wanted) = &task.executor else { return };
        let there = self.executor(framework_id, &wanted.executor_id);
        if there.is_none_or(|there| there.command_executor) {
            self.report_executor_exit(framework_id, &wanted.executor_id, NEVER_STARTED, out);
        }
    }

    fn enter_framework(&mut self, info: FrameworkInfo, framework_id: &FrameworkId) -> &mut Framework {
        let framework = self.frameworks.entry(framework_id.clone()).or_insert_with(|| Framework {
            info: info.clone(),
            executors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            removed: false,
        });
        framework.info = info;
        framework
    }

    fn launch_executor(
        &mut self,
        now: Time,
        framework_id: &FrameworkId,
        task: TaskInfo,
        out: &mut Vec<Output>,
    ) {
        let container_id = ContainerId::from(Uuid::from_random(self.random.next_u128()).to_string());
        let command_executor = task.executor.is_none();
        let info = match &task.executor {
            Some(executor) => executor.clone(),
            None => command_executor_info(framework_id, &task),
        };
        let executor_id = info.executor_id.clone();
        let spec = self.container_spec(framework_id, &info, &task, command_executor, &container_id);
        tracing::info!(%executor_id, %framework_id, %container_id, "launching an executor");
        let executor = Executor {
            info,
            command_executor,
            container_id: container_id.clone(),
            sandbox: spec.sandbox.clone(),
            state: ExecutorState::Registering,
            os_pid: None,
            queued: VecDeque::from([Queued::Task(Box::new(task))]),
            doom: None,
        };
        let framework = self.frameworks.get_mut(framework_id).expect("the task's framework has been entered");
        framework.executors.insert(executor_id.clone(), executor);
        self.containers.insert(container_id.clone(), (framework_id.clone(), executor_id));
        let timeout = now + self.config.executor_registration_timeout;
        self.timers.set(Timer::ExecutorRegistration(container_id), timeout);
        out.push(Output::Launch(Box::new(spec)));
    }

    fn container_spec(
        &self,
        framework_id: &FrameworkId,
        info: &ExecutorInfo,
        task: &TaskInfo,
        command_executor: bool,
        container_id: &ContainerId,
    ) -> ContainerSpec {
        let agent_id = self.agent_id();
        let sandbox = PathBuf::from(format!(
            "slaves/{agent_id}/frameworks/{framework_id}/executors/{}/runs/{container_id}",
            info.executor_id
        ));
        let framework = &self.frameworks[framework_id].info;
        let own = info.command.user.clone().or_else(|| Some(framework.user.clone()));
        let user = own.filter(|user| self.config.switch_user && !user.is_empty());
        let resources = [&info.resources, &task.resources].into_iter().sum();
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

/// How a framework is told of a task that never started.
pub(super) fn dropped_for(framework: &FrameworkInfo) -> TaskState {
    match framework.can(Capability::PartitionAware) {
        true => TaskState::Dropped,
        false => TaskState::Lost,
    }
}

/// The executor that the agent makes for a command task. It runs inside the launcher: its command is never executed.
/// What it costs is not charged to the framework.
fn command_executor_info(framework_id: &FrameworkId, task: &TaskInfo) -> ExecutorInfo {
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

#[cfg(test)]
mod tests {
    use libactor::{Machine, Pid};
    use protocol::messages::AgentEvent;
    use protocol::{AgentInfo, TaskId};

    use super::super::{AgentConfig, Input};
    use super::*;

    #[test]
    fn a_full_agent_keeps_nothing_of_what_it_turns_away() {
        let (own, master): (Pid, Pid) =
            ("slave(1)@10.0.0.9:5051".parse().unwrap(), "master@10.0.0.1:5050".parse().unwrap());
        let info = AgentInfo {
            hostname: "host".into(),
            port: 5051,
            resources: "cpus:4".parse().unwrap(),
            attributes: Default::default(),
            id: None,
        };
        let mut agent = Agent::new(AgentConfig::new(own, info, ""), 1, Time::default());
        let feed = |agent: &mut Agent, event| {
            let mut out = Vec::new();
            agent.handle(Time::default(), Input::Master { from: master.clone(), event }, &mut out);
            out
        };
        agent.handle(
            Time::default(),
            Input::MasterDetected { master: Some(master.clone()) },
            &mut Vec::new(),
        );
        feed(&mut agent, AgentEvent::Registered { agent_id: "S0".into(), ping_timeout: Default::default() });
        let framework = FrameworkInfo { id: Some("F".into()), ..FrameworkInfo::new("f") };
        let task = |id: &str| {
            let executor = ExecutorInfo::new("E", CommandInfo::shell("true"));
            TaskInfo::with_executor(id, "S0".into(), "cpus:1".parse().unwrap(), executor)
        };
        let known = Task::new("F".into(), &task("t"), TaskState::Running);
        let tasks = (0..MAX_TASKS).map(|number| (TaskId::from(format!("t{number}")), known.clone()));
        agent.enter_framework(framework.clone(), &"F".into()).tasks = tasks.collect();
        let out = feed(
            &mut agent,
            AgentEvent::RunTask { framework, task: task("one more"), launch_executor: true },
        );
        let [
            Output::ToMaster { call: AgentCall::Update(update), .. },
            Output::ToMaster { call: AgentCall::ExecutorExited { .. }, .. },
        ] = out.as_slice()
        else {
            panic!("{out:?}")
        };
        assert_eq!((update.status.state, update.status.uuid), (TaskState::Lost, None));
        assert_eq!(agent.frameworks[&FrameworkId::from("F")].tasks.len(), MAX_TASKS);
        assert!(agent.streams.is_empty() && agent.containers.is_empty());
    }
}
