//! Following the leading master and staying subscribed.

use std::time::Duration;

use libactor::detect::Leader;
use libactor::{Pid, Time};
use protocol::messages::{Call, SchedulerCall};

use super::{Callback, Output, Phase, Session};
use crate::limits::{MAX_ATTEMPT, MAX_BACKOFF, MIN_ATTEMPT, MIN_BACKOFF, PATIENCE};

impl Session {
    pub(super) fn start(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.phase == Phase::Idle {
            self.follow(now, out);
        }
    }

    /// Who leads has changed: what the earlier master said is void, and the new one is asked at once.
    pub(super) fn detected(&mut self, now: Time, leader: Option<Leader>, out: &mut Vec<Output>) {
        if self.leader == leader {
            return;
        }
        self.unlink(out);
        self.leader = leader;
        if matches!(self.phase, Phase::Idle | Phase::Failing | Phase::Ended { .. }) {
            return;
        }
        let subscribed = self.phase == Phase::Subscribed;
        self.follow(now, out);
        if subscribed {
            self.disconnected(out);
        }
    }

    fn follow(&mut self, now: Time, out: &mut Vec<Output>) {
        self.attempts = 0;
        if self.leader.is_some() {
            self.attempt(now, out);
        } else {
            self.phase = Phase::Seeking { until: Some(now + PATIENCE) };
        }
    }

    fn disconnected(&mut self, out: &mut Vec<Output>) {
        self.callbacks.forget_offers();
        self.push(Callback::Disconnected, out);
    }

    /// Asks the leader.
    pub(super) fn attempt(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(Leader { pid: to, .. }) = self.leader.clone() else { return };
        if !std::mem::replace(&mut self.linked, true) {
            out.push(Output::Link { pid: to.clone() });
        }
        let call =
            Call::Subscribe { framework: self.framework.clone(), suppressed_roles: self.suppressed.clone() };
        let call = SchedulerCall { framework_id: self.framework.id.clone(), call };
        out.push(Output::Send { to, call });
        self.phase = Phase::Subscribing { until: now + doubled(MIN_ATTEMPT, self.attempts, MAX_ATTEMPT) };
    }

    /// The leader is silent or gone: again after a wait. If it leads no more, that is detected meanwhile.
    pub(super) fn attempt_failed(&mut self, now: Time) {
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts == 1 {
            self.complain();
        }
        self.wait(now, self.attempts - 1);
    }

    /// Nobody has been detected for a while.
    pub(super) fn lose_patience(&mut self) {
        self.complain();
        self.phase = Phase::Seeking { until: None };
    }

    /// Says that it takes long, once until the next subscription.
    fn complain(&mut self) {
        if std::mem::replace(&mut self.complained, true) {
            return;
        }
        let leader = self.leader.as_ref().map(|leader| leader.pid.to_string());
        tracing::warn!(leader, "no master answers as the leader: trying on");
    }

    pub(super) fn exited(&mut self, now: Time, pid: &Pid, out: &mut Vec<Output>) {
        if self.leader.as_ref().is_none_or(|leader| leader.pid != *pid) {
            return;
        }
        self.linked = false;
        match self.phase {
            Phase::Subscribed => {
                tracing::info!(master = %pid, "the master is gone");
                self.attempts = 0;
                self.wait(now, 0);
                self.disconnected(out);
            }
            Phase::Subscribing { .. } => self.attempt_failed(now),
            Phase::Idle
            | Phase::Seeking { .. }
            | Phase::Waiting { .. }
            | Phase::Failing
            | Phase::Ended { .. } => {}
        }
    }

    /// Nothing more of the leader is of interest.
    pub(super) fn unlink(&mut self, out: &mut Vec<Output>) {
        if let Some(leader) = &self.leader
            && std::mem::take(&mut self.linked)
        {
            out.push(Output::Unlink { pid: leader.pid.clone() });
        }
    }

    /// Waits before the next attempt: between half of the backoff and all of it.
    fn wait(&mut self, now: Time, times: u32) {
        let longest = doubled(MIN_BACKOFF, times, MAX_BACKOFF);
        let half = u64::try_from(longest.as_nanos() / 2).expect("a backoff is short");
        let delay = Duration::from_nanos(half + self.random.below(half + 1));
        self.phase = Phase::Waiting { until: now + delay };
    }
}

/// `first` doubled `times` times, at most `most`.
fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(most)
}
