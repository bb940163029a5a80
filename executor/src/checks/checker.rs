//! The shell of a task's checks: the clock, and the questions under way.

use std::collections::VecDeque;

use libactor::Machine;
use protocol::wire::convert;
use protocol::{Check, CheckStatus, HealthCheck, Probe, TaskInfo};

use super::machine::{Answer, Checks, Input, Output, Which};
use super::probe::{Asking, Prober};

/// What a task asks to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    health: Option<HealthCheck>,
    general: Option<Check>,
}

impl Asked {
    /// What a task asks for.
    ///
    /// # Errors
    /// Says what can't be done.
    pub(crate) fn of(task: &TaskInfo) -> Result<Self, String> {
        let Some(unread) = &task.unread else { return Ok(Self::default()) };
        let unread = unread.read();
        Ok(Self {
            health: unread.health_check.as_ref().map(convert::health_check).transpose()?,
            general: unread.check.as_ref().map(convert::check).transpose()?,
        })
    }

    /// What is said of a check that has no result yet; nothing where there is no check.
    pub(crate) fn no_result(&self) -> Option<CheckStatus> {
        self.general.as_ref().map(|check| CheckStatus::none_of(&check.probe))
    }
}

/// What is to be told of a task, or done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Its health, as it was found now.
    Health { healthy: bool, message: String },
    /// The result of its check, which has changed.
    Changed(CheckStatus),
    /// It is to be killed, and why.
    Kill { message: String },
}

/// Looks at a task until it is dropped, which ends what is under way.
pub(crate) struct Checker {
    machine: Checks,
    prober: Prober,
    asked: Asked,
    /// At most one of each kind.
    health: Option<Asking>,
    general: Option<Asking>,
    findings: VecDeque<Finding>,
}

impl Checker {
    /// Begins now; nothing where nothing is asked for.
    pub(crate) fn begin(asked: Asked, prober: Prober) -> Option<Self> {
        if asked == Asked::default() {
            return None;
        }
        let machine = Checks::new(asked.health.as_ref(), asked.general.as_ref());
        let mut checker =
            Self { machine, prober, asked, health: None, general: None, findings: VecDeque::new() };
        checker.feed(Input::Begin);
        Some(checker)
    }

    /// The next finding.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped; questions under way go on with the next call.
    pub(crate) async fn next(&mut self) -> Finding {
        loop {
            if let Some(finding) = self.findings.pop_front() {
                return finding;
            }
            let clock = self.prober.clock.clone();
            let deadline = self.machine.deadline();
            let due = async {
                match deadline {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answer = answered(&mut self.health) => {
                    self.feed(Input::Answer { which: Which::Health, answer });
                }
                answer = answered(&mut self.general) => {
                    self.feed(Input::Answer { which: Which::General, answer });
                }
                () = due => {
                    let mut out = Vec::new();
                    self.machine.tick(clock.now(), &mut out);
                    self.carry_out(out);
                }
            }
        }
    }

    /// Looks no more: the task is being ended.
    pub(crate) fn stop(&mut self) {
        self.findings.clear();
        self.feed(Input::Stop);
    }

    fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.machine.handle(self.prober.clock.now(), input, &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        if cfg!(debug_assertions) {
            self.machine.check();
        }
        for output in out {
            match output {
                Output::Probe { which, timeout } => {
                    if let Some(probe) = self.probe(which) {
                        *self.slot(which) = Some(self.prober.ask(&probe, timeout));
                    }
                }
                Output::Cancel { which } => *self.slot(which) = None,
                Output::Health { healthy, message } => {
                    self.findings.push_back(Finding::Health { healthy, message });
                }
                Output::Changed { status } => self.findings.push_back(Finding::Changed(status)),
                Output::Kill { message } => self.findings.push_back(Finding::Kill { message }),
            }
        }
    }

    fn probe(&self, which: Which) -> Option<Probe> {
        match which {
            Which::Health => self.asked.health.as_ref().map(|asked| asked.probe.clone()),
            Which::General => self.asked.general.as_ref().map(|asked| asked.probe.clone()),
        }
    }

    fn slot(&mut self, which: Which) -> &mut Option<Asking> {
        match which {
            Which::Health => &mut self.health,
            Which::General => &mut self.general,
        }
    }
}

/// The answer to a question under way, which is over then.
async fn answered(slot: &mut Option<Asking>) -> Answer {
    let Some(asking) = slot else { return std::future::pending().await };
    let answer = asking.await;
    *slot = None;
    answer
}
