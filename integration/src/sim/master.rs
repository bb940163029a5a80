//! The master's process: the master machine, and a registry that takes its time.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use libactor::sim::{Context, Host, Life};
use libactor::{Machine, Pid, Random, Time};
use master::core::allocator::{AllocatorConfig, Hierarchical};
use master::core::mirror::Mirror;
use master::core::{Input, Master, MasterConfig, OperatorRequest, Output};
use master::registry::{Operation, State};
use protocol::{AgentId, FrameworkId, Resources, Role, TaskId, TaskState};

use super::Message;
use super::streams::Streams;

/// The longest that the registry takes to make an operation durable.
const SLOWEST_APPLY_MS: u64 = 300;
/// After so many turns of the machine the mirror is compared with it; that takes as long as all the rest.
const COMPARED: u64 = 8;

/// What makes a master.
#[derive(Clone, Debug)]
pub struct MasterSetup {
    pid: Pid,
    config: MasterConfig,
    /// Until when an operator meddles.
    operator: Option<Time>,
    /// What is durable: the next life begins with it.
    registry: Rc<RefCell<State>>,
}

impl MasterSetup {
    /// The master at this address. `operator`: until when one meddles.
    pub fn new(pid: Pid, operator: Option<Time>) -> Self {
        let agent_reregister_timeout = Duration::from_secs(120);
        let config =
            MasterConfig { pid: pid.to_string(), agent_reregister_timeout, ..MasterConfig::default() };
        Self { pid, config, operator, registry: Rc::default() }
    }
}

/// A master and its registry, which outlives it.
#[derive(Debug)]
pub struct MasterHost {
    machine: Master,
    /// What somebody who watches knows.
    mirror: Mirror,
    turns: u64,
    streams: Streams,
    /// When an operator meddles next, and until when.
    operator: Option<(Time, Time)>,
    registry: Rc<RefCell<State>>,
    random: Random,
    /// Operations that are not durable yet, in order, and when they are.
    applying: VecDeque<(Time, Operation)>,
}

/// An agent, as the master sees it.
#[derive(Clone, Debug)]
pub struct SeenAgent {
    /// Its identity.
    pub id: AgentId,
    /// Its actor, while it is connected.
    pub pid: Option<Pid>,
    /// Whether its resources are offered.
    pub active: bool,
    /// All that it has.
    pub total: Resources,
    /// What is offered of it.
    pub offered: Resources,
    /// What is used of it.
    pub used: Resources,
}

/// A task, as the master sees it.
#[derive(Clone, Debug)]
pub struct SeenTask {
    /// Whose.
    pub framework_id: FrameworkId,
    /// Which.
    pub task_id: TaskId,
    /// Its state.
    pub state: TaskState,
}

impl MasterHost {
    /// A new life.
    pub fn new(setup: MasterSetup, life: Life) -> Self {
        let mut random = Random::new(life.seed);
        let allocator = Hierarchical::new(AllocatorConfig::default(), random.next_u64());
        let mut machine = Master::new(setup.config, random.next_u64(), life.began, Box::new(allocator));
        machine.recover(life.began, &setup.registry.borrow());
        let mirror = Mirror::of(&machine);
        let streams = Streams::new(setup.pid);
        let operator = setup.operator.map(|until| (life.began + between_meddlings(&mut random), until));
        let (registry, applying) = (setup.registry, VecDeque::new());
        Self { machine, mirror, turns: 0, streams, operator, registry, random, applying }
    }

    /// The machine.
    pub fn machine(&self) -> &Master {
        &self.machine
    }

    /// Its agents.
    pub fn agents(&self) -> Vec<SeenAgent> {
        let agents = self.machine.agents().values();
        let seen = agents.map(|agent| SeenAgent {
            id: agent.id.clone(),
            pid: agent.connected.then(|| agent.pid.clone()),
            active: agent.active(),
            total: agent.info.resources.clone(),
            offered: agent.offered.clone(),
            used: agent.used.clone(),
        });
        seen.collect()
    }

    /// The tasks that its agents run, as far as it knows.
    pub fn tasks(&self) -> Vec<SeenTask> {
        let tasks = self.machine.frameworks().values().flat_map(|framework| {
            framework.tasks.iter().map(|(task_id, record)| SeenTask {
                framework_id: framework.id.clone(),
                task_id: task_id.clone(),
                state: record.task.state,
            })
        });
        tasks.collect()
    }

    /// An operator asks for something at random.
    fn meddle(&mut self, now: Time, cx: &mut Context<Message>) {
        let Some((at, until)) = self.operator.filter(|(at, _)| *at <= now) else { return };
        let next = at + between_meddlings(&mut self.random);
        self.operator = (next < until).then_some((next, until));
        let request = match self.random.below(10) {
            0..5 => {
                let role = Role::from(["*", "a", "b"][self.random.below(3) as usize]);
                let weights = BTreeMap::from([(role, 500 * self.random.below(9))]);
                Some(OperatorRequest::UpdateWeights { weights })
            }
            5..8 => {
                let registered = self.machine.agents().keys();
                let away = self.machine.unreachable_agents().map(|(id, _)| id);
                let agents: Vec<_> = registered.chain(away).cloned().collect();
                pick(&mut self.random, &agents).map(|agent_id| OperatorRequest::MarkAgentGone { agent_id })
            }
            _ => {
                let frameworks: Vec<_> = self.machine.frameworks().keys().cloned().collect();
                let one = pick(&mut self.random, &frameworks);
                one.map(|framework_id| OperatorRequest::Teardown { framework_id })
            }
        };
        if let Some(request) = request {
            cx.note(format!("operator {request:?}"));
            let input = self.streams.operator(request);
            self.feed(now, input, cx);
        }
    }

    fn feed(&mut self, now: Time, input: Input, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.machine.handle(now, input, &mut out);
        self.carry_out(now, out, cx);
    }

    fn carry_out(&mut self, now: Time, out: Vec<Output>, cx: &mut Context<Message>) {
        self.machine.check();
        self.mirror.follow(&self.machine, &out);
        self.turns += 1;
        if self.turns.is_multiple_of(COMPARED) {
            assert!(
                self.mirror == Mirror::of(&self.machine),
                "something has changed without a word: {out:#?}"
            );
        }
        for output in out {
            match output {
                Output::ToScheduler { to, event } => self.streams.tell(&to, event, cx),
                Output::ToAgent { to, event } => cx.send(&to, Message::AgentEvent(event)),
                Output::Answer { ask, answer } => self.streams.answer(ask, answer, cx),
                // Who watches is the mirror.
                Output::Changed(_) => {}
                Output::Link { pid } => self.streams.link(&pid, cx),
                Output::Unlink { pid } => self.streams.unlink(&pid, cx),
                Output::GiveUp { reason } => panic!("nothing limits it: {reason}"),
                Output::Apply { operation } => {
                    let took = Duration::from_millis(self.random.below(SLOWEST_APPLY_MS));
                    let after = self.applying.back().map_or(now, |(at, _)| *at);
                    self.applying.push_back((after.max(now + took), operation));
                }
            }
        }
        self.streams.check();
    }
}

impl Host for MasterHost {
    type Message = Message;

    fn start(&mut self, _now: Time, _me: &Pid, _cx: &mut Context<Message>) {}

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        let inputs = match message {
            Message::Scheduler(call) => vec![Input::Scheduler { from, call }],
            Message::Agent(call) => vec![Input::Agent { from, call }],
            Message::HttpCall { stream_id, request, call } => {
                self.streams.call(from, stream_id, (request, call), &mut self.random, cx)
            }
            other => panic!("{other:?} is nothing for a master"),
        };
        inputs.into_iter().for_each(|input| self.feed(now, input, cx));
    }

    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<Message>) {
        let streams = self.streams.closed(&pid);
        streams.into_iter().for_each(|input| self.feed(now, input, cx));
        self.feed(now, Input::Exited { pid }, cx);
    }

    fn deadline(&self) -> Option<Time> {
        let applied = self.applying.front().map(|(at, _)| *at);
        let meddles = self.operator.map(|(at, _)| at);
        [self.machine.deadline(), applied, meddles].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.machine.tick(now, &mut out);
        self.carry_out(now, out, cx);
        self.meddle(now, cx);
        while self.applying.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, operation)) = self.applying.pop_front() else { return };
            self.registry.borrow_mut().apply(&operation);
            self.feed(now, Input::Applied { operation }, cx);
        }
        assert!(!self.applying.is_empty() || self.streams.open() == 0, "operators are answered");
    }
}

fn between_meddlings(random: &mut Random) -> Duration {
    Duration::from_secs(10 + random.below(60))
}

fn pick<T: Clone>(random: &mut Random, all: &[T]) -> Option<T> {
    (!all.is_empty()).then(|| all[random.below(all.len() as u64) as usize].clone())
}
