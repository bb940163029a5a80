use libactor::detect::Leader;
use libactor::{Machine, Pid, Time};
use protocol::messages::{AgentCall, AgentEvent, ExecutorCallKind};
use protocol::{AgentInfo, CommandInfo, Source, TaskInfo, TaskState, TaskStatus, Uuid};

use super::super::{AgentConfig, Ask, Input};
use super::*;

/// An agent whose updates are acknowledged at once.
pub(in super::super) struct World {
    pub(in super::super) agent: Agent,
    master: Pid,
    launched: Option<ContainerId>,
    /// Runs that were forgotten, and whether each was the last of its executor.
    forgotten: Vec<(ContainerId, bool)>,
    next: u128,
}

impl World {
    pub(in super::super) fn new() -> Self {
        let (own, master): (Pid, Pid) =
            ("slave(1)@10.0.0.9:5051".parse().unwrap(), "master@10.0.0.1:5050".parse().unwrap());
        let resources = "cpus:4".parse().unwrap();
        let attributes = Default::default();
        let info = AgentInfo { hostname: "host".into(), port: 5051, resources, attributes, id: None };
        let agent = Agent::begun(AgentConfig::new(own, info, ""), 1);
        let mut world =
            Self { agent, master: master.clone(), launched: None, forgotten: Vec::new(), next: 0 };
        world.feed(Input::MasterDetected { master: Some(Leader { pid: master, epoch: 1 }) });
        world.master(AgentEvent::Registered { agent_id: "S".into(), ping_timeout: Default::default() });
        world
    }

    pub(in super::super) fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.agent.handle(Time::default(), input, &mut out);
        for output in out {
            match output {
                Output::Checkpoint(batch) => self.feed(Input::Checkpointed { number: batch.number }),
                Output::Launch(spec) => self.launched = Some(spec.container_id),
                Output::Forget { container_id, last, .. } => self.forgotten.push((container_id, last)),
                Output::ToMaster { call: AgentCall::Update(update), .. } => {
                    let (framework_id, task_id) = (update.framework_id, update.status.task_id);
                    let uuid = update.status.uuid.unwrap();
                    self.master(AgentEvent::Acknowledge { framework_id, task_id, uuid });
                }
                _ => {}
            }
        }
    }

    pub(in super::super) fn master(&mut self, event: AgentEvent) {
        self.feed(Input::Master { from: self.master.clone(), event });
    }

    /// Runs a task of an executor; its container, where it is a new one.
    pub(in super::super) fn run(
        &mut self,
        framework_id: &str,
        executor_id: &str,
    ) -> (TaskId, Option<ContainerId>) {
        self.next += 1;
        let task_id = TaskId::from(format!("t{}", self.next));
        let framework = FrameworkInfo { id: Some(framework_id.into()), ..FrameworkInfo::new("f") };
        let executor = ExecutorInfo::new(executor_id, CommandInfo::shell("true"));
        let task =
            TaskInfo::with_executor(task_id.clone(), "S".into(), "cpus:0.1".parse().unwrap(), executor);
        self.master(AgentEvent::RunTask { framework, task, launch_executor: true });
        (task_id, self.launched.take())
    }

    /// An executor that never gets to its task.
    fn run_and_end(&mut self, framework_id: &str, executor_id: &str) -> ContainerId {
        let container_id = self.run(framework_id, executor_id).1.expect("a new one is launched");
        self.feed(Input::Launched { container_id: container_id.clone(), result: Err("no".into()) });
        container_id
    }

    fn run_and_finish(&mut self, framework_id: &str, executor_id: &str) -> TaskId {
        let (task_id, launched) = self.run(framework_id, executor_id);
        let call = |call| Input::Call {
            ask: Ask(0),
            framework_id: framework_id.into(),
            executor_id: executor_id.into(),
            stream: Some(Pid::stream(
                &format!("{framework_id}/{executor_id}"),
                "10.0.0.9:5051".parse().unwrap(),
            )),
            call,
        };
        if launched.is_some() {
            self.feed(call(ExecutorCallKind::Subscribe { tasks: Vec::new(), updates: Vec::new() }));
        }
        let mut status = TaskStatus::new(task_id.clone(), TaskState::Finished, Source::Executor);
        status.uuid = Some(Uuid::from_random(self.next));
        self.feed(call(ExecutorCallKind::Update(status)));
        task_id
    }
}

#[test]
fn each_ring_keeps_the_newest() {
    let mut world = World::new();
    let first = world.run_and_end("F", "e");
    let runs: Vec<ContainerId> =
        (0..MAX_COMPLETED_EXECUTORS_PER_FRAMEWORK).map(|_| world.run_and_end("F", "e")).collect();
    assert_eq!(world.forgotten, [(first, false)], "a newer run of the executor is known");
    let over = world.agent.completed_frameworks().front().unwrap();
    let kept = over.completed_executors.iter();
    assert!(kept.map(|over| &over.container_id).eq(&runs), "a framework that comes back has its history");
    assert!(over.completed_executors.iter().all(|over| over.completed_tasks.len() == 1));
    world.agent.check();
    world.forgotten.clear();
    for number in 0..MAX_COMPLETED_FRAMEWORKS {
        world.run_and_end(&format!("G{number}"), "e");
    }
    assert_eq!(world.agent.completed_frameworks().len(), MAX_COMPLETED_FRAMEWORKS);
    assert!(world.forgotten.iter().map(|(id, _)| id).eq(&runs), "the oldest framework is forgotten");
    assert_eq!(world.forgotten.iter().filter(|(_, last)| *last).count(), 1);
    assert!(world.forgotten.last().unwrap().1);
    world.agent.check();

    let tasks: Vec<TaskId> =
        (0..=MAX_COMPLETED_TASKS_PER_EXECUTOR).map(|_| world.run_and_finish("H", "e")).collect();
    let executor = &world.agent.frameworks()[&FrameworkId::from("H")].executors[&ExecutorId::from("e")];
    assert!(executor.completed_tasks.iter().map(|task| &task.task_id).eq(&tasks[1..]));
    world.agent.check();
}

#[test]
fn all_rings_together_are_bounded() {
    let mut world = World::new();
    for framework in 0..=MAX_COMPLETED_EXECUTORS / MAX_COMPLETED_EXECUTORS_PER_FRAMEWORK {
        let framework_id = format!("F{framework}");
        world.run(&framework_id, "stays");
        for _ in 0..MAX_COMPLETED_EXECUTORS_PER_FRAMEWORK {
            world.run_and_end(&framework_id, "e");
        }
    }
    assert_eq!(world.agent.history.executors, MAX_COMPLETED_EXECUTORS);
    assert!(!world.forgotten.is_empty());
    world.agent.check();

    let mut world = World::new();
    for executor in 0..=MAX_COMPLETED_TASKS / MAX_COMPLETED_TASKS_PER_EXECUTOR {
        for _ in 0..MAX_COMPLETED_TASKS_PER_EXECUTOR {
            world.run_and_finish("F", &format!("e{executor}"));
        }
    }
    assert_eq!(world.agent.history.tasks, MAX_COMPLETED_TASKS);
    world.agent.check();
}

/// An end that is not acknowledged is shown with the run that the task was of, whatever runs meanwhile.
#[test]
fn a_task_stays_with_its_run() {
    let mut world = World::new();
    world.feed(Input::Exited { pid: world.master.clone() });
    let (task_id, old) = world.run("F", "e");
    world.feed(Input::Launched { container_id: old.unwrap(), result: Err("no".into()) });
    let (other, _) = world.run("F", "e");
    let framework = &world.agent.frameworks()[&FrameworkId::from("F")];
    let (over, executor) = (&framework.completed_executors[0], &framework.executors[&ExecutorId::from("e")]);
    assert!(framework.unacknowledged_of(over).map(|task| &task.task_id).eq([&task_id]));
    assert!(framework.tasks_of(executor).map(|task| &task.task_id).eq([&other]));
    world.agent.check();
    // The master is back: it is told, and acknowledges.
    let reconcile = Vec::new();
    world.master(AgentEvent::Reregistered {
        agent_id: "S".into(),
        ping_timeout: Default::default(),
        reconcile,
    });
    let over = &world.agent.frameworks()[&FrameworkId::from("F")].completed_executors[0];
    assert!(over.completed_tasks.iter().map(|task| &task.task_id).eq([&task_id]));
    assert!(over.unacknowledged.is_empty());
    world.agent.check();
}
