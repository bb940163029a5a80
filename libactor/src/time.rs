//! Time as it is passed in, and the timers that a machine keeps for itself.

use std::collections::BTreeMap;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time, in nanoseconds since the Unix epoch. Within a node it never goes back: it is the wall clock at
/// the node's start plus what the monotonic clock has counted since, or virtual time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A machine's own timers: at most one a key, due in order of time and then of setting.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    due: BTreeMap<(Time, u64), K>,
    at: BTreeMap<K, (Time, u64)>,
    next: u64,
}

impl<K: Ord + Clone> Default for Timers<K> {
    fn default() -> Self {
        Self { due: BTreeMap::new(), at: BTreeMap::new(), next: 0 }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Sets the timer of a key, in place of the one it had.
    pub fn set(&mut self, key: K, at: Time) {
        self.cancel(&key);
        let slot = (at, self.next);
        self.next += 1;
        self.due.insert(slot, key.clone());
        self.at.insert(key, slot);
    }

    /// Forgets the timer of a key; says whether there was one.
    pub fn cancel(&mut self, key: &K) -> bool {
        match self.at.remove(key) {
            Some(slot) => self.due.remove(&slot).is_some(),
            None => false,
        }
    }

    /// Whether a key has a timer.
    pub fn is_set(&self, key: &K) -> bool {
        self.at.contains_key(key)
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Time> {
        self.due.keys().next().map(|(time, _)| *time)
    }

    /// Takes one that is due at `now`, the oldest first.
    pub fn pop(&mut self, now: Time) -> Option<K> {
        let (slot, _) = self.due.first_key_value()?;
        if slot.0 > now {
            return None;
        }
        let (_, key) = self.due.pop_first()?;
        self.at.remove(&key);
        Some(key)
    }

    /// How many are set.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn timers_come_in_order_and_only_when_due() {
        let mut timers = Timers::default();
        timers.set("b", at(2));
        timers.set("a", at(1));
        timers.set("c", at(2));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.pop(at(0)), None);
        assert_eq!(timers.pop(at(2)), Some("a"));
        assert_eq!(timers.pop(at(2)), Some("b"));
        assert_eq!(timers.pop(at(2)), Some("c"));
        assert_eq!(timers.pop(at(9)), None);
    }

    #[test]
    fn setting_again_moves_and_cancelling_forgets() {
        let mut timers = Timers::default();
        timers.set(1, at(1));
        timers.set(1, at(5));
        timers.set(2, at(2));
        assert_eq!(timers.len(), 2);
        assert!(timers.cancel(&2) && !timers.cancel(&2));
        assert_eq!(timers.pop(at(4)), None);
        assert_eq!(timers.pop(at(5)), Some(1));
        assert!(timers.is_empty());
    }
}
