//! The session of a scheduler with the leading master, as plain data.
//!
//! ```text
//!          Start            leader detected            Subscribed
//!  Idle ────────► Seeking ───────────────► Subscribing ────────────► Subscribed
//!                    ▲                      ▲        │ silent, gone      │ master gone: Disconnected
//!                    │                      │        ▼                   ▼
//!                    │                      └───── Waiting ◄─────────────┘
//!                    │                                │
//!                    └──────── none leads ────────────┴── from Subscribed: Disconnected
//!
//!  any of these ── another leader, or another epoch: from Subscribed Disconnected ──► Subscribing
//!  any ── Stop, Abort, a panic ──► Ended          any ── Error of the master ──► Failing ──► Ended
//! ```
//!
//! Who leads is detected elsewhere ([`libactor::detect`]) and told: the session follows. A new leader is asked at once; one that is
//! silent or gone is asked again after waits that double. Nobody else is listened to. Another epoch is another lead, also of the
//! same master: it has forgotten who was subscribed. A subscription always carries the framework's id, once there is one, and the
//! suppressed roles.
//!
//! Callbacks go out one at a time; the next one waits for [`Input::CallbackReturned`]. An update is acknowledged when its
//! callback has returned, unless the framework acknowledges by itself. What waits for a slow scheduler is bounded:
//!
//! | what | while there is room | at [`MAX_CALLBACKS`] | at [`MAX_CALLBACKS_HARD`] |
//! |---|---|---|---|
//! | offers | wait | declined at once | |
//! | a rescinded offer that still waits | both vanish | both vanish | both vanish |
//! | an update that an agent repeats | waits, once | takes the place of waiting offers, else dropped: its agent repeats it | |
//! | a message of an executor | waits | dropped (delivery is at most once) | |
//! | all else (the master's own updates, losses, connection) | waits | waits | the driver ends with an error |
//!
//! Calls made without a master are dropped, with three exceptions: suppressed and revived roles are remembered, tasks to be launched
//! are reported lost (or dropped, to a framework that can tell), and a stop is a stop.

mod calls;
mod connect;
mod events;
mod input;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use libactor::detect::Leader;
use libactor::{Machine, Pid, Random, Time};
use protocol::{FrameworkInfo, Role, TaskId, Uuid};

pub use input::{Callback, DriverCall, Input, Output};

use crate::Status;
#[cfg(doc)]
use crate::limits::MAX_CALLBACKS;
use crate::limits::MAX_CALLBACKS_HARD;
use queue::CallbackQueue;

/// What a session is made of.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Who subscribes; with an id: a framework that was there before.
    pub framework: FrameworkInfo,
    /// Whether an update is acknowledged when its callback has returned.
    pub implicit_acknowledgements: bool,
    /// Roles for which no offers are wanted at first.
    pub suppressed_roles: BTreeSet<Role>,
    /// For the jitter of waits.
    pub seed: u64,
}

/// The session.
#[derive(Clone, Debug)]
pub struct Session {
    framework: FrameworkInfo,
    /// As detected.
    leader: Option<Leader>,
    /// Whether the end of the leader's actor will be reported.
    linked: bool,
    implicit_acknowledgements: bool,
    suppressed: BTreeSet<Role>,
    random: Random,
    phase: Phase,
    /// Attempts in a row that the leader did not answer.
    attempts: u32,
    /// Whether the log says already that no master answers.
    complained: bool,
    /// Whether `Registered` was delivered.
    registered: bool,
    callbacks: CallbackQueue,
    running: Option<Running>,
    error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// Nobody leads; `until` it is time to say so.
    Seeking {
        until: Option<Time>,
    },
    Subscribing {
        until: Time,
    },
    Subscribed,
    Waiting {
        until: Time,
    },
    Failing,
    Ended {
        status: Status,
    },
}

/// The callback that has not returned yet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Running {
    /// One after which nothing is due.
    Plain,
    /// An update to be acknowledged.
    Update { agent_id: Option<protocol::AgentId>, task_id: TaskId, uuid: Uuid },
    /// The last one.
    Error,
}

impl Session {
    /// A session that was not started, and knows no master.
    pub fn new(config: SessionConfig) -> Self {
        Self {
            framework: config.framework,
            leader: None,
            linked: false,
            implicit_acknowledgements: config.implicit_acknowledgements,
            suppressed: config.suppressed_roles,
            random: Random::new(config.seed),
            phase: Phase::Idle,
            attempts: 0,
            complained: false,
            registered: false,
            callbacks: CallbackQueue::default(),
            running: None,
            error: None,
        }
    }

    /// The state that the framework sees.
    pub fn status(&self) -> Status {
        match self.phase {
            Phase::Idle => Status::NotStarted,
            Phase::Failing => Status::Aborted,
            Phase::Ended { status } => status,
            Phase::Seeking { .. } | Phase::Subscribing { .. } | Phase::Subscribed | Phase::Waiting { .. } => {
                Status::Running
            }
        }
    }

    /// The master that it is subscribed at.
    pub fn master(&self) -> Option<&Pid> {
        self.leader.as_ref().filter(|_| self.phase == Phase::Subscribed).map(|leader| &leader.pid)
    }

    /// The master that was detected: the only one that is listened to.
    pub fn leader(&self) -> Option<&Leader> {
        self.leader.as_ref()
    }

    /// Who subscribes; the id is set once it is known.
    pub fn framework(&self) -> &FrameworkInfo {
        &self.framework
    }

    /// Hands out the next callback, if none runs.
    fn pump(&mut self, out: &mut Vec<Output>) {
        if self.running.is_some() || matches!(self.phase, Phase::Idle | Phase::Ended { .. }) {
            return;
        }
        let Some(callback) = self.callbacks.pop() else { return };
        self.running = Some(match &callback {
            Callback::Update(status) => match status.uuid {
                Some(uuid) if self.implicit_acknowledgements => Running::Update {
                    agent_id: status.agent_id.clone(),
                    task_id: status.task_id.clone(),
                    uuid,
                },
                _ => Running::Plain,
            },
            Callback::Error(_) => Running::Error,
            _ => Running::Plain,
        });
        out.push(Output::Callback(callback));
    }

    /// Ends the session.
    fn end(&mut self, status: Status, out: &mut Vec<Output>) {
        self.unlink(out);
        self.callbacks.clear();
        self.phase = Phase::Ended { status };
        out.push(Output::Terminate { status, error: self.error.clone() });
    }

    /// Ends the session with an error that the scheduler is still told of.
    fn fail(&mut self, message: String) {
        if self.phase == Phase::Failing {
            return;
        }
        tracing::error!(%message, "the driver ends");
        self.error = Some(message.clone());
        self.callbacks.clear();
        self.phase = Phase::Failing;
        let admission = self.callbacks.push(Callback::Error(message), &mut Vec::new());
        assert_eq!(admission, queue::Admission::Kept, "an empty queue has room");
    }
}

impl Machine for Session {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if matches!(self.phase, Phase::Ended { .. }) {
            return;
        }
        match input {
            Input::Start => self.start(now, out),
            Input::MasterDetected { master } => self.detected(now, master, out),
            Input::Master { from, event } => self.master_speaks(from, event, out),
            Input::Exited { pid } => self.exited(now, &pid, out),
            Input::Call(call) => self.call(now, call, out),
            Input::NotSent { call } => self.not_sent(now, *call),
            Input::CallbackReturned => self.callback_returned(out),
            Input::CallbackPanicked { message } => {
                self.error = Some(format!("a callback of the scheduler has panicked: {message}"));
                self.end(Status::Aborted, out);
            }
            Input::CallsOverflowed => {
                self.fail("more calls were made than may wait: some are lost".to_owned());
            }
        }
        self.pump(out);
    }

    fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Seeking { until } => until,
            Phase::Subscribing { until } | Phase::Waiting { until } => Some(until),
            Phase::Idle | Phase::Subscribed | Phase::Failing | Phase::Ended { .. } => None,
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.deadline().is_none_or(|until| until > now) {
            return;
        }
        match self.phase {
            Phase::Waiting { .. } => self.attempt(now, out),
            Phase::Subscribing { .. } => self.attempt_failed(now),
            Phase::Seeking { .. } => self.lose_patience(),
            Phase::Idle | Phase::Subscribed | Phase::Failing | Phase::Ended { .. } => {}
        }
    }

    fn check(&self) {
        assert!(self.callbacks.len() <= MAX_CALLBACKS_HARD, "callbacks are bounded");
        let tracked = self
            .callbacks
            .iter()
            .filter(|callback| matches!(callback, Callback::Update(status) if status.uuid.is_some()))
            .count();
        assert_eq!(tracked, self.callbacks.tracked_updates(), "every waiting update is known by its uuid");
        assert!(!self.linked || self.leader.is_some(), "only the leader is linked to");
        assert!(!matches!(self.phase, Phase::Seeking { .. }) || self.leader.is_none(), "a leader is asked");
        if self.phase == Phase::Subscribed {
            assert!(self.linked, "the master is linked");
            assert!(self.framework.id.is_some(), "a subscribed framework has an id");
        } else {
            assert!(
                !self.callbacks.iter().any(|callback| matches!(callback, Callback::Offers(_))),
                "offers die with the connection"
            );
        }
        assert!(
            self.running.is_some() || self.callbacks.len() == 0 || self.phase == Phase::Idle,
            "a callback waits only for another"
        );
    }
}
