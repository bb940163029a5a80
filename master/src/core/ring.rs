//! A map that forgets its oldest entries.

use std::collections::{BTreeMap, VecDeque};

/// Remembers at most so many entries; the oldest go first.
#[derive(Clone, Debug)]
pub struct Ring<K, V> {
    capacity: usize,
    next: u64,
    entries: BTreeMap<K, (u64, V)>,
    /// Oldest first. An entry whose number differs from that in `entries` was replaced or removed.
    order: VecDeque<(u64, K)>,
}

impl<K: Ord + Clone, V> Ring<K, V> {
    /// An empty ring of this capacity.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, next: 0, entries: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Remembers an entry, in place of an older one of the same key. Says which one it has forgotten for that: maybe this
    /// one.
    pub fn insert(&mut self, key: K, value: V) -> Option<K> {
        if self.capacity == 0 {
            return Some(key);
        }
        let mut forgotten = None;
        let number = self.next;
        self.next += 1;
        self.entries.insert(key.clone(), (number, value));
        self.order.push_back((number, key));
        while self.entries.len() > self.capacity {
            let Some((number, key)) = self.order.pop_front() else { break };
            if self.entries.get(&key).is_some_and(|(current, _)| *current == number) {
                self.entries.remove(&key);
                forgotten = Some(key);
            }
        }
        if self.order.len() > 2 * self.capacity {
            let entries = &self.entries;
            self.order.retain(|(number, key)| entries.get(key).is_some_and(|(current, _)| current == number));
        }
        forgotten
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|(_, value)| value)
    }

    /// Looks an entry up.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Looks an entry up to change it. It grows no younger by that.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// Whether there is such an entry.
    pub fn contains_key(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// All entries in order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (key, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let mut ring = Ring::new(2);
        assert_eq!(ring.insert("a", 1), None);
        assert_eq!(ring.insert("b", 2), None);
        assert_eq!(ring.insert("a", 3), None);
        assert_eq!(ring.insert("c", 4), Some("b"));
        assert_eq!(ring.get(&"a"), Some(&3));
        assert!(!ring.contains_key(&"b"));
        assert_eq!(ring.remove(&"a"), Some(3));
        ring.insert("d", 5);
        ring.insert("e", 6);
        assert_eq!(ring.iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["d", "e"]);
    }

    #[test]
    fn it_stays_bounded() {
        let mut ring = Ring::new(3);
        for round in 0..1000 {
            ring.insert(round % 2, round);
            assert!(ring.order.len() <= 6 && ring.len() <= 3);
        }
        let mut none = Ring::new(0);
        assert_eq!(none.insert(1, 1), Some(1));
        assert!(none.is_empty());
    }
}
