//! One node that is watched, or would be.

use std::time::Duration;

use super::Address;
use crate::limits::{
    DETECT_ANSWER_MAX, DETECT_ANSWER_MIN, DETECT_REFRESH, DETECT_RETRY_MAX, DETECT_RETRY_MIN,
};
use crate::{Pid, Random, Time};

/// A node by its address.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) address: Address,
    /// Whether it was named from the start. Others are forgotten when they are gone and no member.
    pub(super) given: bool,
    pub(super) phase: Phase,
    /// Where the watched actor is there; stays when it is gone.
    pub(super) pid: Option<Pid>,
    /// Whether that actor is linked to.
    pub(super) linked: bool,
    /// Whether it has spoken since.
    pub(super) heard: bool,
    /// Attempts in a row that came to nothing.
    pub(super) failures: u32,
    /// Attempts: a name may stand for several addresses, and each attempt takes the next.
    pub(super) attempts: usize,
}

/// What it waits for, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The next attempt.
    Waiting { until: Time },
    /// Its address.
    Resolving { until: Time },
    /// News; at that time the actor is asked again.
    Watching { until: Time },
}

impl Place {
    pub(super) fn new(address: Address, given: bool, now: Time) -> Self {
        Self {
            address,
            given,
            phase: Phase::Waiting { until: now },
            pid: None,
            linked: false,
            heard: false,
            failures: 0,
            attempts: 0,
        }
    }

    pub(super) fn until(&self) -> Time {
        match self.phase {
            Phase::Waiting { until } | Phase::Resolving { until } | Phase::Watching { until } => until,
        }
    }

    /// The actor that is linked to.
    pub(super) fn watching(&self) -> Option<&Pid> {
        self.pid.as_ref().filter(|_| self.linked)
    }

    pub(super) fn watches(&self, pid: &Pid) -> bool {
        self.watching() == Some(pid)
    }

    /// The actor has spoken.
    pub(super) fn hears(&mut self, now: Time, random: &mut Random) {
        self.heard = true;
        self.failures = 0;
        self.phase = Phase::Watching { until: now + jittered(DETECT_REFRESH, random) };
    }

    /// An attempt has come to nothing, or the actor is gone: the next attempt comes after a while.
    pub(super) fn fails(&mut self, now: Time, random: &mut Random) {
        self.linked = false;
        self.heard = false;
        let wait = jittered(doubled(DETECT_RETRY_MIN, self.failures, DETECT_RETRY_MAX), random);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Waiting { until: now + wait };
    }

    /// The actor has been asked: how long until it is asked again.
    pub(super) fn asked(&mut self, now: Time, random: &mut Random) {
        let wait = match self.heard {
            true => DETECT_REFRESH,
            false => doubled(DETECT_ANSWER_MIN, self.failures, DETECT_ANSWER_MAX),
        };
        self.phase = Phase::Watching { until: now + jittered(wait, random) };
    }
}

/// Between half of a duration and all of it.
fn jittered(longest: Duration, random: &mut Random) -> Duration {
    let half = u64::try_from(longest.as_nanos() / 2).expect("waits are short");
    Duration::from_nanos(half + random.below(half + 1))
}

/// `first` doubled `times` times, at most `most`.
fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << times.min(20)).min(most)
}
