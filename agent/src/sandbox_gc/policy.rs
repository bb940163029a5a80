//! Which sandboxes are removed, and when: decisions alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libactor::Time;
use protocol::ContainerId;

/// A part of one million.
pub(super) type Millionths = u64;
const WHOLE: Millionths = 1_000_000;

/// What the policy knows.
#[derive(Debug, Default)]
pub(super) struct Policy {
    delay: Duration,
    headroom: Millionths,
    /// Runs that may use their sandbox; absent: it has not been found yet.
    running: BTreeMap<ContainerId, Option<PathBuf>>,
    /// Runs that are over: since when, and their sandboxes.
    over: BTreeMap<ContainerId, (Time, PathBuf)>,
}

impl Policy {
    /// `--gc_delay`, `--gc_disk_headroom`.
    pub(super) fn new(delay: Duration, headroom: Millionths) -> Self {
        Self { delay, headroom: headroom.min(WHOLE), ..Self::default() }
    }

    /// How long a sandbox is kept while so much of the disk is used. Source: Mesos's `slave.cpp`, `age`.
    pub(super) fn max_age(&self, usage: Millionths) -> Duration {
        let part = WHOLE.saturating_sub(self.headroom).saturating_sub(usage.min(WHOLE));
        let nanos = self.delay.as_nanos() * u128::from(part) / u128::from(WHOLE);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A run begins, or goes on.
    pub(super) fn begin(&mut self, container_id: ContainerId, sandbox: Option<PathBuf>) {
        self.over.remove(&container_id);
        self.running.insert(container_id, sandbox);
    }

    /// Nothing of a run is left but its sandbox: where that is. `None`: it is not known, and to be looked for.
    pub(super) fn end(&mut self, container_id: ContainerId, at: Time) -> Option<PathBuf> {
        let sandbox = self.running.remove(&container_id)??;
        self.over.insert(container_id, (at, sandbox.clone()));
        Some(sandbox)
    }

    /// A run's sandbox is there, since when it has not changed: it is over, unless it runs.
    pub(super) fn found(&mut self, container_id: ContainerId, sandbox: PathBuf, changed: Time) {
        match self.running.get_mut(&container_id) {
            Some(known) => *known = Some(sandbox),
            None => drop(self.over.entry(container_id).or_insert((changed, sandbox))),
        }
    }

    /// Whether a sandbox below may be in use, or about to be made.
    pub(super) fn in_use(&self, directory: &Path) -> bool {
        self.running.values().flatten().any(|sandbox| sandbox.starts_with(directory))
    }

    /// How many wait to be removed.
    pub(super) fn pending(&self) -> usize {
        self.over.len()
    }

    /// The sandbox to remove next, of those that are older than they may be: the oldest.
    pub(super) fn due(&self, now: Time, usage: Millionths) -> Option<(ContainerId, PathBuf)> {
        let max_age = self.max_age(usage);
        let old = self.over.iter().filter(|(_, (since, _))| now.since(*since) >= max_age);
        let (container_id, (_, sandbox)) = old.min_by_key(|(_, (since, _))| *since)?;
        Some((container_id.clone(), sandbox.clone()))
    }

    /// It is gone.
    pub(super) fn removed(&mut self, container_id: &ContainerId) {
        self.over.remove(container_id);
    }

    /// It could not be removed: its time begins anew.
    pub(super) fn kept(&mut self, container_id: &ContainerId, now: Time) {
        if let Some((since, _)) = self.over.get_mut(container_id) {
            *since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_fuller_disk_keeps_sandboxes_for_less_long() {
        let policy = Policy::new(100 * HOUR, 100_000);
        for (usage, hours) in [(0, 90), (500_000, 40), (900_000, 0), (1_000_000, 0), (u64::MAX, 0)] {
            assert_eq!(policy.max_age(usage), hours * HOUR, "{usage}");
        }
        assert_eq!(Policy::new(HOUR, u64::MAX).max_age(0), Duration::ZERO);
    }

    #[test]
    fn the_oldest_of_those_that_are_over_goes_first() {
        let mut policy = Policy::new(10 * HOUR, 0);
        let begin = Time::default();
        policy.found("found".into(), "f".into(), begin + HOUR);
        policy.begin("a".into(), Some("x/a".into()));
        policy.begin("b".into(), None);
        policy.found("b".into(), "b".into(), begin);
        assert!(policy.in_use("x".as_ref()) && policy.in_use("b".as_ref()) && !policy.in_use("y".as_ref()));
        assert_eq!(policy.end("a".into(), begin + 2 * HOUR), Some("x/a".into()));
        assert_eq!(policy.end("nobody".into(), begin), None);
        assert_eq!(policy.pending(), 2);
        assert_eq!(policy.due(begin + 10 * HOUR, 0), None);
        assert_eq!(policy.due(begin + 12 * HOUR, 0), Some(("found".into(), "f".into())));
        policy.removed(&"found".into());
        assert_eq!(policy.due(begin + 12 * HOUR, 0), Some(("a".into(), "x/a".into())));
        policy.kept(&"a".into(), begin + 12 * HOUR);
        assert_eq!(policy.due(begin + 12 * HOUR, 0), None);
        assert_eq!(policy.due(begin + 12 * HOUR, 1_000_000), Some(("a".into(), "x/a".into())));
        policy.begin("a".into(), None);
        assert_eq!(policy.due(begin + 99 * HOUR, 1_000_000), None, "what runs is never touched");
    }
}
