//! A master that keeps agents busy: agents, executors and the way between them, without the real master.
//!
//! It plays framework and master in one: registers agents, launches and kills at random, acknowledges what it is told,
//! and holds the agents to what they owe: updates in order, legal states, an answer for every task.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libactor::sim::{Context, Host, Life};
use libactor::{Pid, Random, Time, Timers};
use protocol::messages::{AgentCall, AgentEvent};
use protocol::{
    AgentId, AgentInfo, CommandInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Resources,
    StatusUpdate, Task, TaskId, TaskInfo, TaskState, Uuid,
};

use crate::sim::Message;

const PING: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(75);
/// Most tasks that live at a time, on all agents.
const MAX_LIVE: usize = 30;
/// How many custom executors take turns on an agent.
const EXECUTORS: u64 = 4;

/// The drill master. It never crashes: it is the test.
#[derive(Debug)]
pub struct DrillMaster {
    random: Random,
    timers: Timers<Timer>,
    framework: FrameworkInfo,
    /// It launches nothing from here on, and kills what there is.
    quiet_at: Time,
    agents: BTreeMap<Pid, Registered>,
    next_agent: u64,
    tasks: BTreeMap<TaskId, Drilled>,
    acknowledge: BTreeMap<Uuid, (Pid, TaskId)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Ping,
    Acts,
    Acknowledges(Uuid),
}

#[derive(Debug)]
struct Registered {
    id: AgentId,
    connected: bool,
}

#[derive(Debug)]
struct Drilled {
    agent_id: AgentId,
    state: TaskState,
    seen: BTreeSet<Uuid>,
    /// Its agent has lost its memory, and it with it.
    gone: bool,
    /// Its end was acknowledged.
    acknowledged: bool,
}

impl DrillMaster {
    /// A master that is at its agents until `quiet_at`; its framework checkpoints or not.
    pub fn new(life: Life, quiet_at: Time, checkpoint: bool) -> Self {
        let framework = FrameworkInfo {
            checkpoint,
            id: Some(FrameworkId::from("F")),
            capabilities: BTreeSet::from([
                protocol::Capability::PartitionAware,
                protocol::Capability::TaskKillingState,
            ]),
            ..FrameworkInfo::new("drill")
        };
        Self {
            random: Random::new(life.seed),
            timers: Timers::default(),
            framework,
            quiet_at,
            agents: BTreeMap::new(),
            next_agent: 0,
            tasks: BTreeMap::new(),
            acknowledge: BTreeMap::new(),
        }
    }

    /// How many tasks were launched.
    pub fn launched(&self) -> usize {
        self.tasks.len()
    }

    /// How many of them were told to have ended in this state.
    pub fn ended_as(&self, state: TaskState) -> usize {
        self.tasks.values().filter(|task| task.state == state).count()
    }

    /// Tasks whose agent still owes the news of their end.
    pub fn open(&self) -> Vec<(&TaskId, TaskState)> {
        let open = self.tasks.iter().filter(|(_, task)| !task.gone && !task.state.is_terminal());
        open.map(|(id, task)| (id, task.state)).collect()
    }

    /// Whether all of its agents are registered.
    pub fn connected(&self) -> usize {
        self.agents.values().filter(|agent| agent.connected).count()
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.random.below(most + 1))
    }

    fn framework_id(&self) -> FrameworkId {
        self.framework.id.clone().expect("the framework has an id")
    }

    fn register(&mut self, from: &Pid, cx: &mut Context<Message>) {
        cx.link(from);
        // An id that nothing was launched under is given again: the answer that gave it may still be under way.
        let is_new = |known: &Registered| !self.tasks.values().any(|task| task.agent_id == known.id);
        let known = self.agents.get(from).filter(|known| known.connected || is_new(known));
        let agent_id = match known {
            Some(known) => known.id.clone(),
            None => {
                self.next_agent += 1;
                AgentId::from(format!("S{}", self.next_agent))
            }
        };
        if let Some(old) =
            self.agents.insert(from.clone(), Registered { id: agent_id.clone(), connected: true })
        {
            for task in self.tasks.values_mut().filter(|task| task.agent_id == old.id && old.id != agent_id) {
                task.gone = true;
            }
        }
        let event = AgentEvent::Registered { agent_id, ping_timeout: PING_TIMEOUT };
        cx.send(from, Message::AgentEvent(event));
    }

    fn reregister(&mut self, from: &Pid, agent: &AgentInfo, tasks: &[Task], cx: &mut Context<Message>) {
        cx.link(from);
        let agent_id = agent.id.clone().expect("a returning agent has an id");
        self.agents.insert(from.clone(), Registered { id: agent_id.clone(), connected: true });
        for task in tasks {
            let Some(drilled) = self.tasks.get(&task.task_id) else {
                panic!("{} is unheard of", task.task_id)
            };
            assert_eq!(drilled.agent_id, agent_id, "{} is on its agent", task.task_id);
        }
        let named: BTreeSet<&TaskId> = tasks.iter().map(|task| &task.task_id).collect();
        let missing = |(id, task): &(&TaskId, &Drilled)| {
            task.agent_id == agent_id && !task.state.is_terminal() && !named.contains(id)
        };
        let framework_id = self.framework_id();
        let reconcile =
            self.tasks.iter().filter(missing).map(|(id, _)| (framework_id.clone(), id.clone())).collect();
        let event = AgentEvent::Reregistered { agent_id, ping_timeout: PING_TIMEOUT, reconcile };
        cx.send(from, Message::AgentEvent(event));
    }

    fn updated(&mut self, now: Time, from: Pid, update: StatusUpdate) {
        let status = update.status;
        let (id, uuid) = (&status.task_id, status.uuid.expect("an agent's update has a uuid"));
        let Some(task) = self.tasks.get_mut(id) else { panic!("{id} is unheard of") };
        assert_eq!(status.agent_id.as_ref(), Some(&task.agent_id), "{id} is on its agent");
        if task.seen.insert(uuid) {
            assert!(!task.gone, "{id} was gone with its agent");
            // An agent that is asked (twice, or late) about a task that it does not know says so.
            let answered = task.state.is_terminal() && status.state == TaskState::Dropped;
            let legal = answered || task.state.may_become(status.state);
            assert!(legal, "{id} was {} and is {}", task.state, status.state);
            task.state = status.state;
        }
        if self.random.chance(950) {
            self.acknowledge.insert(uuid, (from, id.clone()));
            let at = now + self.millis(500);
            self.timers.set(Timer::Acknowledges(uuid), at);
        }
    }

    fn acts(&mut self, now: Time, cx: &mut Context<Message>) {
        let again = now + if now < self.quiet_at { self.millis(3_000) } else { Duration::from_secs(10) };
        self.timers.set(Timer::Acts, again);
        let framework_id = self.framework_id();
        let live: Vec<(TaskId, Pid)> = self
            .tasks
            .iter()
            .filter(|(_, task)| !task.gone && !task.state.is_terminal())
            .filter_map(|(id, task)| {
                let agent = self.agents.iter().find(|(_, agent)| agent.id == task.agent_id)?;
                Some((id.clone(), agent.0.clone()))
            })
            .collect();
        let kill = |task_id| {
            Message::AgentEvent(AgentEvent::KillTask {
                framework_id: framework_id.clone(),
                task_id,
                kill_policy: None,
            })
        };
        if now >= self.quiet_at {
            for (task_id, agent) in live {
                cx.send(&agent, kill(task_id));
            }
            self.shut_executors_down(cx);
            return;
        }
        match self.random.below(100) {
            0..70 if live.len() < MAX_LIVE => self.launch(cx),
            70..90 if !live.is_empty() => {
                let (task_id, agent) = live[self.random.below(live.len() as u64) as usize].clone();
                cx.send(&agent, kill(task_id));
            }
            90..95 => {
                if let Some((agent, _)) = self.pick() {
                    let executor_id = self.executor_id();
                    let event = AgentEvent::ShutdownExecutor { framework_id, executor_id };
                    cx.send(&agent, Message::AgentEvent(event));
                }
            }
            _ => {}
        }
    }

    /// Custom executors live until they are told to end.
    fn shut_executors_down(&self, cx: &mut Context<Message>) {
        for agent in self.agents.keys() {
            for number in 0..EXECUTORS {
                let (framework_id, executor_id) = (self.framework_id(), executor_id(number));
                let event = AgentEvent::ShutdownExecutor { framework_id, executor_id };
                cx.send(agent, Message::AgentEvent(event));
            }
        }
    }

    fn executor_id(&mut self) -> ExecutorId {
        executor_id(self.random.below(EXECUTORS))
    }

    fn pick(&mut self) -> Option<(Pid, AgentId)> {
        let connected: Vec<_> = self.agents.iter().filter(|(_, agent)| agent.connected).collect();
        let count = connected.len() as u64;
        let (pid, agent) = *connected.get(if count == 0 { 0 } else { self.random.below(count) as usize })?;
        Some((pid.clone(), agent.id.clone()))
    }

    fn launch(&mut self, cx: &mut Context<Message>) {
        let Some((pid, agent_id)) = self.pick() else { return };
        let framework = self.framework.clone();
        let event = if self.random.chance(500) {
            let task_id = self.new_task(&agent_id);
            let task = TaskInfo::command(task_id, agent_id, some_resources(), CommandInfo::shell("true"));
            AgentEvent::RunTask { framework, task, launch_executor: true }
        } else {
            let executor_id = self.executor_id();
            let executor = ExecutorInfo {
                framework_id: framework.id.clone(),
                ..ExecutorInfo::new(executor_id, CommandInfo::shell("./executor"))
            };
            let count = if self.random.chance(300) { 2 + self.random.below(3) } else { 1 };
            let mut tasks = Vec::new();
            for _ in 0..count {
                let task_id = self.new_task(&agent_id);
                let (agent_id, executor) = (agent_id.clone(), executor.clone());
                tasks.push(TaskInfo::with_executor(task_id, agent_id, some_resources(), executor));
            }
            match tasks.pop_if(|_| count == 1) {
                Some(task) => AgentEvent::RunTask { framework, task, launch_executor: true },
                None => AgentEvent::RunTaskGroup { framework, executor, tasks, launch_executor: true },
            }
        };
        cx.send(&pid, Message::AgentEvent(event));
    }

    fn new_task(&mut self, agent_id: &AgentId) -> TaskId {
        let task_id = TaskId::from(format!("t{}", self.tasks.len()));
        let drilled = Drilled {
            agent_id: agent_id.clone(),
            state: TaskState::Staging,
            seen: BTreeSet::new(),
            gone: false,
            acknowledged: false,
        };
        self.tasks.insert(task_id.clone(), drilled);
        task_id
    }

    fn acknowledges(&mut self, uuid: Uuid, cx: &mut Context<Message>) {
        let Some((agent, task_id)) = self.acknowledge.remove(&uuid) else { return };
        let framework_id = self.framework_id();
        if let Some(task) = self.tasks.get_mut(&task_id) {
            task.acknowledged |= task.state.is_terminal();
        }
        cx.send(&agent, Message::AgentEvent(AgentEvent::Acknowledge { framework_id, task_id, uuid }));
    }
}

fn some_resources() -> Resources {
    "cpus:0.1;mem:32".parse().expect("these are resources")
}

fn executor_id(number: u64) -> ExecutorId {
    ExecutorId::from(format!("x{number}"))
}

impl Host for DrillMaster {
    type Message = Message;

    fn start(&mut self, now: Time, _me: &Pid, _cx: &mut Context<Message>) {
        self.timers.set(Timer::Ping, now + PING);
        self.timers.set(Timer::Acts, now + PING);
    }

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        let Message::Agent(call) = message else { panic!("{message:?} is nothing for a drill master") };
        match call {
            AgentCall::Register { .. } => self.register(&from, cx),
            AgentCall::Reregister { agent, tasks, .. } => self.reregister(&from, &agent, &tasks, cx),
            AgentCall::Update(update) => self.updated(now, from, update),
            AgentCall::Pong | AgentCall::Message { .. } | AgentCall::ExecutorExited { .. } => {}
            AgentCall::Unregister => panic!("no agent is asked to leave"),
            AgentCall::UpdateResources { .. } => panic!("no device falls ill"),
        }
    }

    fn exited(&mut self, _now: Time, pid: Pid, _cx: &mut Context<Message>) {
        if let Some(agent) = self.agents.get_mut(&pid) {
            agent.connected = false;
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Ping => {
                    self.timers.set(Timer::Ping, now + PING);
                    for (pid, agent) in &self.agents {
                        cx.send(pid, Message::AgentEvent(AgentEvent::Ping { connected: agent.connected }));
                    }
                }
                Timer::Acts => self.acts(now, cx),
                Timer::Acknowledges(uuid) => self.acknowledges(uuid, cx),
            }
        }
    }
}
