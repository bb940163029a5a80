//! The agent and its master: registering, being pinged, losing one another.

use std::time::Duration;

use libactor::detect::Leader;
use libactor::{Pid, Time};
use protocol::messages::{AgentCall, AgentEvent};
use protocol::notation::Span;
use protocol::{AgentId, FrameworkId, Reason, TaskId};

use super::limits::MAX_REGISTRATION_BACKOFF;
use super::state::{Agent, Timer};
use super::{Output, kill::Leaving};

/// Where the agent stands with its master.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What an earlier life has left is being found again; masters wait.
    #[default]
    Recovering,
    /// No master is known.
    Disconnected,
    /// A master is known and is asked, with growing waits.
    Registering,
    /// The master has answered.
    Running,
}

/// The agent's side of the registration.
#[derive(Clone, Debug, Default)]
pub(super) struct Registration {
    /// As detected.
    pub(super) master: Option<Leader>,
    pub(super) phase: Phase,
    /// Whether the end of the master's actor will be reported.
    linked: bool,
    /// Whether the master has answered since it was detected.
    answered: bool,
    /// The wait after the next attempt is random below this.
    backoff: Duration,
    /// As the master said.
    ping_timeout: Duration,
}

impl Agent {
    /// Where the agent stands with its master.
    pub fn phase(&self) -> Phase {
        self.registration.phase
    }

    /// The master, where one is known.
    pub fn master(&self) -> Option<&Pid> {
        self.registration.master.as_ref().map(|leader| &leader.pid)
    }

    /// Whether to listen: only the detected master counts. One that was deposed may not know it yet. What comes from the
    /// master's address before it has answered is left from an earlier lead, but for what answers or ends a registration.
    pub(super) fn heeds(&mut self, from: &Pid, event: &AgentEvent) -> bool {
        let answers = matches!(
            event,
            AgentEvent::Registered { .. }
                | AgentEvent::Reregistered { .. }
                | AgentEvent::Ping { .. }
                | AgentEvent::Shutdown { .. }
        );
        let heeded =
            self.recovery.is_none() && self.master() == Some(from) && (answers || self.registration.answered);
        if !heeded {
            self.counters.ignored_master_messages += 1;
            tracing::warn!(%from, "ignored: not from the leading master");
        }
        heeded
    }

    pub(super) fn detected(&mut self, now: Time, master: Option<Leader>, out: &mut Vec<Output>) {
        if self.recovery.is_some() {
            self.registration.master = master;
            return;
        }
        if self.registration.master == master {
            return;
        }
        if let Some(Leader { pid, .. }) = self.registration.master.take()
            && std::mem::take(&mut self.registration.linked)
        {
            out.push(Output::Unlink { pid });
        }
        self.registration.answered = false;
        self.pause_updates();
        self.timers.cancel(&Timer::Register);
        self.timers.cancel(&Timer::Ping);
        self.registration.phase = Phase::Disconnected;
        if master.is_some() {
            self.registration.master = master;
            self.register(now, out);
        }
    }

    /// What an earlier life has left is found: the master may be spoken to.
    pub(super) fn recovery_is_over(&mut self, now: Time, out: &mut Vec<Output>) {
        self.registration.phase = Phase::Disconnected;
        if self.master().is_some() {
            self.register(now, out);
        }
    }

    /// Begins to register. The first registration is tried at once; a returning agent waits a random while first,
    /// since all the others return at the same moment.
    fn register(&mut self, now: Time, out: &mut Vec<Output>) {
        self.pause_updates();
        self.timers.cancel(&Timer::Ping);
        self.registration.phase = Phase::Registering;
        self.ended_meanwhile.clear();
        self.registration.backoff = self.config.registration_backoff_factor;
        if self.id.is_some() {
            let wait = self.random_below(self.registration.backoff);
            self.timers.set(Timer::Register, now + wait);
        } else {
            self.attempt(now, out);
        }
    }

    fn random_below(&mut self, bound: Duration) -> Duration {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.below(nanos.max(1)))
    }

    /// Asks the master once, and sets the time of the next attempt.
    pub(super) fn attempt(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(to) = self.master().cloned() else { return };
        if !std::mem::replace(&mut self.registration.linked, true) {
            out.push(Output::Link { pid: to.clone() });
        }
        self.counters.registration_attempts += 1;
        let mut agent = self.config.info.clone();
        agent.id = self.id.clone();
        let version = self.config.version.clone();
        let call = match self.id {
            None => AgentCall::Register { agent, version },
            Some(_) => self.reregistration(agent, version),
        };
        out.push(Output::ToMaster { to, call });
        let wait = self.random_below(self.registration.backoff);
        self.registration.backoff = (self.registration.backoff * 2).min(MAX_REGISTRATION_BACKOFF);
        self.timers.set(Timer::Register, now + wait);
    }

    fn reregistration(&self, agent: protocol::AgentInfo, version: String) -> AgentCall {
        let mut executors = Vec::new();
        let mut tasks = Vec::new();
        let mut frameworks = Vec::new();
        for (framework_id, framework) in &self.frameworks {
            if framework.removed {
                continue;
            }
            frameworks.push(framework.info.clone());
            tasks.extend(framework.tasks.values().cloned());
            executors.extend(
                framework
                    .executors
                    .values()
                    .filter(|executor| !executor.command_executor)
                    .map(|executor| (framework_id.clone(), executor.info.clone())),
            );
        }
        AgentCall::Reregister { agent, version, executors, tasks, frameworks }
    }

    pub(super) fn registered(
        &mut self,
        now: Time,
        agent_id: AgentId,
        ping_timeout: Duration,
        out: &mut Vec<Output>,
    ) {
        if !self.take_id(&agent_id, out) {
            return;
        }
        tracing::info!(%agent_id, "registered");
        self.connected(now, ping_timeout, out);
    }

    pub(super) fn reregistered(
        &mut self,
        now: Time,
        agent_id: AgentId,
        ping_timeout: Duration,
        reconcile: Vec<(FrameworkId, TaskId)>,
        out: &mut Vec<Output>,
    ) {
        if self.id.is_none() {
            // It would be taken for the one that it was before, with all that this one had.
            tracing::warn!(%agent_id, "ignored: this answers an earlier life at this address");
            return;
        }
        if !self.take_id(&agent_id, out) {
            return;
        }
        tracing::info!(%agent_id, "registered again");
        // If it is still wished, the master says so right behind this.
        self.reactivate();
        self.connected(now, ping_timeout, out);
        for (framework_id, task_id) in reconcile {
            let known =
                self.frameworks.get(&framework_id).is_some_and(|known| known.tasks.contains_key(&task_id))
                    || self.streams.contains_key(&(framework_id.clone(), task_id.clone()));
            if !known {
                let why = "Reconciliation: task unknown to the agent";
                self.report_unknown_task(now, framework_id, task_id, Reason::Reconciliation, why, out);
            }
        }
    }

    /// An agent has one identity: another one means that somebody else's state is meant.
    fn take_id(&mut self, agent_id: &AgentId, out: &mut Vec<Output>) -> bool {
        match &self.id {
            None => {
                self.id = Some(agent_id.clone());
                self.keep_agent();
            }
            Some(id) if id == agent_id => {}
            Some(id) => {
                let message = format!("the master calls this agent {agent_id}, but it is {id}");
                out.push(Output::Terminate { message, failed: true });
                return false;
            }
        }
        true
    }

    fn connected(&mut self, now: Time, ping_timeout: Duration, out: &mut Vec<Output>) {
        self.timers.cancel(&Timer::Register);
        self.registration.answered = true;
        self.registration.ping_timeout = ping_timeout;
        self.timers.set(Timer::Ping, now + ping_timeout);
        if self.registration.phase != Phase::Running {
            self.registration.phase = Phase::Running;
            self.report_ended_meanwhile(out);
            self.tell_resources(out);
            self.resume_updates(now, out);
            self.end_if_empty(out);
        }
    }

    pub(super) fn ping(&mut self, now: Time, connected: bool, out: &mut Vec<Output>) {
        let Some(to) = self.master().cloned() else { return };
        out.push(Output::ToMaster { to, call: AgentCall::Pong });
        if self.registration.phase != Phase::Running {
            return;
        }
        if connected {
            self.timers.set(Timer::Ping, now + self.registration.ping_timeout);
        } else {
            tracing::warn!("the master thinks that this agent is not registered: registering again");
            self.register(now, out);
        }
    }

    pub(super) fn silent_master(&mut self, now: Time, out: &mut Vec<Output>) {
        tracing::warn!(timeout = %Span(self.registration.ping_timeout), "no ping of the master: registering again");
        self.register(now, out);
    }

    /// The master's connection is gone; the master itself may be back at the same address. If its node is gone, nobody is
    /// detected soon, and the next one who is is asked without the waits that have grown here.
    pub(super) fn master_exited(&mut self, now: Time, out: &mut Vec<Output>) {
        self.registration.linked = false;
        if matches!(self.registration.phase, Phase::Registering | Phase::Recovering) {
            return; // The attempts go on; the next one links anew.
        }
        tracing::warn!("the master is gone: registering again");
        self.register(now, out);
    }

    pub(super) fn shutdown(&mut self, now: Time, message: String, out: &mut Vec<Output>) {
        tracing::warn!(%message, "the master asks this agent to shut down");
        let message = format!("asked to shut down by the master: {message}");
        self.begin_leaving(now, Leaving { message, failed: true, unregister: false, reports: false }, out);
    }
}
