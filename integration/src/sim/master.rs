//! The master's process: the master machine, and a registry that takes its time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use libactor::sim::{Context, Host, Life};
use libactor::{Machine, Pid, Random, Time};
use master::core::allocator::{AllocatorConfig, Hierarchical};
use master::core::mirror::Mirror;
use master::core::{Input, Master, MasterConfig, Output};
use master::registry::{Operation, State};
use protocol::{AgentId, FrameworkId, Resources, TaskId, TaskState};

use super::Message;

/// The longest that the registry takes to make an operation durable.
const SLOWEST_APPLY_MS: u64 = 300;

/// What makes a master.
#[derive(Clone, Debug)]
pub struct MasterSetup {
    config: MasterConfig,
    /// What is durable: the next life begins with it.
    registry: Rc<RefCell<State>>,
}

impl MasterSetup {
    /// The master at this address.
    pub fn new(pid: Pid) -> Self {
        let agent_reregister_timeout = Duration::from_secs(120);
        let config =
            MasterConfig { pid: pid.to_string(), agent_reregister_timeout, ..MasterConfig::default() };
        Self { config, registry: Rc::default() }
    }
}

/// A master and its registry, which outlives it.
#[derive(Debug)]
pub struct MasterHost {
    machine: Master,
    /// What somebody who watches knows.
    mirror: Mirror,
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
        Self { machine, mirror, registry: setup.registry, random, applying: VecDeque::new() }
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

    fn feed(&mut self, now: Time, input: Input, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.machine.handle(now, input, &mut out);
        self.carry_out(now, out, cx);
    }

    fn carry_out(&mut self, now: Time, out: Vec<Output>, cx: &mut Context<Message>) {
        self.machine.check();
        self.mirror.follow(&self.machine, &out);
        assert!(self.mirror == Mirror::of(&self.machine), "nothing changes without a word: {out:#?}");
        for output in out {
            match output {
                Output::ToScheduler { to, event } => cx.send(&to, Message::Event(event)),
                Output::ToAgent { to, event } => cx.send(&to, Message::AgentEvent(event)),
                // Nobody calls over HTTP here; who watches is the mirror.
                Output::Answer { .. } | Output::Changed(_) => {}
                Output::Link { pid } => cx.link(&pid),
                Output::Unlink { pid } => cx.unlink(&pid),
                Output::Apply { operation } => {
                    let took = Duration::from_millis(self.random.below(SLOWEST_APPLY_MS));
                    let after = self.applying.back().map_or(now, |(at, _)| *at);
                    self.applying.push_back((after.max(now + took), operation));
                }
            }
        }
    }
}

impl Host for MasterHost {
    type Message = Message;

    fn start(&mut self, _now: Time, _me: &Pid, _cx: &mut Context<Message>) {}

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        let input = match message {
            Message::Scheduler(call) => Input::Scheduler { from, call },
            Message::Agent(call) => Input::Agent { from, call },
            other => panic!("{other:?} is nothing for a master"),
        };
        self.feed(now, input, cx);
    }

    fn exited(&mut self, now: Time, pid: Pid, cx: &mut Context<Message>) {
        self.feed(now, Input::Exited { pid }, cx);
    }

    fn deadline(&self) -> Option<Time> {
        let applied = self.applying.front().map(|(at, _)| *at);
        [self.machine.deadline(), applied].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.machine.tick(now, &mut out);
        self.carry_out(now, out, cx);
        while self.applying.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, operation)) = self.applying.pop_front() else { return };
            self.registry.borrow_mut().apply(&operation);
            self.feed(now, Input::Applied { operation }, cx);
        }
    }
}
