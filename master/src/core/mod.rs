//! The master machine: who may use what, and how it went.
//!
//! Agents bring resources, frameworks get them offered, tasks use them. The machine keeps three tables (frameworks with
//! their tasks, agents, offers) and an [`allocator`] whose books say the same as these tables at any time ([`check`]).
//!
//! The life of one task, in the order of the data:
//! ```text
//!   offers.rs      allocate ──► Offers ──► framework
//!   accept.rs      Accept ──► validate.rs ──► task STAGING, RunTask ──► agent
//!   updates.rs     Update from the agent ──► task's state, resources freed at the end ──► Update ──► framework
//!   tasks.rs       Acknowledge ──► agent; the end acknowledged: the task is completed
//!
//!   STAGING ──► STARTING ──► RUNNING ──► KILLING ──► FINISHED, FAILED, KILLED, ERROR
//!      └───────────┴────────────┴───────────┴──────► LOST, GONE          (agents.rs: the agent left for good)
//!      └───────────┴────────────┴───────────┴──────► UNREACHABLE ──┐     (agents.rs: the agent does not answer)
//!      ▲           ▲            ▲           ▲                      │
//!      └───────────┴────────────┴───────────┴──────────────────────┘     (reregister.rs: it is back)
//! ```
//! What schedulers call comes in at `calls`, what operators ask at `operator`. Who subscribes comes to `subscribe`,
//! frameworks are in [`frameworks`] and on their way there in
//! `subscribing`, agents in [`agents`] with `health` (pings), `reregister` (return) and `reconfigure` (others than they were), and
//! `removals` and `registry_gc` say how long which of them are waited for; what operators want of them is in `wishes` and
//! [`drains`], what they do with machines in [`maintenance`]. `reconcile`
//! answers who asks, `messages` forwards bytes. Source of the behaviour: Mesos 1.11, `src/master/master.cpp`.
//!
//! Each call is accepted only from the actor that is subscribed (or registered) under the identity that it uses. What is
//! ignored or refused is counted ([`counters`]).

mod accept;
pub mod agents;
pub mod allocator;
mod calls;
mod check;
pub mod config;
pub mod counters;
pub mod drains;
pub mod framework_counters;
pub mod frameworks;
mod health;
mod input;
mod leaving;
pub mod limits;
pub mod maintenance;
mod messages;
pub mod mirror;
pub mod offers;
mod operator;
mod reconcile;
mod reconfigure;
mod registry_gc;
mod removals;
mod reregister;
pub mod ring;
mod subscribe;
mod subscribing;
pub mod tasks;
mod updates;
mod validate;
mod view;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use libactor::{Machine, Pid, Random, Time, Timers};
use protocol::messages::{AgentCall, AgentEvent, Event, MasterInfo};
use protocol::{AgentId, AgentInfo, FrameworkId, MasterId, OfferId, Role, UnixTime, Uuid};

use crate::registry::{self, Wish};
use agents::{Admission, Agent};
use allocator::Allocator;
use counters::Counters;
use frameworks::Framework;
use maintenance::Maintenance;
use offers::OfferRecord;
use removals::Removals;
use reregister::Reregistration;
use ring::Ring;
use subscribing::Subscribing;

pub use config::{Bounds, MasterConfig};
pub use input::{Answer, Ask, Change, Input, OperatorRequest, Output, Refusal};

/// The master machine.
#[derive(Debug)]
pub struct Master {
    config: MasterConfig,
    info: MasterInfo,
    started_at: Time,
    allocator: Box<dyn Allocator>,
    timers: Timers<Timer>,
    counters: Counters,
    frameworks: BTreeMap<FrameworkId, Framework>,
    completed_frameworks: Ring<FrameworkId, Framework>,
    /// Which framework a connected scheduler speaks for.
    schedulers: BTreeMap<Pid, FrameworkId>,
    next_framework: u64,
    /// Frameworks that the registry is being told of, and who waits for it.
    subscribing: BTreeMap<FrameworkId, Subscribing>,
    /// Which framework a scheduler waits to speak for.
    subscribers: BTreeMap<Pid, FrameworkId>,
    /// Frameworks that are over, as the registry remembers them.
    removed_frameworks: Ring<FrameworkId, ()>,
    /// Who waits for the registry to know that a framework is over.
    tearing_down: BTreeMap<FrameworkId, Ask>,
    agents: BTreeMap<AgentId, Agent>,
    /// Which agent speaks from where, connected or not.
    agent_pids: BTreeMap<Pid, AgentId>,
    next_agent: u64,
    /// New agents, while the registry decides.
    admitting: BTreeMap<AgentId, Admission>,
    /// Agents that come back, while the registry decides.
    reregistering: BTreeMap<AgentId, Reregistration>,
    /// From where those speak that the registry decides on; one an address.
    deciding: BTreeMap<Pid, AgentId>,
    /// Agents that the registry named when this master began and that have not come back yet.
    recovered: BTreeMap<AgentId, Arc<AgentInfo>>,
    /// How many there were when it began.
    recovered_count: usize,
    /// Recovered agents that become unreachable, while the registry decides.
    expiring: BTreeSet<AgentId>,
    /// Agents that wait for their turn to become unreachable.
    removals: Removals,
    /// Whether it should lead no longer.
    given_up: bool,
    /// What operators want of agents that are there or may come back, where they want anything.
    wishes: BTreeMap<AgentId, Wish>,
    /// Who waits for the registry to know that, in the order of asking.
    wishing: VecDeque<Ask>,
    unreachable: Ring<AgentId, UnixTime>,
    removed: Ring<AgentId, ()>,
    /// Agents that an operator has marked as gone.
    gone: Ring<AgentId, UnixTime>,
    /// Agents that are to be, while the registry decides, and who waits for it.
    marking_gone: BTreeMap<AgentId, Option<Ask>>,
    /// Agents that were found empty as an operator wants them, while the registry decides.
    marking_drained: BTreeSet<AgentId>,
    /// Agents to be emptied that may be so since this turn.
    maybe_empty: BTreeSet<AgentId>,
    /// When machines are worked on.
    maintenance: Maintenance,
    /// Who waits for the registry to know that.
    maintaining: Option<Ask>,
    /// Weights that were set, in thousandths.
    weights: BTreeMap<Role, u64>,
    /// Who waits for weights that the registry decides on, in the order of asking.
    updating_weights: VecDeque<Ask>,
    offers: BTreeMap<OfferId, OfferRecord>,
    next_offer: u64,
}

/// What the master waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The regular allocation.
    Batch,
    /// An allocation that an event asked for.
    Allocate,
    /// An agent's answer to a ping.
    Ping(AgentId),
    /// The return of a disconnected agent.
    Reregister(AgentId),
    /// The return of the agents that the registry named.
    Recovery,
    /// The return of an agent whose process ended while it came back.
    Recovered(AgentId),
    /// The turn of the next agent that becomes unreachable.
    Removal,
    /// What the registry may forget.
    RegistryGc,
    /// The return of a disconnected framework.
    Failover(FrameworkId),
    /// The answer to an offer.
    Offer(OfferId),
    /// A sign of life to a framework on a stream.
    Heartbeat(FrameworkId),
}

/// The time of an input and what is asked for in answer to it.
struct Turn<'a> {
    now: Time,
    out: &'a mut Vec<Output>,
}

impl Turn<'_> {
    fn unix_time(&self) -> UnixTime {
        UnixTime(self.now.as_nanos())
    }

    fn tell_scheduler(&mut self, to: Pid, event: Event) {
        self.out.push(Output::ToScheduler { to, event });
    }

    fn tell_agent(&mut self, to: Pid, event: AgentEvent) {
        self.out.push(Output::ToAgent { to, event });
    }

    fn link(&mut self, pid: Pid) {
        self.out.push(Output::Link { pid });
    }

    fn answer(&mut self, ask: Ask, answer: Answer) {
        self.out.push(Output::Answer { ask, answer });
    }

    fn changed(&mut self, change: Change) {
        self.out.push(Output::Changed(change));
    }

    fn unlink(&mut self, pid: Pid) {
        self.out.push(Output::Unlink { pid });
    }

    fn apply(&mut self, operation: registry::Operation) {
        self.out.push(Output::Apply { operation });
    }
}

impl Master {
    /// A master that knows nothing yet. The seed gives its identity; no two lives may have the same.
    pub fn new(config: MasterConfig, seed: u64, now: Time, mut allocator: Box<dyn Allocator>) -> Self {
        let id = MasterId::from(Uuid::from_random(Random::new(seed).next_u128()).to_string());
        let info = MasterInfo {
            id,
            pid: config.pid.clone(),
            hostname: config.hostname.clone(),
            version: config.version.clone(),
        };
        allocator.set_weights(&config.weights);
        let mut timers = Timers::default();
        timers.set(Timer::Batch, now + config.allocation_interval);
        timers.set(Timer::RegistryGc, now + config.registry_gc_interval);
        Self {
            info,
            started_at: now,
            allocator,
            timers,
            counters: Counters::default(),
            frameworks: BTreeMap::new(),
            completed_frameworks: Ring::new(config.max_completed_frameworks),
            schedulers: BTreeMap::new(),
            next_framework: 0,
            subscribing: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            removed_frameworks: Ring::new(limits::MAX_REMOVED_FRAMEWORKS),
            tearing_down: BTreeMap::new(),
            agents: BTreeMap::new(),
            agent_pids: BTreeMap::new(),
            next_agent: 0,
            admitting: BTreeMap::new(),
            reregistering: BTreeMap::new(),
            deciding: BTreeMap::new(),
            recovered: BTreeMap::new(),
            recovered_count: 0,
            expiring: BTreeSet::new(),
            removals: Removals::default(),
            given_up: false,
            wishes: BTreeMap::new(),
            wishing: VecDeque::new(),
            unreachable: Ring::new(limits::MAX_UNREACHABLE_AGENTS),
            removed: Ring::new(limits::MAX_REMOVED_AGENTS),
            gone: Ring::new(limits::MAX_GONE_AGENTS),
            marking_gone: BTreeMap::new(),
            marking_drained: BTreeSet::new(),
            maybe_empty: BTreeSet::new(),
            maintenance: Maintenance::default(),
            maintaining: None,
            weights: config.weights.clone(),
            updating_weights: VecDeque::new(),
            offers: BTreeMap::new(),
            next_offer: 0,
            config,
        }
    }

    /// Takes over what a registry holds, before the first input: its agents have until the reregistration timeout to
    /// come back.
    pub fn recover(&mut self, now: Time, state: &registry::State) {
        for (id, agent) in &state.admitted {
            self.recovered.insert(id.clone(), agent.info.clone());
        }
        self.recovered_count = self.recovered.len();
        if self.recovered_count > 0 {
            self.timers.set(Timer::Recovery, now + self.config.agent_reregister_timeout);
        }
        let admitted = state.admitted.iter().map(|(id, agent)| (id, &agent.wish));
        let wishes = admitted.chain(state.unreachable.iter().map(|(id, agent)| (id, &agent.wish)));
        let wishes = wishes.filter(|(_, wish)| **wish != Wish::default());
        self.wishes = wishes.map(|(id, wish)| (id.clone(), wish.clone())).collect();
        // What the last master did not come to.
        self.maybe_empty = self.wishes.keys().cloned().collect();
        for (id, agent) in by_time(&state.unreachable, |agent| agent.since) {
            self.unreachable.insert(id.clone(), agent.since);
        }
        for (id, since) in by_time(&state.gone, |since| *since) {
            self.gone.insert(id.clone(), *since);
        }
        for (id, framework) in &state.frameworks {
            self.recover_framework(now, id, framework);
        }
        for (id, _) in by_time(&state.removed_frameworks, |at| *at) {
            self.removed_frameworks.insert(id.clone(), ());
        }
        self.maintenance = Maintenance::of(state);
        if !state.weights.is_empty() {
            // What was set later than the flag counts.
            self.weights = state.weights.clone();
            self.allocator.set_weights(&self.weights);
        }
    }

    fn agent(&mut self, turn: &mut Turn<'_>, from: Pid, call: AgentCall) {
        match call {
            AgentCall::Register { agent, version } => self.register_agent(turn, from, agent, version),
            AgentCall::Reregister { agent, version, executors, tasks, frameworks } => {
                let back = Reregistration { pid: from, info: agent, version, executors, tasks, frameworks };
                self.reregister_agent(turn, back);
            }
            AgentCall::Pong => self.pong(&from),
            call => self.registered_agent(turn, &from, call),
        }
    }

    /// What only a registered agent may say.
    fn registered_agent(&mut self, turn: &mut Turn<'_>, from: &Pid, call: AgentCall) {
        let Some(id) = self.speaking_agent(from) else {
            tracing::warn!(%from, call = validate::name_of(&call), "a call of an agent that is not registered is ignored");
            self.counters.count("invalid_agent_calls");
            return;
        };
        match call {
            AgentCall::Register { .. } | AgentCall::Reregister { .. } | AgentCall::Pong => {}
            AgentCall::Update(update) => self.status_update(turn, &id, update),
            AgentCall::Message { framework_id, executor_id, data } => {
                let event = Event::Message { agent_id: id, executor_id, data };
                self.executor_message(turn, &framework_id, event);
            }
            AgentCall::ExecutorExited { framework_id, executor_id, status } => {
                self.executor_exited(turn, &id, &framework_id, executor_id, status);
            }
            AgentCall::Unregister => self.unregister_agent(turn, &id),
            AgentCall::UpdateResources { total } => self.update_resources(turn, &id, total),
        }
    }
}

/// The oldest first: who remembers some only forgets those first.
fn by_time<K, V>(all: &BTreeMap<K, V>, since: impl Fn(&V) -> UnixTime) -> Vec<(&K, &V)> {
    let mut all: Vec<_> = all.iter().collect();
    all.sort_by_key(|(_, value)| since(value));
    all
}

impl Machine for Master {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        let turn = &mut Turn { now, out };
        match input {
            Input::Scheduler { from, call } => self.scheduler(turn, from, call),
            Input::Agent { from, call } => self.agent(turn, from, call),
            Input::Call { ask, framework_id, stream_id, call } => {
                self.http_call(turn, ask, framework_id, stream_id.as_deref(), call);
            }
            Input::Operator { ask, request } => self.operator(turn, ask, request),
            Input::Exited { pid } => {
                self.framework_disconnected(turn, &pid);
                self.agent_disconnected(turn, &pid);
            }
            Input::Applied { operation } => self.applied(turn, operation),
            Input::Look => {}
        }
        self.end_drains(turn);
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some(timer) = self.timers.pop(now) {
            let turn = &mut Turn { now, out };
            match timer {
                Timer::Batch => self.batch_due(turn),
                Timer::Allocate => self.allocate(turn),
                Timer::Ping(id) => self.ping_due(turn, &id),
                Timer::Reregister(id) => self.reregister_due(turn, &id),
                Timer::Recovery => self.recovery_due(turn),
                Timer::Removal => self.removal_due(turn),
                Timer::RegistryGc => self.registry_gc_due(turn),
                Timer::Recovered(id) => self.recovered_due(turn, &id),
                Timer::Failover(id) => self.remove_framework(turn, &id),
                Timer::Offer(id) => self.offer_due(turn, &id),
                Timer::Heartbeat(id) => self.heartbeat(turn, &id),
            }
            self.end_drains(turn);
        }
    }

    fn check(&self) {
        self.check_all();
    }
}
