//! The agent machine: registers with the master, starts executors, hands them tasks, and carries what they report
//! to the frameworks until it is acknowledged.
//!
//! ```text
//! the agent                                             one run of an executor
//!
//!   Recovering ── Begin: Recover                          RunTask: Launch, tasks queue
//!        │ Recovered                                           │
//!        ▼                                                     ▼
//!   Disconnected ◄── no master ──┐                        Registering ── launch failed ───────────┐
//!        │ master detected       │                          │       │                              │
//!        ▼                       │              Subscribe:  │       │ timeout, nothing left to run │
//!   Registering ── backoff ─┐    │           Launch events  │       │                              │
//!        │      ◄───────────┘    │                          ▼       │                              │
//!        │ Registered,           │      Away ◄─ gone ──── Running   │                              │
//!        │ Reregistered          │    ▲   │ ─ Subscribe ──►  │      │                              │
//!        ▼                       │    │   │                  │      │                              │
//!     Running ── exited, ────────┘    │   │ too long:  Shutdown event│                              │
//!                silent, not connected:   │ Destroy    grace: Destroy│ Destroy                      │
//!                register again       │   ▼                  ▼       ▼                              ▼
//!                                     │  Terminating ◄────────────────── ContainerExited ──► tasks end, forgotten
//!   any ── Leave, Shutdown ──► leaving ──► Terminate
//!                                     └── found running by another life of the agent
//! ```
//!
//! What must not be forgotten is kept ([`checkpoint`]): a turn's changes go out as one batch, and what is said in that turn
//! and later waits until it is durable ([`gate`]). Another life of the agent takes the records up ([`recovery`]): executors
//! of frameworks that checkpoint come back to it, with what they have not heard to be held; what they do not know they are
//! told again. The operator may want the agent emptied ([`drain`]).
//!
//! A task's reports form a *stream* ([`updates`]): one is outstanding, the rest wait behind it. A task is forgotten
//! when its terminal report has been acknowledged, an executor when its container has exited.
//!
//! The machine trusts the detected master alone, by address and epoch: what others say, or it has said in an earlier lead, is
//! ignored and counted. Executors are not trusted: a call counts only if framework,
//! executor, container and the subscribed actor fit.

mod calls;
mod check;
pub mod checkpoint;
mod config;
mod container;
mod drain;
mod executors;
mod gate;
mod history;
mod input;
mod kill;
mod launch;
pub mod limits;
mod queue;
mod reconfigure;
mod records;
mod recovery;
mod registration;
mod resources;
mod state;
mod stream;
mod subscription;
mod tally;
mod updates;

#[cfg(test)]
mod chaos;
#[cfg(test)]
mod golden;

use libactor::{Machine, Pid, Random, Time, Timers};
use protocol::messages::{AgentEvent, ExecutorCallKind};

pub use config::{AgentConfig, ReconfigurationPolicy, Recover};
pub use history::{CompletedExecutor, CompletedFramework};
pub use input::{Ask, ContainerEnd, ContainerSpec, Found, Input, Limitation, Output, Refusal};
pub use queue::Queued;
pub use reconfigure::Incompatible;
pub use registration::Phase;
pub use state::{Agent, Counters, Executor, ExecutorState, Framework};
pub use tally::Tally;

use calls::Caller;
use state::Timer;

impl Agent {
    /// An agent that knows no master yet. The same seed gives the same container ids and waits.
    pub fn new(config: AgentConfig, seed: u64, now: Time) -> Self {
        Self {
            config,
            started: now,
            id: None,
            random: Random::new(seed),
            timers: Timers::default(),
            registration: registration::Registration::default(),
            frameworks: Default::default(),
            containers: Default::default(),
            subscribed: Default::default(),
            streams: Default::default(),
            ended_meanwhile: Default::default(),
            history: Default::default(),
            leaving: None,
            over: false,
            counters: Counters::default(),
            gate: Default::default(),
            recovery: Some(Default::default()),
            arrivals: 0,
            drain: None,
            drained_for: None,
            wanted: None,
            changed: false,
        }
    }

    fn takes(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Begin => self.begin(out),
            Input::MasterDetected { master } => self.detected(now, master, out),
            Input::Master { from, event } => self.master_says(now, &from, event, out),
            Input::Executor { from, call } => self.executor_calls(now, from, call, out),
            Input::Call { ask, framework_id, executor_id, stream, call } => {
                self.call(now, ask, Caller { framework_id, executor_id, stream }, call, out);
            }
            Input::Exited { pid } => self.exited(now, &pid, out),
            Input::Launched { container_id, result } => self.launched(now, &container_id, result, out),
            Input::ContainerExited { container_id, end } => {
                self.container_exited(now, &container_id, end, out);
            }
            Input::Recovered { containers } => self.recovered(now, containers, out),
            Input::Resources { total } => self.resources_change(total, out),
            Input::Leave => self.leave(now, out),
            Input::Checkpointed { .. } | Input::Look => {}
        }
    }

    /// What was said in a turn goes out once what it rests on is durable.
    fn end_turn(&mut self, said: Vec<Output>, out: &mut Vec<Output>) {
        self.settle_resources();
        self.gate.pass(said, out);
    }

    fn master_says(&mut self, now: Time, from: &Pid, event: AgentEvent, out: &mut Vec<Output>) {
        if !self.heeds(from, &event) {
            return;
        }
        match event {
            AgentEvent::Registered { agent_id, ping_timeout } => {
                self.registered(now, agent_id, ping_timeout, out);
            }
            AgentEvent::Reregistered { agent_id, ping_timeout, reconcile } => {
                self.reregistered(now, agent_id, ping_timeout, reconcile, out);
            }
            AgentEvent::Ping { connected } => self.ping(now, connected, out),
            AgentEvent::RunTask { framework, task, launch_executor } => {
                self.run(now, framework, Queued::Task(Box::new(task)), launch_executor, out);
            }
            AgentEvent::RunTaskGroup { framework, executor, mut tasks, launch_executor } => {
                tasks.iter_mut().for_each(|task| task.executor = Some(executor.clone()));
                self.run(now, framework, Queued::Group(tasks), launch_executor, out);
            }
            AgentEvent::KillTask { framework_id, task_id, kill_policy } => {
                self.kill_task(now, framework_id, task_id, kill_policy, out);
            }
            AgentEvent::Acknowledge { framework_id, task_id, uuid } => {
                self.acknowledge(now, framework_id, task_id, uuid, out);
            }
            AgentEvent::Message { framework_id, executor_id, data } => {
                self.message_to_executor(&framework_id, &executor_id, data, out);
            }
            AgentEvent::UpdateFramework { framework } => self.framework_is_back(now, framework, out),
            AgentEvent::ShutdownExecutor { framework_id, executor_id } => {
                self.shutdown_executor(now, &framework_id, &executor_id, out);
            }
            AgentEvent::ShutdownFramework { framework_id } => {
                self.shutdown_framework(now, &framework_id, out);
            }
            AgentEvent::Shutdown { message } => self.shutdown(now, message, out),
            AgentEvent::Drain { max_grace_period } => self.drain(now, max_grace_period, out),
            AgentEvent::Reactivate => {
                self.reactivate();
                self.drained_for = None;
            }
        }
    }

    /// An executor calls over HTTP: it is answered, then what it asks for happens.
    fn call(&mut self, now: Time, ask: Ask, caller: Caller, call: ExecutorCallKind, out: &mut Vec<Output>) {
        if call == ExecutorCallKind::Heartbeat {
            // It asks for nothing, and its ids may be nobody's: Mesos's own library sends such.
            return out.push(Output::Answer { ask, answer: Ok(()) });
        }
        match self.admit(&caller, &call) {
            Ok(container_id) => {
                out.push(Output::Answer { ask, answer: Ok(()) });
                self.take_call(now, caller, &container_id, call, out);
            }
            Err((refusal, why)) => {
                tracing::info!(executor_id = %caller.executor_id, framework_id = %caller.framework_id, why, "call of an executor refused");
                self.counters.refused_executor_calls += 1;
                out.push(Output::Answer { ask, answer: Err((refusal, why)) });
            }
        }
    }

    fn due(&mut self, now: Time, timer: Timer, out: &mut Vec<Output>) {
        match timer {
            Timer::Register => self.attempt(now, out),
            Timer::Ping => self.silent_master(now, out),
            Timer::ExecutorRegistration(container_id) => self.registration_timeout(&container_id, out),
            Timer::ExecutorReturn(container_id) => self.executor_stays_away(&container_id, out),
            Timer::Heartbeat(container_id) => self.heartbeat(now, container_id, out),
            Timer::Destroy(container_id) => out.push(Output::Destroy { container_id }),
            Timer::Retry(framework_id, task_id) => self.forward(now, framework_id, task_id, out),
            Timer::Leave => self.end_anyway(out),
        }
    }
}

impl Machine for Agent {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if let Input::Checkpointed { number } = input {
            return self.gate.durable(number, out);
        }
        if self.over {
            return; // Its end waits for the disk.
        }
        let mut said = Vec::new();
        self.takes(now, input, &mut said);
        self.end_turn(said, out);
    }

    fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        let mut said = Vec::new();
        while let Some(timer) = self.timers.pop(now) {
            if self.over {
                continue;
            }
            self.due(now, timer, &mut said);
        }
        self.end_turn(said, out);
    }

    fn check(&self) {
        self.check_invariants();
    }
}
