//! When to look at a task, and what the answers mean.
//!
//! ```text
//!         Begin            delay, interval
//!  Idle ─────────► Waiting ───────────────► Probing
//!                   │   ▲───── answer ────────┘ │
//!                   └── Stop ──► Over ◄── Stop ─┘
//! ```
//!
//! A health check says how a task is after its first success, after the first success that follows failures, and after every
//! failure; general checks say what has changed. Neither speaks more often than once in [`REPORT_PACE`]: what is
//! newest then is said. Failures within the grace period and before the first success do not count. The failure that is one too
//! many always speaks, and asks for the task's end.

use std::time::Duration;

use libactor::{Machine, Time};
use protocol::{Check, CheckStatus, HealthCheck, Pace};

use crate::limits::{MIN_PROBE_INTERVAL, REPORT_PACE};

/// Which of a task's two checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Health,
    General,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The command exited with this.
    Exited(i32),
    /// The server answered with this code.
    Status(u16),
    /// Whether a connection was made, and why not.
    Connected(Result<(), String>),
    /// There is no answer, and this is why: it took too long, it could not be asked.
    None(String),
}

/// Facts and requests.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The task runs.
    Begin,
    /// A probe is over.
    Answer { which: Which, answer: Answer },
    /// Look no more: the task is being ended.
    Stop,
}

/// Imperatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Ask, for at most this long, and report [`Input::Answer`]. There is at most one of each kind under way.
    Probe { which: Which, timeout: Option<Duration> },
    /// The probe under way is not wanted any more.
    Cancel { which: Which },
    /// Report how the task is.
    Health { healthy: bool, message: String },
    /// Report what has changed.
    Changed { status: CheckStatus },
    /// Kill the task, which is not healthy.
    Kill { message: String },
}

/// The checks of one task.
#[derive(Clone, Debug)]
pub(crate) struct Checks {
    health: Option<Health>,
    general: Option<General>,
}

#[derive(Clone, Debug)]
struct Health {
    rounds: Rounds,
    kind: &'static str,
    grace: Duration,
    most: u32,
    started: Option<Time>,
    /// Whether there was no success yet.
    initializing: bool,
    failures: u32,
    last: Option<bool>,
    /// Why it is what it is.
    message: String,
    told: Told<bool>,
}

#[derive(Clone, Debug)]
struct General {
    rounds: Rounds,
    last: CheckStatus,
    told: Told<CheckStatus>,
    none: CheckStatus,
}

/// Waits and probes in turn.
#[derive(Clone, Debug)]
struct Rounds {
    which: Which,
    pace: Pace,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Waiting { until: Time },
    Probing,
    Over,
}

/// What was said last, and from when on more may be said.
#[derive(Clone, Debug)]
struct Told<T> {
    value: Option<T>,
    next: Time,
}

impl<T: PartialEq> Told<T> {
    /// Whether something new waits to be said, which it may from then on.
    fn due(&self, value: Option<T>) -> Option<Time> {
        (value.is_some() && value != self.value).then_some(self.next)
    }

    fn tell(&mut self, now: Time, value: T) {
        self.value = Some(value);
        self.next = now + REPORT_PACE;
    }
}

impl Rounds {
    fn new(which: Which, pace: Pace) -> Self {
        Self { which, pace, state: State::Idle }
    }

    fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Idle | State::Probing | State::Over => None,
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.deadline().is_some_and(|until| until <= now) {
            self.state = State::Probing;
            out.push(Output::Probe { which: self.which, timeout: self.pace.timeout });
        }
    }

    /// Whether an answer is one that was waited for; the next round begins.
    fn answered(&mut self, now: Time) -> bool {
        let awaited = self.state == State::Probing;
        if awaited {
            self.state = State::Waiting { until: now + self.pace.interval.max(MIN_PROBE_INTERVAL) };
        }
        awaited
    }

    fn control(&mut self, now: Time, input: &Input, out: &mut Vec<Output>) {
        match (input, self.state) {
            (Input::Begin, State::Idle) => self.state = State::Waiting { until: now + self.pace.delay },
            (Input::Stop, State::Probing) => {
                out.push(Output::Cancel { which: self.which });
                self.state = State::Over;
            }
            (Input::Stop, _) => self.state = State::Over,
            _ => {}
        }
    }
}

impl Health {
    fn answered(&mut self, now: Time, answer: &Answer, out: &mut Vec<Output>) {
        if !self.rounds.answered(now) {
            return;
        }
        match judge(answer) {
            Ok(()) => {
                self.initializing = false;
                self.failures = 0;
                self.last = Some(true);
                self.message = format!("{} health check passed", self.kind);
                self.tell_if_due(now, out);
            }
            Err(why) => self.failed(now, &why, out),
        }
    }

    fn failed(&mut self, now: Time, why: &str, out: &mut Vec<Output>) {
        let kind = self.kind;
        let young =
            self.started.is_some_and(|started| !self.grace.is_zero() && now.since(started) <= self.grace);
        if self.initializing && young {
            tracing::info!(%why, "a failed {kind} health check is ignored within the grace period");
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = Some(false);
        tracing::warn!(%why, failures = self.failures, "the {kind} health check failed");
        let (failures, most) = (self.failures, self.most.max(1));
        self.message = format!("{kind} health check failed ({failures} of {most}): {why}");
        if failures >= most || self.told.next <= now {
            self.tell(now, false, out);
        }
        if failures >= most {
            let times = match failures {
                1 => "once".to_owned(),
                more => format!("{more} times in a row"),
            };
            out.push(Output::Kill { message: format!("{kind} health check failed {times}: {why}") });
            self.rounds.state = State::Over;
        }
    }

    fn tell_if_due(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.told.due(self.last).is_some_and(|at| at <= now)
            && let Some(healthy) = self.last
        {
            self.tell(now, healthy, out);
        }
    }

    fn tell(&mut self, now: Time, healthy: bool, out: &mut Vec<Output>) {
        self.told.tell(now, healthy);
        out.push(Output::Health { healthy, message: self.message.clone() });
    }
}

impl General {
    fn answered(&mut self, now: Time, answer: &Answer, out: &mut Vec<Output>) {
        if !self.rounds.answered(now) {
            return;
        }
        self.last = match (answer, self.none) {
            (Answer::Exited(status), CheckStatus::Command(_)) => CheckStatus::Command(Some(*status)),
            (Answer::Status(code), CheckStatus::Http(_)) => CheckStatus::Http(Some(*code)),
            (Answer::Connected(made), CheckStatus::Tcp(_)) => CheckStatus::Tcp(Some(made.is_ok())),
            (Answer::None(why), _) => {
                tracing::warn!(%why, "the check has no result");
                self.none
            }
            _ => self.none,
        };
        self.tell_if_due(now, out);
    }

    fn tell_if_due(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.told.due(Some(self.last)).is_some_and(|at| at <= now) {
            self.told.tell(now, self.last);
            out.push(Output::Changed { status: self.last });
        }
    }
}

impl Checks {
    /// The checks that a task asks for, which has not begun.
    pub(crate) fn new(health: Option<&HealthCheck>, general: Option<&Check>) -> Self {
        Self {
            health: health.map(|asked| Health {
                rounds: Rounds::new(Which::Health, asked.pace),
                kind: asked.probe.kind(),
                grace: asked.grace,
                most: asked.consecutive_failures,
                started: None,
                initializing: true,
                failures: 0,
                last: None,
                message: String::new(),
                told: Told { value: None, next: Time::default() },
            }),
            general: general.map(|asked| {
                let none = CheckStatus::none_of(&asked.probe);
                General {
                    rounds: Rounds::new(Which::General, asked.pace),
                    last: none,
                    told: Told { value: Some(none), next: Time::default() },
                    none,
                }
            }),
        }
    }
}

/// Whether an answer is that of a healthy task, and why not.
fn judge(answer: &Answer) -> Result<(), String> {
    match answer {
        Answer::Exited(0) | Answer::Status(200..400) | Answer::Connected(Ok(())) => Ok(()),
        Answer::Exited(status) => Err(format!("Command exited with status {status}")),
        Answer::Status(code) => Err(format!("Unexpected HTTP response code: {code}")),
        Answer::Connected(Err(why)) => Err(format!("TCP connection failed: {why}")),
        Answer::None(why) => Err(why.clone()),
    }
}

impl Machine for Checks {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if let Some(health) = &mut self.health {
            match &input {
                Input::Answer { which: Which::Health, answer } => health.answered(now, answer, out),
                other => health.rounds.control(now, other, out),
            }
            if matches!(input, Input::Begin) {
                health.started.get_or_insert(now);
            }
        }
        if let Some(general) = &mut self.general {
            match &input {
                Input::Answer { which: Which::General, answer } => general.answered(now, answer, out),
                other => general.rounds.control(now, other, out),
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        let health = self.health.as_ref().filter(|health| health.rounds.state != State::Over);
        let general = self.general.as_ref().filter(|general| general.rounds.state != State::Over);
        [
            health.and_then(|health| health.rounds.deadline()),
            health.and_then(|health| health.told.due(health.last)),
            general.and_then(|general| general.rounds.deadline()),
            general.and_then(|general| general.told.due(Some(general.last))),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Some(health) = self.health.as_mut().filter(|health| health.rounds.state != State::Over) {
            health.tell_if_due(now, out);
            health.rounds.tick(now, out);
        }
        if let Some(general) = self.general.as_mut().filter(|general| general.rounds.state != State::Over) {
            general.tell_if_due(now, out);
            general.rounds.tick(now, out);
        }
    }

    fn check(&self) {
        if let Some(health) = &self.health {
            assert!(health.initializing || health.last.is_some(), "a task that was healthy has a state");
            assert!(health.failures == 0 || health.last == Some(false), "failures make a task unhealthy");
        }
    }
}

#[cfg(test)]
mod tests;
