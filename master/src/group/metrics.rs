//! Numbers of the replica and the registry, on the node.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libactor::{Counter, Gauge, Metrics, Time};

use crate::registry::codec;
use crate::replication::{Disposition, Replica};

/// Times that are kept for the spread of `registrar/state_store_ms`. Source: Mesos keeps its window's; ours.
const KEPT: usize = 1000;
/// Between two looks at the replica, unless who leads has changed. Ours.
const EVERY: Duration = Duration::from_millis(250);
/// Agents and frameworks of a registry that is encoded to know its size. Ours: it takes less than a millisecond.
const SIZED: usize = 1000;
/// Between two such looks. Ours.
const SIZED_EVERY: Duration = Duration::from_secs(10);
/// What is shown of the spread: what so many of ten thousand took at most.
const QUANTILES: [(&str, usize); 8] = [
    ("min", 0),
    ("p50", 5000),
    ("p90", 9000),
    ("p95", 9500),
    ("p99", 9900),
    ("p999", 9990),
    ("p9999", 9999),
    ("max", 10_000),
];

/// How long the registry takes to store what it is asked to. Clones are the same.
#[derive(Clone)]
pub(super) struct Store {
    times: Arc<Mutex<Times>>,
    fetch: Gauge,
    proposed: Counter,
    stored: Counter,
}

#[derive(Default)]
struct Times {
    /// When so many operations were asked for that are not stored, in order.
    open: VecDeque<(Time, usize)>,
    /// How many that is.
    queued: usize,
    /// Milliseconds that the last ones took, the oldest first.
    taken: VecDeque<f64>,
}

impl Store {
    /// On a node.
    pub(super) fn new(metrics: &Metrics) -> Self {
        let times: Arc<Mutex<Times>> = Arc::default();
        let pulled = |name: &str, read: fn(&Times) -> f64| {
            let times = times.clone();
            metrics.pulled(&format!("registrar/{name}"), move || read(&lock(&times)));
        };
        pulled("queued_operations", |times| times.queued as f64);
        pulled("state_store_ms", |times| times.taken.back().copied().unwrap_or(0.0));
        pulled("state_store_ms/count", |times| times.taken.len() as f64);
        for (name, quantile) in QUANTILES {
            let times = times.clone();
            metrics.pulled(&format!("registrar/state_store_ms/{name}"), move || {
                let mut taken: Vec<_> = lock(&times).taken.iter().copied().collect();
                taken.sort_unstable_by(f64::total_cmp);
                let last = taken.len().saturating_sub(1);
                taken.get(last * quantile / 10_000).copied().unwrap_or(0.0)
            });
        }
        let fetch = metrics.gauge("registrar/state_fetch_ms");
        let proposed = metrics.counter("masters/proposed_operations");
        Self { times, fetch, proposed, stored: metrics.counter("masters/stored_operations") }
    }

    /// A lead has taken over what the registry holds.
    pub(super) fn fetched(&self, took: Duration) {
        self.fetch.set(milliseconds(took));
    }

    /// So many operations are to be stored.
    pub(super) fn asked(&self, count: usize, now: Time) {
        self.proposed.add(count as u64);
        let mut times = lock(&self.times);
        times.open.push_back((now, count));
        times.queued += count;
    }

    /// The oldest of them are.
    pub(super) fn stored(&self, mut count: usize, now: Time) {
        self.stored.add(count as u64);
        let mut times = lock(&self.times);
        times.queued = times.queued.saturating_sub(count);
        while count > 0 {
            let Some((asked, open)) = times.open.front_mut() else { return };
            let (asked, done) = (*asked, count.min(*open));
            *open -= done;
            count -= done;
            if *open == 0 {
                times.open.pop_front();
            }
            if times.taken.len() == KEPT {
                times.taken.pop_front();
            }
            times.taken.push_back(milliseconds(now.since(asked)));
        }
    }

    /// The lead that asked is over.
    pub(super) fn reset(&self) {
        let mut times = lock(&self.times);
        times.open.clear();
        times.queued = 0;
    }
}

fn lock(times: &Mutex<Times>) -> MutexGuard<'_, Times> {
    times.lock().unwrap_or_else(PoisonError::into_inner)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// What the replica knows.
pub(super) struct ReplicaMetrics {
    term: Gauge,
    commit: Gauge,
    applied: Gauge,
    log_entries: Gauge,
    size: Gauge,
    recovered: Gauge,
    ensemble: Gauge,
    leader_changes: Counter,
    shown_at: Option<Time>,
    /// The size of a small registry without a snapshot, and when it was looked at.
    sized: Option<(Time, u64)>,
}

impl ReplicaMetrics {
    /// On a node.
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            term: metrics.gauge("masters/term"),
            commit: metrics.gauge("masters/commit_index"),
            applied: metrics.gauge("masters/applied_index"),
            log_entries: metrics.gauge("masters/log_entries"),
            size: metrics.gauge("registrar/registry_size_bytes"),
            recovered: metrics.gauge("registrar/log/recovered"),
            ensemble: metrics.gauge("registrar/log/ensemble_size"),
            leader_changes: metrics.counter("masters/leader_changes"),
            shown_at: None,
            sized: None,
        }
    }

    /// Another one leads, or nobody.
    pub(super) fn leader_changed(&mut self, now: &Disposition) {
        if *now != Disposition::Leaderless {
            self.leader_changes.increment();
            self.recovered.set(1.0);
        }
        self.shown_at = None;
    }

    /// Shows what the replica has come to.
    pub(super) fn update(&mut self, replica: &Replica, now: Time) {
        if self.shown_at.is_some_and(|before| now.since(before) < EVERY) {
            return;
        }
        self.shown_at = Some(now);
        let status = replica.status();
        let (first, last) = status.log;
        self.term.set(status.term as f64);
        self.commit.set(status.commit as f64);
        self.applied.set(status.applied as f64);
        self.log_entries.set((last + 1).saturating_sub(first) as f64);
        let size = self.size_of(replica, status.snapshot.1, now);
        self.size.set(size as f64);
        self.ensemble.set(status.masters.len() as f64);
    }

    /// The size of the newest snapshot; before there is one, that of what would be in it, unless to know it takes long.
    fn size_of(&mut self, replica: &Replica, snapshot: u64, now: Time) -> u64 {
        let state = replica.state();
        let known = state.admitted.len() + state.unreachable.len() + state.frameworks.len();
        if snapshot > 0 || known > SIZED {
            return snapshot;
        }
        match self.sized {
            Some((before, bytes)) if now.since(before) < SIZED_EVERY => bytes,
            _ => {
                let bytes = codec::encode_state(state).len() as u64;
                self.sized = Some((now, bytes));
                bytes
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_the_times_is_shown() {
        let metrics = Metrics::default();
        let store = Store::new(&metrics);
        let at = |millis: u64| Time::from_nanos(millis * 1_000_000);
        store.asked(2, at(0));
        store.asked(1, at(10));
        let shown = |name: &str| metrics.snapshot()[&format!("registrar/{name}")];
        assert_eq!(shown("queued_operations"), 3.0);
        store.stored(1, at(5));
        store.stored(2, at(40));
        assert_eq!(shown("queued_operations"), 0.0);
        assert_eq!(shown("state_store_ms"), 30.0);
        assert_eq!(shown("state_store_ms/count"), 3.0);
        assert_eq!((shown("state_store_ms/min"), shown("state_store_ms/max")), (5.0, 40.0));
        assert_eq!(shown("state_store_ms/p50"), 30.0);
        // Of a lead that is over nothing is open; an answer that comes late anyhow is no time of its own.
        store.asked(5, at(50));
        store.reset();
        store.stored(1, at(60));
        assert_eq!((shown("queued_operations"), shown("state_store_ms/count")), (0.0, 3.0));
    }
}
