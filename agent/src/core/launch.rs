//! Tasks and groups of tasks arrive: their executor is found or made, and they are handed over or queued.
//!
//! Of a group all tasks go the same way: one that can't be run here takes the others with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use libactor::Time;
use protocol::messages::AgentCall;
use protocol::validate;
use protocol::{
    Capability, ContainerId, ExecutorInfo, FrameworkId, FrameworkInfo, Reason, Source, StatusUpdate, Task,
    TaskId, TaskInfo, TaskState, TaskStatus, UnixTime, Uuid,
};

use super::Output;
use super::container::command_executor_info;
use super::limits::MAX_TASKS;
use super::queue::Queued;
use super::state::{Agent, Executor, ExecutorState, Framework, Timer};
use super::updates::End;

/// What [`ExecutorExited`](protocol::messages::AgentCall::ExecutorExited) says of an executor that never started.
/// Source: Mesos.
pub(super) const NEVER_STARTED: i32 = -1;

/// Why tasks can't be run here.
pub(super) type Refused = (TaskState, Reason, String);

impl Agent {
    /// Runs a task, or tasks that belong together, of one executor.
    pub(super) fn run(
        &mut self,
        now: Time,
        framework: FrameworkInfo,
        work: Queued,
        launch_executor: bool,
        out: &mut Vec<Output>,
    ) {
        let Some((framework_id, first)) = framework.id.clone().zip(work.tasks().first()) else {
            tracing::warn!("tasks of a framework without an id ignored, or a group without tasks");
            return;
        };
        let removed = self.frameworks.get(&framework_id).is_some_and(|known| known.removed);
        if self.id.is_none() || self.leaving.is_some() || removed {
            tracing::warn!(task = %first.task_id, "task ignored: not registered, leaving, or its framework is removed");
            return;
        }
        let fresh: Vec<&TaskInfo> =
            work.tasks().iter().filter(|task| !self.knows(&framework_id, &task.task_id)).collect();
        if fresh.is_empty() {
            tracing::warn!(task = %first.task_id, "task ignored: it is known already");
            return;
        }
        let executor = first.executor.clone().filter(|_| launch_executor);
        if self.frameworks.values().map(|framework| framework.tasks.len()).sum::<usize>() + fresh.len()
            > MAX_TASKS
        {
            for task in fresh {
                self.turn_away(now, &framework, &framework_id, task, out);
            }
            return self.report_no_executor(&framework_id, executor, out);
        }
        if let Err(why) = self.refuses(&framework, &framework_id, &work, fresh.len(), launch_executor) {
            let fresh = fresh.into_iter().cloned().collect();
            self.refuse(now, framework, &framework_id, fresh, why, out);
            return self.report_no_executor(&framework_id, executor, out);
        }
        let executor_id = first.executor_id();
        let framework = self.enter_framework(framework, &framework_id);
        for task in work.tasks() {
            let record = Task::new(framework_id.clone(), task, TaskState::Staging);
            framework.enter(record);
        }
        self.keep_work(&framework_id, &work);
        self.drained_for = None;
        match self.executor(&framework_id, &executor_id).map(|executor| executor.container_id.clone()) {
            Some(container_id) => self.give(&container_id, work, out),
            None => self.launch_first(now, &framework_id, work, out),
        }
    }

    /// Gives work to an executor that is there: at once if it can be told.
    fn give(&mut self, container_id: &ContainerId, work: Queued, out: &mut Vec<Output>) {
        self.allot(container_id, out);
        let Some(executor) = self.executor_mut(container_id) else { return };
        match executor.state.pid().cloned() {
            Some(to) => {
                out.push(Output::ToExecutor { to, event: work.clone().into_event() });
                executor.handed.push_back(work);
            }
            None => executor.queued.push_back(work),
        }
    }

    /// Whether a task is here, or something of it that is not acknowledged.
    fn knows(&self, framework_id: &FrameworkId, task_id: &TaskId) -> bool {
        let known = self.frameworks.get(framework_id);
        known.is_some_and(|known| known.tasks.contains_key(task_id))
            || self.streams.contains_key(&(framework_id.clone(), task_id.clone()))
    }

    /// Why tasks can't be run here. `fresh` of them are not known.
    fn refuses(
        &self,
        framework: &FrameworkInfo,
        framework_id: &FrameworkId,
        work: &Queued,
        fresh: usize,
        launch_executor: bool,
    ) -> Result<(), Refused> {
        valid(framework_id, work, fresh)?;
        if self.drain.is_some() {
            let message = "the agent is being drained: it runs no other tasks".to_owned();
            return Err((dropped_for(framework), Reason::AgentDraining, message));
        }
        let first = &work.tasks()[0];
        let executor_id = first.executor_id();
        match self.executor(framework_id, &executor_id) {
            Some(Executor { state: ExecutorState::Terminating(_), .. }) => {
                let message = "the executor is terminating".to_string();
                Err((dropped_for(framework), Reason::ExecutorTerminated, message))
            }
            Some(executor) if executor.command_executor != first.executor.is_none() => {
                let message =
                    format!("the executor id '{executor_id}' is that of another task's own executor");
                Err((TaskState::Error, Reason::TaskInvalid, message))
            }
            None if !launch_executor => {
                let message = "the executor that the task was meant for has ended".to_string();
                Err((dropped_for(framework), Reason::ExecutorTerminated, message))
            }
            known => self.fits(framework, work, known.is_none()),
        }
    }

    /// A refused task is known, as ended, until the framework has acknowledged it.
    fn refuse(
        &mut self,
        now: Time,
        framework: FrameworkInfo,
        framework_id: &FrameworkId,
        tasks: Vec<TaskInfo>,
        (state, reason, message): Refused,
        out: &mut Vec<Output>,
    ) {
        let framework = self.enter_framework(framework, framework_id);
        for task in &tasks {
            let record = Task::new(framework_id.clone(), task, TaskState::Staging);
            framework.enter(record);
        }
        for task in &tasks {
            self.keep_task(framework_id, &task.task_id);
        }
        for task_id in tasks.iter().map(|task| &task.task_id).collect::<BTreeSet<_>>() {
            self.report_end(now, framework_id, task_id, End::new(state, reason, &message), out);
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
    fn report_no_executor(
        &mut self,
        framework_id: &FrameworkId,
        wanted: Option<ExecutorInfo>,
        out: &mut Vec<Output>,
    ) {
        let Some(wanted) = wanted else { return };
        let there = self.executor(framework_id, &wanted.executor_id);
        if there.is_none_or(|there| there.command_executor) {
            self.report_executor_exit(framework_id, &wanted.executor_id, NEVER_STARTED, out);
        }
    }

    fn enter_framework(&mut self, info: FrameworkInfo, framework_id: &FrameworkId) -> &mut Framework {
        if !self.frameworks.contains_key(framework_id) {
            let framework = Framework {
                info: info.clone(),
                executors: BTreeMap::new(),
                tasks: BTreeMap::new(),
                completed_executors: self.recall(framework_id),
                removed: false,
            };
            self.frameworks.insert(framework_id.clone(), framework);
            self.keep_framework(framework_id);
        }
        self.take_framework_info(framework_id, info);
        self.frameworks.get_mut(framework_id).expect("it is there now")
    }

    /// Launches the executor that its first work brings.
    fn launch_first(&mut self, now: Time, framework_id: &FrameworkId, work: Queued, out: &mut Vec<Output>) {
        let first = &work.tasks()[0];
        let command_executor = first.executor.is_none();
        let info = match &first.executor {
            Some(executor) => executor.clone(),
            None => command_executor_info(framework_id, first),
        };
        let run = Run { info, command_executor, queued: VecDeque::from([work]), relaunched: false };
        self.launch_executor(now, framework_id, run, out);
    }

    /// Launches an executor for work that waits.
    pub(super) fn launch_executor(
        &mut self,
        now: Time,
        framework_id: &FrameworkId,
        run: Run,
        out: &mut Vec<Output>,
    ) {
        let container_id = ContainerId::from(Uuid::from_random(self.random.next_u128()).to_string());
        let Run { info, command_executor, queued, relaunched } = run;
        let executor_id = info.executor_id.clone();
        let live = queued.iter().flat_map(Queued::tasks).map(|task| &task.resources).collect();
        let spec = self.container_spec(framework_id, &info, &queued, &container_id);
        tracing::info!(%executor_id, %framework_id, %container_id, "launching an executor");
        let executor = Executor {
            info,
            command_executor,
            container_id: container_id.clone(),
            sandbox: spec.sandbox.clone(),
            state: ExecutorState::Registering,
            os_pid: None,
            queued,
            completed_tasks: VecDeque::new(),
            doom: None,
            subscribed: false,
            relaunched,
            handed: VecDeque::new(),
            kills: BTreeMap::new(),
            patience: Duration::ZERO,
            live,
            allotted: spec.resources.clone(),
        };
        let framework = self.frameworks.get_mut(framework_id).expect("the task's framework has been entered");
        framework.executors.insert(executor_id.clone(), executor);
        self.containers.insert(container_id.clone(), (framework_id.clone(), executor_id));
        self.keep_executor(&container_id);
        let timeout = now + self.config.executor_registration_timeout;
        self.timers.set(Timer::ExecutorRegistration(container_id), timeout);
        out.push(Output::Launch(Box::new(spec)));
    }
}

/// A run of an executor that is to be launched.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) info: ExecutorInfo,
    pub(super) command_executor: bool,
    pub(super) queued: VecDeque<Queued>,
    pub(super) relaunched: bool,
}

/// Whether tasks are what they must be, each and together.
fn valid(framework_id: &FrameworkId, work: &Queued, fresh: usize) -> Result<(), Refused> {
    let reason = match work {
        Queued::Task(_) => Reason::TaskInvalid,
        Queued::Group(_) => Reason::TaskGroupInvalid,
    };
    let invalid = |message: String| (TaskState::Error, reason, message);
    validate::framework_id(framework_id).map_err(|problem| invalid(problem.to_string()))?;
    for task in work.tasks() {
        validate::task(task).map_err(|problem| match work {
            Queued::Task(_) => invalid(problem.to_string()),
            Queued::Group(_) => invalid(format!("Task '{}' is invalid: {problem}", task.task_id)),
        })?;
    }
    if let Queued::Group(tasks) = work {
        let ids: BTreeSet<_> = tasks.iter().map(|task| &task.task_id).collect();
        if ids.len() < tasks.len() || fresh < tasks.len() {
            return Err(invalid(
                "a task of the group is there twice, or is known to the agent already".into(),
            ));
        }
    }
    Ok(())
}

/// How a framework is told of a task that never started.
pub(super) fn dropped_for(framework: &FrameworkInfo) -> TaskState {
    match framework.can(Capability::PartitionAware) {
        true => TaskState::Dropped,
        false => TaskState::Lost,
    }
}

#[cfg(test)]
mod tests {
    use libactor::detect::Leader;
    use libactor::{Machine, Pid};
    use protocol::messages::AgentEvent;
    use protocol::{AgentInfo, CommandInfo};

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
        let mut agent = Agent::begun(AgentConfig::new(own, info, ""), 1);
        let feed = |agent: &mut Agent, event| {
            let mut out = Vec::new();
            agent.handle(Time::default(), Input::Master { from: master.clone(), event }, &mut out);
            out
        };
        agent.handle(
            Time::default(),
            Input::MasterDetected { master: Some(Leader { pid: master.clone(), epoch: 1 }) },
            &mut Vec::new(),
        );
        feed(&mut agent, AgentEvent::Registered { agent_id: "S0".into(), ping_timeout: Default::default() });
        agent.handle(Time::default(), Input::Checkpointed { number: 1 }, &mut Vec::new());
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
