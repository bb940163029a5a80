//! Finding the leading master and staying subscribed.

use std::time::Duration;

use libactor::{Pid, Time};
use protocol::messages::{Call, SchedulerCall};

use super::{Callback, Output, Phase, Session};
use crate::limits::{MAX_ATTEMPT, MAX_BACKOFF, MIN_ATTEMPT, MIN_BACKOFF, RESOLVE_TIMEOUT};

impl Session {
    pub(super) fn start(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.phase == Phase::Idle {
            self.attempt(now, out);
        }
    }

    /// Tries the next master.
    pub(super) fn attempt(&mut self, now: Time, out: &mut Vec<Output>) {
        let index = self.next;
        self.next = (self.next + 1) % self.masters.len();
        self.phase = Phase::Resolving { index, until: now + RESOLVE_TIMEOUT };
        out.push(Output::Resolve { index, address: self.masters[index].clone() });
    }

    pub(super) fn resolved(
        &mut self,
        now: Time,
        index: usize,
        result: Result<Vec<Pid>, String>,
        out: &mut Vec<Output>,
    ) {
        if !matches!(self.phase, Phase::Resolving { index: wanted, .. } if wanted == index) {
            return;
        }
        let pids = match result {
            Ok(pids) if !pids.is_empty() => pids,
            Ok(_) => return self.attempt_failed(now, out),
            Err(error) => {
                tracing::warn!(master = %self.masters[index], %error, "the master's address was not found");
                return self.attempt_failed(now, out);
            }
        };
        // A name may stand for several addresses: each round tries another one.
        let master = pids[self.round() as usize % pids.len()].clone();
        let until = now + doubled(MIN_ATTEMPT, self.round(), MAX_ATTEMPT);
        self.asked.insert(master.clone());
        out.push(Output::Link { pid: master.clone() });
        let call =
            Call::Subscribe { framework: self.framework.clone(), suppressed_roles: self.suppressed.clone() };
        out.push(Output::Send {
            to: master.clone(),
            call: SchedulerCall { framework_id: self.framework.id.clone(), call },
        });
        self.phase = Phase::Subscribing { master, until };
    }

    /// The master that was tried is not found, silent or gone: the next one, after a wait if all were tried.
    pub(super) fn attempt_failed(&mut self, now: Time, out: &mut Vec<Output>) {
        self.attempts = self.attempts.saturating_add(1);
        if (self.attempts as usize).is_multiple_of(self.masters.len()) {
            let masters = self.masters.len();
            if self.attempts as usize == masters {
                tracing::warn!(masters, "no master answers as the leader: trying on");
            } else {
                tracing::debug!(masters, "still no master answers as the leader");
            }
            self.wait(now, self.round().saturating_sub(1));
        } else {
            self.attempt(now, out);
        }
    }

    pub(super) fn exited(&mut self, now: Time, pid: &Pid, out: &mut Vec<Output>) {
        self.asked.remove(pid);
        match &self.phase {
            Phase::Subscribed { master } if master == pid => {
                tracing::info!(master = %pid, "the master is gone");
                self.callbacks.forget_offers();
                self.attempts = 0;
                self.wait(now, 0);
                self.push(Callback::Disconnected, out);
            }
            Phase::Subscribing { master, .. } if master == pid => self.attempt_failed(now, out),
            _ => {}
        }
    }

    /// Waits before the next attempt: between half of the round's backoff and all of it.
    fn wait(&mut self, now: Time, round: u32) {
        let longest = doubled(MIN_BACKOFF, round, MAX_BACKOFF);
        let half = u64::try_from(longest.as_nanos() / 2).expect("a backoff is short");
        let delay = Duration::from_nanos(half + self.random.below(half + 1));
        self.phase = Phase::Waiting { until: now + delay };
    }

    /// How many times all masters were tried since the last subscription.
    fn round(&self) -> u32 {
        self.attempts / u32::try_from(self.masters.len()).expect("the list is short")
    }
}

/// `first` doubled `times` times, at most `most`.
fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(most)
}
