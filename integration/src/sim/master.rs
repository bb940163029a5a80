//! The half of a master's process that the others speak to: the master machine while its replica leads, else a standby.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use libactor::sim::{Context, Host, Life};
use libactor::{Machine, Pid, Random, Time};
use master::core::allocator::{AllocatorConfig, Hierarchical};
use master::core::mirror::Mirror;
use master::core::{Input, Master, MasterConfig, OperatorRequest, Output};
use master::registry::{Drain, Operation, State};
use master::replication::Disposition;
use protocol::{AgentId, FrameworkId, Resources, Role, TaskId, TaskState};

use super::Message;
use super::framework::Season;
use super::message::Group;
use super::streams::Streams;

/// After so many turns of the machine it is checked: that takes as long as all the rest.
const CHECKED: u64 = 5;
/// After so many its mirror is compared with it.
const COMPARED: u64 = 15;

/// What makes a master.
#[derive(Clone, Debug)]
pub struct MasterSetup {
    pid: Pid,
    /// The actor of its replica.
    replica: Pid,
    config: MasterConfig,
    /// Whether an operator meddles, in a storm.
    meddled: Option<Rc<Cell<Season>>>,
}

impl MasterSetup {
    /// The master at this address, and its replica. `meddled`: an operator does, in a storm.
    pub fn new(pid: Pid, replica: Pid, meddled: Option<Rc<Cell<Season>>>) -> Self {
        // Short: agents are to come back too late now and then.
        let agent_reregister_timeout = Duration::from_secs(15);
        let config =
            MasterConfig { pid: pid.to_string(), agent_reregister_timeout, ..MasterConfig::default() };
        Self { pid, replica, config, meddled }
    }
}

/// The place of a master whose replica does not lead.
#[derive(Debug)]
pub struct Standby {
    setup: MasterSetup,
    random: Random,
    standing: Disposition,
}

impl Standby {
    /// What a process begins with.
    pub fn new(setup: MasterSetup, life: Life) -> Self {
        Self::after(setup, Random::new(life.seed), Disposition::Leaderless)
    }

    fn after(setup: MasterSetup, random: Random, standing: Disposition) -> Self {
        Self { setup, random, standing }
    }
}

impl Host for Standby {
    type Message = Message;

    fn start(&mut self, _now: Time, _me: &Pid, _cx: &mut Context<Message>) {}

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        match message {
            Message::Group(Group::Lead { term, state }) => {
                let random = Random::new(self.random.next_u64());
                let master = MasterHost::new(self.setup.clone(), random, term, &state, now);
                cx.restart(Box::new(master));
            }
            Message::Group(Group::Standing(standing)) => self.standing = standing,
            Message::HttpCall { .. } | Message::HttpWho => {
                let leader = match &self.standing {
                    Disposition::Following { leader } => Some(leader.clone()),
                    Disposition::Leading | Disposition::Leaderless => None,
                };
                cx.send(&from, Message::HttpRedirect(leader));
            }
            // Of a lead that is over; of peers that have not heard yet.
            Message::Group(_) | Message::Scheduler(_) | Message::Agent(_) => {}
            other => panic!("{other:?} is nothing for a master"),
        }
    }

    fn exited(&mut self, _now: Time, _pid: Pid, _cx: &mut Context<Message>) {}

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn tick(&mut self, _now: Time, _cx: &mut Context<Message>) {}
}

/// A master that leads.
#[derive(Debug)]
pub struct MasterHost {
    setup: MasterSetup,
    term: u64,
    machine: Master,
    /// What somebody who watches knows.
    mirror: Mirror,
    turns: u64,
    streams: Streams,
    /// When an operator meddles next.
    operator: Option<Time>,
    random: Random,
    /// Operations that are not durable yet, in order.
    applying: VecDeque<Operation>,
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
    /// A lead begins with this registry.
    fn new(setup: MasterSetup, mut random: Random, term: u64, state: &Arc<State>, now: Time) -> Self {
        let allocator = Hierarchical::new(AllocatorConfig::default(), random.next_u64());
        let mut machine = Master::new(setup.config.clone(), random.next_u64(), now, Box::new(allocator));
        machine.recover(now, state);
        let mirror = Mirror::of(&machine);
        let streams = Streams::new(setup.pid.clone());
        let operator = setup.meddled.as_ref().map(|_| now + between_meddlings(&mut random));
        Self { setup, term, machine, mirror, turns: 0, streams, operator, random, applying: VecDeque::new() }
    }

    /// Of this lead.
    pub fn term(&self) -> u64 {
        self.term
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
        let Some(at) = self.operator.filter(|at| *at <= now) else { return };
        let storm = self.setup.meddled.as_ref().is_some_and(|season| season.get() == Season::Storm);
        self.operator = storm.then(|| at + between_meddlings(&mut self.random));
        if !storm {
            return;
        }
        let request = match self.random.below(12) {
            0..4 => {
                let role = Role::from(["*", "a", "b"][self.random.below(3) as usize]);
                let weights = BTreeMap::from([(role, 500 * self.random.below(9))]);
                Some(OperatorRequest::UpdateWeights { weights })
            }
            4..10 => {
                let (kind, seconds) = (self.random.below(5), self.random.below(20));
                let mark_gone = self.random.chance(200);
                let registered = self.machine.agents().keys();
                let away = self.machine.unreachable_agents().map(|(id, _)| id);
                let agents: Vec<_> = registered.chain(away).cloned().collect();
                pick(&mut self.random, &agents).map(|agent_id| match kind {
                    0 => OperatorRequest::MarkAgentGone { agent_id },
                    1 => OperatorRequest::DeactivateAgent { agent_id },
                    2 => {
                        let max_grace_period = (seconds < 10).then(|| Duration::from_secs(seconds));
                        let drain = Drain { max_grace_period, mark_gone, drained: false };
                        OperatorRequest::DrainAgent { agent_id, drain }
                    }
                    _ => OperatorRequest::ReactivateAgent { agent_id },
                })
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

    /// Its replica speaks. What is about another lead is late.
    fn told(&mut self, now: Time, group: Group, cx: &mut Context<Message>) {
        match group {
            Group::Deposed { term } if term == self.term => {
                let random = Random::new(self.random.next_u64());
                let standby = Standby::after(self.setup.clone(), random, Disposition::Leaderless);
                cx.restart(Box::new(standby));
            }
            Group::Committed { term, operations } if term == self.term => {
                for operation in operations {
                    self.answered(&operation);
                    self.feed(now, Input::Applied { operation }, cx);
                }
            }
            Group::Refused { term, operation, reason } if term == self.term => {
                self.answered(&operation);
                panic!("{operation:?} is refused: {reason}");
            }
            Group::Lead { .. } => panic!("a lead begins before another one is over"),
            _ => {}
        }
    }

    /// The replica answers in the order of asking.
    fn answered(&mut self, operation: &Operation) {
        assert_eq!(self.applying.pop_front().as_ref(), Some(operation), "as it was asked for");
    }

    fn feed(&mut self, now: Time, input: Input, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.machine.handle(now, input, &mut out);
        self.carry_out(out, cx);
    }

    fn carry_out(&mut self, out: Vec<Output>, cx: &mut Context<Message>) {
        self.mirror.follow(&self.machine, &out);
        self.turns += 1;
        if self.turns.is_multiple_of(CHECKED) {
            self.machine.check();
        }
        if self.turns.is_multiple_of(COMPARED) {
            assert!(
                self.mirror == Mirror::of(&self.machine),
                "something has changed without a word: {out:#?}"
            );
        }
        let mut operations = Vec::new();
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
                Output::Apply { operation } => operations.push(operation),
            }
        }
        if !operations.is_empty() {
            self.applying.extend(operations.iter().cloned());
            let propose = Group::Propose { term: self.term, operations };
            cx.send(&self.setup.replica, Message::Group(propose));
        }
        self.streams.check();
    }
}

impl Host for MasterHost {
    type Message = Message;

    fn start(&mut self, _now: Time, _me: &Pid, _cx: &mut Context<Message>) {}

    fn message(&mut self, now: Time, from: Pid, message: Message, cx: &mut Context<Message>) {
        let inputs = match message {
            Message::Group(group) => return self.told(now, group, cx),
            Message::HttpWho => return cx.send(&from, Message::HttpRedirect(Some(self.setup.pid.clone()))),
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
        [self.machine.deadline(), self.operator].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Time, cx: &mut Context<Message>) {
        let mut out = Vec::new();
        self.machine.tick(now, &mut out);
        self.carry_out(out, cx);
        self.meddle(now, cx);
        assert!(!self.applying.is_empty() || self.streams.open() == 0, "operators are answered");
    }
}

fn between_meddlings(random: &mut Random) -> Duration {
    Duration::from_secs(10 + random.below(60))
}

fn pick<T: Clone>(random: &mut Random, all: &[T]) -> Option<T> {
    (!all.is_empty()).then(|| all[random.below(all.len() as u64) as usize].clone())
}
