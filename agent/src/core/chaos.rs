//! Random worlds around the machine: whatever comes, its invariants hold; once the world behaves, everything ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libactor::detect::Leader;
use libactor::{Machine, Pid, Random, Time};
use protocol::messages::{AgentCall, AgentEvent, ExecutorCall, ExecutorCallKind, ExecutorEvent};
use protocol::{
    AgentInfo, CommandInfo, ContainerId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Reason,
    Source, TaskId, TaskInfo, TaskState, TaskStatus, Uuid,
};

use super::{Agent, AgentConfig, Ask, ContainerEnd, Input, Output};

const SEEDS: u64 = 300;
const STEPS: usize = 300;

/// A container as the world sees it.
struct Container {
    framework_id: FrameworkId,
    executor_id: ExecutorId,
    launched: bool,
    pid: Pid,
    /// Whether it speaks HTTP; its stream, while it has one.
    http: bool,
    stream: Option<Pid>,
    /// Tasks that were handed over, and the state last reported.
    tasks: BTreeMap<TaskId, TaskState>,
}

struct World {
    agent: Agent,
    now: Time,
    random: Random,
    master: Pid,
    containers: BTreeMap<ContainerId, Container>,
    /// Updates that came to the master and are not acknowledged.
    unacknowledged: BTreeSet<(FrameworkId, TaskId, Uuid)>,
    /// The last state that the master heard of each task of a framework that is not removed.
    heard: BTreeMap<(FrameworkId, TaskId), TaskState>,
    asked: BTreeSet<(FrameworkId, TaskId)>,
    /// Why tasks ended.
    reasons: BTreeSet<Reason>,
    next_task: usize,
    next_pid: usize,
    next_ask: u64,
    /// How the last call over HTTP was answered.
    answer: Option<(Ask, bool)>,
    terminated: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let pid: Pid = "slave(1)@10.0.0.9:5051".parse().unwrap();
        let info = AgentInfo {
            hostname: "host".into(),
            port: 5051,
            resources: "cpus:4".parse().unwrap(),
            attributes: Default::default(),
            id: None,
        };
        Self {
            agent: Agent::new(AgentConfig::new(pid, info, "0"), seed, Time::default()),
            now: Time::default(),
            random: Random::new(seed),
            master: "master@10.0.0.1:5050".parse().unwrap(),
            containers: BTreeMap::new(),
            unacknowledged: BTreeSet::new(),
            heard: BTreeMap::new(),
            asked: BTreeSet::new(),
            reasons: BTreeSet::new(),
            next_task: 0,
            next_pid: 0,
            next_ask: 0,
            answer: None,
            terminated: false,
        }
    }

    fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.agent.handle(self.now, input, &mut out);
        self.agent.check();
        self.carry_out(out);
    }

    fn master(&mut self, event: AgentEvent) {
        self.feed(Input::Master { from: self.master.clone(), event });
    }

    fn advance(&mut self, duration: Duration) {
        self.now = self.now + duration;
        let mut out = Vec::new();
        self.agent.tick(self.now, &mut out);
        self.agent.check();
        self.carry_out(out);
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::ToMaster { call: AgentCall::Update(update), .. } => {
                    let key = (update.framework_id.clone(), update.status.task_id.clone());
                    let state = update.status.state;
                    if let Some(before) = self.heard.get(&key) {
                        assert!(*before == state || before.may_become(state), "{before} -> {state}");
                    }
                    self.heard.insert(key.clone(), state);
                    self.reasons.extend(update.status.reason);
                    self.unacknowledged.insert((key.0, key.1, update.status.uuid.unwrap()));
                }
                Output::Launch(spec) => {
                    self.next_pid += 1;
                    let container = Container {
                        framework_id: spec.framework_id,
                        executor_id: spec.executor.executor_id,
                        launched: false,
                        pid: format!("executor({})@127.0.0.1:9000", self.next_pid).parse().unwrap(),
                        http: self.random.chance(500),
                        stream: None,
                        tasks: BTreeMap::new(),
                    };
                    assert!(self.containers.insert(spec.container_id, container).is_none());
                }
                Output::ToExecutor { to, event: ExecutorEvent::Launch(task) } => {
                    self.handed_over(&to, vec![task]);
                }
                Output::ToExecutor { to, event: ExecutorEvent::LaunchGroup(tasks) } => {
                    assert!(tasks.len() > 1, "a group stays together");
                    self.handed_over(&to, tasks);
                }
                Output::Unlink { pid } => {
                    for container in
                        self.containers.values_mut().filter(|one| one.stream.as_ref() == Some(&pid))
                    {
                        container.stream = None;
                    }
                }
                Output::Answer { ask, answer } => {
                    assert_eq!(self.answer.replace((ask, answer.is_ok())), None, "one answer");
                }
                Output::Checkpoint(_) | Output::Recover { .. } | Output::Update { .. } => {}
                Output::Terminate { .. } => self.terminated = true,
                _ => {}
            }
        }
    }

    fn handed_over(&mut self, to: &Pid, tasks: Vec<TaskInfo>) {
        let is_it =
            |container: &&mut Container| container.pid == *to || container.stream.as_ref() == Some(to);
        let found = self.containers.values_mut().find(is_it);
        let container = found.expect("a task is given to a living executor");
        for task in tasks {
            let before = container.tasks.insert(task.task_id, TaskState::Staging);
            assert_eq!(before, None, "a task is handed over once");
        }
    }

    fn framework(&mut self) -> (String, FrameworkInfo) {
        let number = self.random.below(3);
        let name = format!("F{number}");
        let mut framework = FrameworkInfo::new(name.clone());
        framework.id = Some(FrameworkId::from(name.clone()));
        framework.checkpoint = number == 0;
        (name, framework)
    }

    fn run_group(&mut self) {
        let (name, framework) = self.framework();
        let executor = ExecutorInfo::new(format!("E{}", self.random.below(2)), CommandInfo::shell("x"));
        let mut tasks = Vec::new();
        for _ in 0..2 + self.random.below(3) {
            self.next_task += 1;
            let task_id = format!("T{}", self.next_task);
            self.asked.insert((name.clone().into(), task_id.clone().into()));
            let resources = "cpus:0.1".parse().unwrap();
            tasks.push(TaskInfo::with_executor(task_id, "S".into(), resources, executor.clone()));
        }
        self.master(AgentEvent::RunTaskGroup { framework, executor, tasks, launch_executor: true });
    }

    fn run_task(&mut self) {
        self.next_task += 1;
        let (name, framework) = self.framework();
        let resources = "cpus:0.1".parse().unwrap();
        let task_id = format!("T{}", self.next_task);
        let task = match self.random.below(2) {
            0 => TaskInfo::command(task_id.clone(), "S".into(), resources, CommandInfo::shell("true")),
            _ => {
                let executor =
                    ExecutorInfo::new(format!("E{}", self.random.below(2)), CommandInfo::shell("x"));
                TaskInfo::with_executor(task_id.clone(), "S".into(), resources, executor)
            }
        };
        self.asked.insert((name.into(), task_id.into()));
        self.master(AgentEvent::RunTask { framework, task, launch_executor: true });
    }

    fn some_container(&mut self) -> Option<ContainerId> {
        let count = self.containers.len() as u64;
        let at = if count == 0 { return None } else { self.random.below(count) as usize };
        self.containers.keys().nth(at).cloned()
    }

    fn call(&mut self, id: &ContainerId, call: ExecutorCallKind) {
        let container = &self.containers[id];
        let call = ExecutorCall {
            framework_id: container.framework_id.clone(),
            executor_id: container.executor_id.clone(),
            container_id: id.clone(),
            call,
        };
        self.feed(Input::Executor { from: container.pid.clone(), call });
    }

    /// Calls over HTTP; says whether it was taken.
    fn call_http(&mut self, id: &ContainerId, stream: Option<Pid>, call: ExecutorCallKind) -> bool {
        let container = &self.containers[id];
        self.next_ask += 1;
        let ask = Ask(self.next_ask);
        let (framework_id, executor_id) = (container.framework_id.clone(), container.executor_id.clone());
        self.feed(Input::Call { ask, framework_id, executor_id, stream, call });
        let (answered, taken) = self.answer.take().expect("every call is answered");
        assert_eq!(answered, ask);
        taken
    }

    fn subscribe(&mut self, id: &ContainerId) {
        let updates = Vec::new();
        if !self.containers[id].http {
            return self.call(id, ExecutorCallKind::Subscribe { tasks: Vec::new(), updates });
        }
        self.next_pid += 1;
        let stream = Pid::stream(&format!("s{}", self.next_pid), "10.0.0.9:5051".parse().unwrap());
        let container = self.containers.get_mut(id).unwrap();
        let unspoken = container.tasks.iter().filter(|(_, state)| **state == TaskState::Staging);
        let task = |id: &TaskId| {
            TaskInfo::command(id.clone(), "S".into(), Default::default(), CommandInfo::shell(""))
        };
        let tasks = unspoken.map(|(id, _)| task(id)).collect();
        let before = container.stream.replace(stream.clone());
        if !self.call_http(id, Some(stream), ExecutorCallKind::Subscribe { tasks, updates }) {
            self.containers.get_mut(id).unwrap().stream = before;
        }
    }

    /// Its connection breaks; of what was last told some never came.
    fn disconnect(&mut self, id: &ContainerId) {
        let forgets = self.random.chance(300);
        let container = self.containers.get_mut(id).unwrap();
        if !container.http {
            let pid = container.pid.clone();
            return self.feed(Input::Exited { pid });
        }
        if forgets {
            container.tasks.retain(|_, state| *state != TaskState::Staging);
        }
        if let Some(pid) = container.stream.take() {
            self.feed(Input::Exited { pid });
        }
    }

    fn step_container(&mut self) {
        let Some(id) = self.some_container() else { return };
        if !self.containers[&id].launched {
            let fails = self.random.chance(200);
            let result = if fails { Err("no".to_string()) } else { Ok(1) };
            if fails {
                self.containers.remove(&id);
            } else {
                self.containers.get_mut(&id).unwrap().launched = true;
            }
            return self.feed(Input::Launched { container_id: id, result });
        }
        match self.random.below(10) {
            0..3 => self.subscribe(&id),
            3..8 => self.update(&id),
            8 => self.disconnect(&id),
            _ => self.exit(&id),
        }
    }

    fn exit(&mut self, id: &ContainerId) {
        self.containers.remove(id);
        self.feed(Input::ContainerExited { container_id: id.clone(), end: ContainerEnd::with_status(1) });
    }

    fn update(&mut self, id: &ContainerId) {
        use TaskState::*;
        let tasks: Vec<TaskId> = self.containers[id].tasks.keys().cloned().collect();
        if tasks.is_empty() {
            return;
        }
        let task_id = tasks[self.random.below(tasks.len() as u64) as usize].clone();
        let state = [Starting, Running, Killing, Finished, Killed, Unknown][self.random.below(6) as usize];
        let mut status = TaskStatus::new(task_id.clone(), state, Source::Executor);
        if self.random.chance(700) {
            status.uuid = Some(Uuid::from_random(self.random.next_u128()));
        }
        // Some lose their way.
        match self.containers[id].http != self.random.chance(50) {
            true => {
                let has_uuid = status.uuid.is_some();
                let taken = self.call_http(id, None, ExecutorCallKind::Update(status));
                assert!(has_uuid || !taken);
                if taken {
                    self.containers.get_mut(id).unwrap().tasks.insert(task_id, state);
                }
            }
            false => self.call(id, ExecutorCallKind::Update(status)),
        }
    }

    fn acknowledge(&mut self) {
        let count = self.unacknowledged.len() as u64;
        if count == 0 {
            return;
        }
        let at = self.random.below(count) as usize;
        let (framework_id, task_id, uuid) = self.unacknowledged.iter().nth(at).cloned().unwrap();
        self.unacknowledged.remove(&(framework_id.clone(), task_id.clone(), uuid));
        let key = (framework_id.clone(), task_id.clone());
        let outstanding = !self.unacknowledged.iter().any(|other| (&other.0, &other.1) == (&key.0, &key.1));
        if outstanding && self.heard.get(&key).is_some_and(|state| state.is_terminal()) {
            // Over: who asks again hears that it is unknown.
            self.heard.remove(&key);
            self.asked.remove(&key);
        }
        self.master(AgentEvent::Acknowledge { framework_id, task_id, uuid });
    }

    fn register(&mut self) {
        let ping_timeout = Duration::from_secs(75);
        let agent_id = "S".into();
        match self.agent.id() {
            None => self.master(AgentEvent::Registered { agent_id, ping_timeout }),
            Some(_) => {
                let asked = self.asked.iter().filter(|key| !self.heard.contains_key(*key));
                let reconcile = asked.take(3).cloned().collect();
                self.master(AgentEvent::Reregistered { agent_id, ping_timeout, reconcile });
            }
        }
    }

    fn step(&mut self) {
        let framework_id = FrameworkId::from(format!("F{}", self.random.below(3)));
        match self.random.below(100) {
            0..12 => self.run_task(),
            12..15 => self.run_group(),
            15..55 => self.step_container(),
            55..75 => self.acknowledge(),
            75..80 => self.register(),
            80..84 => {
                let connected = self.random.chance(800);
                self.master(AgentEvent::Ping { connected });
            }
            84..90 => {
                let task_id = TaskId::from(format!("T{}", self.random.below(self.next_task as u64 + 2)));
                self.master(AgentEvent::KillTask { framework_id, task_id, kill_policy: None });
            }
            90..92 => {
                let executor_id = ExecutorId::from(format!("E{}", self.random.below(2)));
                self.master(AgentEvent::ShutdownExecutor { framework_id, executor_id });
            }
            92 => {
                self.heard.retain(|key, _| key.0 != framework_id);
                self.asked.retain(|key| key.0 != framework_id);
                self.master(AgentEvent::ShutdownFramework { framework_id });
            }
            93 => self.feed(Input::Exited { pid: self.master.clone() }),
            _ => {
                let millis = self.random.below(20_000);
                self.advance(Duration::from_millis(millis));
            }
        }
    }

    /// From now on containers exit, the master answers and frameworks acknowledge.
    fn settle(&mut self) {
        self.feed(Input::MasterDetected { master: Some(Leader { pid: self.master.clone(), epoch: 1 }) });
        self.register();
        while let Some(id) = self.containers.keys().next().cloned() {
            if self.containers[&id].launched {
                self.exit(&id);
            } else {
                self.containers.get_mut(&id).unwrap().launched = true;
                self.feed(Input::Launched { container_id: id, result: Ok(1) });
            }
        }
        for _ in 0..1000 {
            self.advance(Duration::from_secs(15));
            self.master(AgentEvent::Ping { connected: true });
            self.register();
            while !self.unacknowledged.is_empty() {
                self.acknowledge();
            }
            if self.agent.pending_updates() == 0 {
                return;
            }
        }
        panic!("updates remain");
    }
}

#[test]
fn whatever_comes_the_invariants_hold_and_all_ends() {
    let mut reasons = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.feed(Input::MasterDetected { master: Some(Leader { pid: world.master.clone(), epoch: 1 }) });
        for _ in 0..STEPS {
            world.step();
        }
        world.settle();
        assert!(world.agent.frameworks().is_empty(), "seed {seed}: nothing is left");
        let open = world.heard.iter().find(|(_, state)| !state.is_terminal());
        assert_eq!(open, None, "seed {seed}: every task that was heard of has ended");
        assert!(!world.terminated, "seed {seed}");
        world.feed(Input::Leave);
        assert!(world.terminated, "seed {seed}: an agent with nothing leaves at once");
        reasons.append(&mut world.reasons);
    }
    for reason in [
        Reason::AgentRestarted,
        Reason::ExecutorReregistrationTimeout,
        Reason::ExecutorRegistrationTimeout,
        Reason::TaskKilledDuringLaunch,
    ] {
        assert!(reasons.contains(&reason), "{reason}: the worlds are wild enough");
    }
}
