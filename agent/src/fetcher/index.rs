//! What the cache holds, and what it gives up next: decisions alone.

use std::collections::BTreeMap;

/// What the cache holds, by key.
#[derive(Debug)]
pub(super) struct Index<K> {
    capacity: u64,
    used: u64,
    /// Counts uses.
    clock: u64,
    entries: BTreeMap<K, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Names its file.
    number: u64,
    bytes: u64,
    users: usize,
    used_at: u64,
}

impl<K: Ord + Clone> Index<K> {
    /// An empty one for so many bytes.
    pub(super) fn new(capacity: u64) -> Self {
        Self { capacity, used: 0, clock: 0, entries: BTreeMap::new() }
    }

    /// Bytes that are kept.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Bytes that something new could have, if all that is in nobody's use were given up.
    pub(super) fn room(&self) -> u64 {
        let held: u64 = self.entries.values().filter(|entry| entry.users > 0).map(|entry| entry.bytes).sum();
        self.capacity.saturating_sub(held)
    }

    /// The file of a key, which is in use from now on.
    pub(super) fn take(&mut self, key: &K) -> Option<u64> {
        let entry = self.entries.get_mut(key)?;
        self.clock += 1;
        (entry.users, entry.used_at) = (entry.users + 1, self.clock);
        Some(entry.number)
    }

    /// One use of it is over.
    pub(super) fn release(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.users = entry.users.saturating_sub(1);
        }
    }

    /// Keeps a file that has come, not in use yet. What must be given up for it: the numbers of other files, those first that
    /// were not used for longest. `None`: there is no room, whatever is given up.
    pub(super) fn admit(&mut self, key: K, number: u64, bytes: u64) -> Option<Vec<u64>> {
        if bytes > self.room() || self.entries.contains_key(&key) {
            return None;
        }
        let mut gone = Vec::new();
        while self.used + bytes > self.capacity {
            let idle = self.entries.iter().filter(|(_, entry)| entry.users == 0);
            let oldest = idle.min_by_key(|(_, entry)| entry.used_at).map(|(key, _)| key.clone())?;
            let entry = self.entries.remove(&oldest)?;
            self.used -= entry.bytes;
            gone.push(entry.number);
        }
        self.clock += 1;
        self.used += bytes;
        self.entries.insert(key, Entry { number, bytes, users: 0, used_at: self.clock });
        Some(gone)
    }

    /// Forgets a key whose file is not there.
    pub(super) fn forget(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.used -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_what_is_in_use_stays() {
        let mut index = Index::new(10);
        assert_eq!(index.admit("a", 1, 4), Some(vec![]));
        assert_eq!(index.admit("b", 2, 4), Some(vec![]));
        assert_eq!(index.take(&"a"), Some(1));
        assert_eq!(index.room(), 6);
        assert_eq!(index.admit("c", 3, 7), None);
        assert_eq!(index.admit("c", 3, 6), Some(vec![2]));
        index.release(&"a");
        assert_eq!(index.admit("d", 4, 10), Some(vec![1, 3]));
        assert_eq!(index.used(), 10);
        index.forget(&"d");
        assert_eq!((index.used(), index.take(&"d")), (0, None));
    }

    proptest! {
        #[test]
        fn never_more_than_it_may_hold(steps in prop::collection::vec((0..6u8, 0..4u8, 0..12u64), 0..60)) {
            let mut index = Index::new(20);
            let mut held: Vec<u8> = Vec::new();
            for (number, (key, step, bytes)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => drop(index.admit(key, number as u64, bytes)),
                    2 if index.take(&key).is_some() => held.push(key),
                    _ => if let Some(key) = held.pop() { index.release(&key) },
                }
                prop_assert!(index.used() <= 20);
                prop_assert_eq!(index.used(), index.entries.values().map(|entry| entry.bytes).sum::<u64>());
                for key in &held {
                    prop_assert!(index.entries.contains_key(key), "in use, and gone");
                }
            }
        }
    }
}
