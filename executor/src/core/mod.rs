//! The session of an executor with its agent, as plain data.
//!
//! ```text
//!        Start              Subscribed
//!  Idle ───────► Subscribing ───────► Subscribed        connection
//!                 ▲     │ agent gone      │ agent gone
//!                 │     ▼                 ▼
//!                 └── Waiting ◄───────────┘   (framework with checkpoint; at most the recovery timeout)
//!                     Lost    ◄───────────┘   (without: shut down at once)
//!
//!  Running ──► ShuttingDown ──► Draining ──► Ended      life
//!     └───────── Stop ─────────────▲
//! ```
//! While it drains, and its framework checkpoints, it waits for an agent that is away as well: nobody else knows how its tasks
//! have ended.
//!
//! Updates are kept until the agent acknowledges them, which it does once it holds them; tasks until an update of theirs
//! is acknowledged. Both go with every subscription. A shutdown is a callback, after which the session ends; from its beginning
//! a watchdog makes sure that the process ends.

mod agent;
mod calls;
mod input;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use libactor::{Machine, Pid, Random, Time};
use protocol::messages::{ExecutorCall, ExecutorCallKind};
use protocol::{ContainerId, ExecutorId, FrameworkId, StatusUpdate, TaskId, TaskInfo, Uuid};

pub use input::{Callback, DriverCall, Input, Output};

use crate::Status;
use crate::limits::{
    DRAIN_TIMEOUT, DRAIN_TIMEOUT_CHECKPOINT, MAX_CALLBACKS, MAX_CALLBACKS_HARD, MAX_UNACKNOWLEDGED,
};

/// What a session is made of: what the agent tells an executor in its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// `MESOS_FRAMEWORK_ID`.
    pub framework_id: FrameworkId,
    /// `MESOS_EXECUTOR_ID`.
    pub executor_id: ExecutorId,
    /// `MESOS_CONTAINER_ID`.
    pub container_id: ContainerId,
    /// `MESOS_SLAVE_PID`.
    pub agent: Pid,
    /// `MESOS_CHECKPOINT`: whether it outlives its agent's process.
    pub checkpoint: bool,
    /// `MESOS_RECOVERY_TIMEOUT`: for how long.
    pub recovery_timeout: Duration,
    /// `MESOS_SUBSCRIPTION_BACKOFF_MAX`: the longest wait before subscribing again.
    pub backoff_max: Duration,
    /// `MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD`: between a shutdown and the watchdog's kill.
    pub shutdown_grace: Duration,
    /// `LIBPROCESS_IP`: where its node listens; absent: at its agent's address, for that is on the same host.
    pub ip: Option<IpAddr>,
    /// For the jitter of waits and the uuids of updates.
    pub seed: u64,
}

/// The session.
#[derive(Clone, Debug)]
pub struct Session {
    config: SessionConfig,
    random: Random,
    link: Link,
    life: Life,
    /// When it stops waiting for its agent to come back.
    give_up: Option<Time>,
    /// Failed attempts since the last subscription.
    attempts: u32,
    registered: bool,
    /// Launched, and no update of theirs is acknowledged.
    tasks: BTreeMap<TaskId, TaskInfo>,
    /// Not acknowledged, oldest first.
    updates: VecDeque<StatusUpdate>,
    /// The newest of them that went with the last subscription.
    told: Option<Uuid>,
    /// When updates that may be lost are to be sent again.
    repeat: Option<Time>,
    callbacks: VecDeque<Callback>,
    running: Option<Running>,
    error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Idle,
    Subscribing { until: Time },
    Subscribed,
    Waiting { until: Time },
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    ShuttingDown,
    Failing,
    /// `until`: none while the agent is away, whom the last updates are for.
    Draining {
        status: Status,
        until: Option<Time>,
    },
    Ended {
        status: Status,
    },
}

/// The callback that has not returned yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    Plain,
    Shutdown,
    Error,
}

impl Session {
    /// A session that was not started.
    pub fn new(config: SessionConfig) -> Self {
        Self {
            random: Random::new(config.seed),
            config,
            link: Link::Idle,
            life: Life::Running,
            give_up: None,
            attempts: 0,
            registered: false,
            tasks: BTreeMap::new(),
            updates: VecDeque::new(),
            told: None,
            repeat: None,
            callbacks: VecDeque::new(),
            running: None,
            error: None,
        }
    }

    /// The state that the executor sees.
    pub fn status(&self) -> Status {
        match (self.life, self.link) {
            (Life::Ended { status } | Life::Draining { status, .. }, _) => status,
            (Life::Failing, _) => Status::Aborted,
            (Life::Running | Life::ShuttingDown, Link::Idle) => Status::NotStarted,
            (Life::Running | Life::ShuttingDown, _) => Status::Running,
        }
    }

    /// What it was made of.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    fn send(&mut self, call: ExecutorCallKind, out: &mut Vec<Output>) {
        let call = ExecutorCall {
            framework_id: self.config.framework_id.clone(),
            executor_id: self.config.executor_id.clone(),
            container_id: self.config.container_id.clone(),
            call,
        };
        out.push(Output::Send { to: self.config.agent.clone(), call });
    }

    /// Queues a callback. Messages are dropped when the executor is slow; nothing else is.
    fn push(&mut self, callback: Callback, out: &mut Vec<Output>) {
        let full = match callback {
            Callback::Message(_) => self.callbacks.len() >= MAX_CALLBACKS,
            _ => false,
        };
        if full {
            tracing::warn!("a message was dropped: callbacks are too slow");
        } else if self.callbacks.len() >= MAX_CALLBACKS_HARD {
            self.fail(
                format!("more than {MAX_CALLBACKS_HARD} callbacks wait: the executor is too slow"),
                out,
            );
        } else {
            self.callbacks.push_back(callback);
        }
    }

    /// Hands out the next callback, if none runs.
    fn pump(&mut self, out: &mut Vec<Output>) {
        if self.running.is_some() || matches!(self.life, Life::Draining { .. } | Life::Ended { .. }) {
            return;
        }
        let Some(callback) = self.callbacks.pop_front() else { return };
        self.running = Some(match callback {
            Callback::Shutdown => Running::Shutdown,
            Callback::Error(_) => Running::Error,
            _ => Running::Plain,
        });
        out.push(Output::Callback(callback));
    }

    /// Asks the executor to end. What was to be launched is not.
    fn shut_down(&mut self, out: &mut Vec<Output>) {
        if self.life != Life::Running {
            return;
        }
        self.life = Life::ShuttingDown;
        out.push(Output::Watchdog { after: self.config.shutdown_grace });
        self.callbacks.clear();
        self.callbacks.push_back(Callback::Shutdown);
    }

    /// Ends with an error that the executor is still told of.
    fn fail(&mut self, message: String, out: &mut Vec<Output>) {
        if !matches!(self.life, Life::Running | Life::ShuttingDown) {
            return;
        }
        tracing::error!(%message, "the executor's driver ends");
        if self.life == Life::Running {
            out.push(Output::Watchdog { after: self.config.shutdown_grace });
        }
        self.error = Some(message.clone());
        self.life = Life::Failing;
        self.callbacks.clear();
        self.callbacks.push_back(Callback::Error(message));
    }

    /// Ends as soon as the agent holds all updates, or after a short wait.
    fn drain(&mut self, now: Time, status: Status, out: &mut Vec<Output>) {
        self.life = Life::Draining { status, until: None };
        if self.link == Link::Subscribed || self.link == Link::Idle {
            self.drain_until(now);
        }
        self.callbacks.clear();
        self.end_if_drained(out);
    }

    /// The agent is there: the end waits a while for its acknowledgements.
    fn drain_until(&mut self, now: Time) {
        if let Life::Draining { until, .. } = &mut self.life {
            let timeout = if self.config.checkpoint { DRAIN_TIMEOUT_CHECKPOINT } else { DRAIN_TIMEOUT };
            *until = Some(now + timeout);
        }
    }

    /// The agent is away: the end waits until it is back, or is given up.
    fn drain_without_end(&mut self) {
        if let Life::Draining { until, .. } = &mut self.life {
            *until = None;
        }
    }

    fn end_if_drained(&mut self, out: &mut Vec<Output>) {
        let Life::Draining { status, .. } = self.life else { return };
        let may_be_told = match self.link {
            Link::Subscribed => true,
            Link::Subscribing { .. } | Link::Waiting { .. } => self.config.checkpoint,
            Link::Idle | Link::Lost => false,
        };
        if self.updates.is_empty() || !may_be_told {
            self.end(status, out);
        }
    }

    fn end(&mut self, status: Status, out: &mut Vec<Output>) {
        self.life = Life::Ended { status };
        self.callbacks.clear();
        if self.link != Link::Idle && self.link != Link::Lost {
            out.push(Output::Unlink { pid: self.config.agent.clone() });
        }
        out.push(Output::Terminate { status, error: self.error.clone() });
    }

    fn callback_returned(&mut self, now: Time, out: &mut Vec<Output>) {
        let finished = self.running.take();
        match (self.life, finished) {
            (Life::ShuttingDown, Some(Running::Shutdown)) => self.drain(now, Status::Aborted, out),
            (Life::Failing, Some(Running::Error)) => self.end(Status::Aborted, out),
            _ => {}
        }
    }
}

impl Machine for Session {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if matches!(self.life, Life::Ended { .. }) {
            return;
        }
        match input {
            Input::Start => self.start(now, out),
            Input::Agent { from, event } => self.agent_speaks(now, &from, event, out),
            Input::Exited { pid } => self.exited(now, &pid, out),
            Input::Call(call) => self.call(now, call, out),
            Input::NotSent => self.not_sent(now),
            Input::CallbackReturned => self.callback_returned(now, out),
            Input::CallbackPanicked { message } => {
                self.error = Some(format!("a callback of the executor has panicked: {message}"));
                out.push(Output::Watchdog { after: self.config.shutdown_grace });
                self.end(Status::Aborted, out);
            }
            Input::CallsOverflowed => {
                self.fail("more calls were made than may wait: some are lost".to_owned(), out);
            }
        }
        self.pump(out);
    }

    fn deadline(&self) -> Option<Time> {
        if matches!(self.life, Life::Ended { .. }) {
            return None;
        }
        let link = match self.link {
            Link::Subscribing { until } | Link::Waiting { until } => Some(until),
            Link::Idle | Link::Subscribed | Link::Lost => None,
        };
        let drain = match self.life {
            Life::Draining { until, .. } => until,
            _ => None,
        };
        [link, drain, self.give_up, self.repeat].into_iter().flatten().min()
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.deadline().is_none_or(|until| until > now) {
            return;
        }
        match self.life {
            Life::Draining { status, until: Some(until) } if until <= now => return self.end(status, out),
            _ => {}
        }
        self.tick_link(now, out);
        self.pump(out);
    }

    fn check(&self) {
        assert!(self.callbacks.len() <= MAX_CALLBACKS_HARD, "callbacks are bounded");
        assert!(self.updates.len() <= MAX_UNACKNOWLEDGED, "updates are bounded");
        let uuids: BTreeSet<_> = self.updates.iter().map(|update| update.status.uuid).collect();
        assert_eq!(uuids.len(), self.updates.len(), "every update has a uuid of its own");
        assert!(!uuids.contains(&None), "every update has a uuid");
        let held = matches!(self.life, Life::Draining { .. } | Life::Ended { .. });
        assert!(
            held || self.running.is_some() || self.callbacks.is_empty(),
            "a callback waits only for another"
        );
    }
}
