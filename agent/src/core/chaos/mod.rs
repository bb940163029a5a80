//! Random worlds around the machine: whatever comes, its invariants hold; once the world behaves, everything ends.
//!
//! The agent's process ends now and then, and with it what was not durable. Executors of the framework that checkpoints live
//! on. What an executor was told to be held is told as the executor said it; a task comes to one executor, once.

mod crash;
mod executors;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use libactor::detect::Leader;
use libactor::{Machine, Pid, Random, Time};
use protocol::messages::{AgentCall, AgentEvent, ExecutorEvent};
use protocol::{
    AgentInfo, CommandInfo, ContainerId, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Reason,
    TaskId, TaskInfo, TaskState, TaskStatus, Uuid,
};

use super::checkpoint::{Batch, Records};
use super::{Agent, AgentConfig, Ask, Input, Output};

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
    /// Updates that the agent has not acknowledged.
    unacknowledged: Vec<TaskStatus>,
}

struct World {
    seed: u64,
    agent: Agent,
    /// What is durable, and what is not yet.
    records: Records,
    batches: VecDeque<Batch>,
    /// Whether what is to be durable is so at once.
    fast: bool,
    /// Containers that were named and are not found yet.
    lost: Option<Vec<ContainerId>>,
    crashes: usize,
    /// How tasks ended by the word of an executor that was told that the agent holds it.
    ends: BTreeMap<(FrameworkId, TaskId), TaskState>,
    /// Which container a task was handed over to.
    handed: BTreeMap<(FrameworkId, TaskId), ContainerId>,
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
            seed,
            agent: Agent::begun(AgentConfig::new(pid, info, "0"), seed),
            records: Records::default(),
            batches: VecDeque::new(),
            fast: true,
            lost: None,
            crashes: 0,
            ends: BTreeMap::new(),
            handed: BTreeMap::new(),
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
        if self.fast || self.random.chance(300) {
            self.write();
        }
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
        self.write();
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
                    if let Some(end) = self.ends.get(&key).filter(|_| state.is_terminal()) {
                        assert_eq!(*end, state, "seed {}: {} has ended as it ended", self.seed, key.1);
                    }
                    // What waited for the disk may come after its framework was removed.
                    if self.asked.contains(&key) || state.is_terminal() {
                        self.heard.insert(key.clone(), state);
                    }
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
                        unacknowledged: Vec::new(),
                    };
                    assert!(self.containers.insert(spec.container_id, container).is_none());
                }
                Output::ToExecutor { to, event: ExecutorEvent::Launch(task) } => {
                    self.handed_over(&to, vec![task]);
                }
                Output::ToExecutor { to, event: ExecutorEvent::LaunchGroup(tasks) } => {
                    // Executors of this world may lose a part of what they were told.
                    let again = |task: &TaskInfo| self.handed.keys().any(|key| key.1 == task.task_id);
                    assert!(tasks.len() > 1 || tasks.iter().all(again), "a group stays together");
                    self.handed_over(&to, tasks);
                }
                Output::ToExecutor { to, event: ExecutorEvent::Acknowledged { task_id, uuid } } => {
                    self.held_by_agent(&to, &task_id, uuid);
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
                Output::Checkpoint(batch) => self.batches.push_back(batch),
                Output::Recover { containers, .. } => self.lost = Some(containers),
                Output::Terminate { .. } => self.terminated = true,
                _ => {}
            }
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
            self.ends.remove(&key);
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
                self.ends.retain(|key, _| key.0 != framework_id);
                self.asked.retain(|key| key.0 != framework_id);
                self.master(AgentEvent::ShutdownFramework { framework_id });
            }
            93 => self.feed(Input::Exited { pid: self.master.clone() }),
            94 => self.write(),
            95 => self.crash(),
            96 => self.find(),
            _ => {
                let millis = self.random.below(20_000);
                self.advance(Duration::from_millis(millis));
            }
        }
    }

    /// From now on containers exit, the master answers and frameworks acknowledge.
    fn settle(&mut self) {
        self.fast = true;
        self.write();
        self.find();
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
            let unheard = self.asked.iter().any(|key| !self.heard.contains_key(key));
            if self.agent.pending_updates() == 0 && !unheard {
                return;
            }
        }
        panic!("updates remain");
    }
}

#[test]
fn whatever_comes_the_invariants_hold_and_all_ends() {
    let mut reasons = BTreeSet::new();
    let mut crashes = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        world.feed(Input::MasterDetected { master: Some(Leader { pid: world.master.clone(), epoch: 1 }) });
        world.fast = seed % 3 == 0;
        for _ in 0..STEPS {
            world.step();
            // What is not durable yet is best lost now.
            if !world.batches.is_empty() && world.random.chance(50) {
                world.crash();
            }
        }
        world.settle();
        assert!(world.agent.frameworks().is_empty(), "seed {seed}: nothing is left");
        let open = world.heard.iter().find(|(_, state)| !state.is_terminal());
        assert_eq!(open, None, "seed {seed}: every task that was heard of has ended");
        assert!(!world.terminated, "seed {seed}");
        world.check_records();
        world.feed(Input::Leave);
        assert!(world.terminated, "seed {seed}: an agent with nothing leaves at once");
        assert!(world.records.0.is_empty(), "seed {seed}: one that has left keeps nothing");
        reasons.append(&mut world.reasons);
        crashes += world.crashes;
    }
    assert!(crashes > 2 * SEEDS as usize, "only {crashes} crashes");
    for reason in [
        Reason::AgentRestarted,
        Reason::ExecutorReregistrationTimeout,
        Reason::ExecutorRegistrationTimeout,
        Reason::TaskKilledDuringLaunch,
    ] {
        assert!(reasons.contains(&reason), "{reason}: the worlds are wild enough");
    }
}
