//! The master's process: the master machine, and a registry that takes its time.

use std::collections::VecDeque;
use std::time::Duration;

use libactor::sim::{Context, Host, Life};
use libactor::{Machine, Pid, Random, Time};
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
}

impl MasterSetup {
    /// The master at this address.
    pub fn new(pid: Pid) -> Self {
        let agent_reregister_timeout = Duration::from_secs(120);
        Self { config: MasterConfig { pid: pid.to_string(), agent_reregister_timeout, ..MasterConfig::default() } }
    }
}

/// A master and its registry, which dies with it.
#[derive(Debug)]
pub struct MasterHost {
    machine: Master,
    registry: State,
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
        Self {
            machine: Master::new(setup.config, random.next_u64(), life.began),
            registry: State::default(),
            random,
            applying: VecDeque::new(),
        }
    }

    /// The machine.
    pub fn machine(&self) -> &Master {
        &self.machine
    }

    fn feed(&mut self, now: Time, input: Input, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.machine.handle(now, input, &mut out);
        self.carry_out(now, out, cx);
    }

    fn carry_out(&mut self, now: Time, out: Vec<Output>, cx: &mut Context<Message>) {
        self.machine.check();
        for output in out {
            match output {
                Output::ToScheduler { to, event } => cx.send(&to, Message::Event(event)),
                Output::ToAgent { to, event } => cx.send(&to, Message::AgentEvent(event)),
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
        while let Some((_, operation)) = self.applying.pop_front_if(|(at, _)| *at <= now) {
            self.registry.apply(&operation);
            self.feed(now, Input::Applied { operation }, cx);
        }
    }
}
