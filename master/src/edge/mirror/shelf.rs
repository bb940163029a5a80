//! An ordered map whose copies share what they have in common: a copy is two numbers, and a change copies the one part
//! that it falls into, if a copy still looks at it.

use std::sync::Arc;

/// Entries of one part, at most. Ours: a change below a copy costs some microseconds.
const PART: usize = 256;

/// The map. Keys and values are meant to be cheap to clone.
#[derive(Clone, Debug)]
pub struct Shelf<K, V> {
    /// In the order of the keys; no part is empty.
    parts: Arc<Vec<Part<K, V>>>,
    len: usize,
}

/// Entries in the order of the keys.
type Part<K, V> = Arc<Vec<(K, V)>>;

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self { parts: Arc::default(), len: 0 }
    }
}

impl<K: Ord + Clone, V: Clone> Shelf<K, V> {
    /// How many entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Looks an entry up.
    pub fn get(&self, key: &K) -> Option<&V> {
        let part = self.parts.get(self.part(key))?;
        let at = part.binary_search_by(|(own, _)| own.cmp(key)).ok()?;
        Some(&part[at].1)
    }

    /// Looks an entry up to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let index = self.part(key);
        let at = self.parts.get(index)?.binary_search_by(|(own, _)| own.cmp(key)).ok()?;
        let part = Arc::make_mut(&mut Arc::make_mut(&mut self.parts)[index]);
        Some(&mut part[at].1)
    }

    /// Puts an entry in; gives back the one that it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        // What is larger than all goes to the end of the last part.
        let index = self.part(&key).min(self.parts.len().saturating_sub(1));
        let parts = Arc::make_mut(&mut self.parts);
        let Some(shared) = parts.get_mut(index) else {
            parts.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let part = Arc::make_mut(shared);
        match part.binary_search_by(|(own, _)| own.cmp(&key)) {
            Ok(at) => Some(std::mem::replace(&mut part[at].1, value)),
            Err(at) => {
                part.insert(at, (key, value));
                self.len += 1;
                if part.len() > PART {
                    let rest = part.split_off(PART / 2);
                    parts.insert(index + 1, Arc::new(rest));
                }
                None
            }
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let index = self.part(key);
        let at = self.parts.get(index)?.binary_search_by(|(own, _)| own.cmp(key)).ok()?;
        let parts = Arc::make_mut(&mut self.parts);
        let part = Arc::make_mut(&mut parts[index]);
        let (_, value) = part.remove(at);
        self.len -= 1;
        if part.is_empty() {
            parts.remove(index);
        } else if index + 1 < parts.len() && parts[index].len() + parts[index + 1].len() <= PART / 2 {
            let next = parts.remove(index + 1);
            Arc::make_mut(&mut parts[index]).extend(next.iter().cloned());
        }
        Some(value)
    }

    /// The entries in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flat_map(|part| part.iter().map(|(key, value)| (key, value)))
    }

    /// The values in the order of the keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The part that a key belongs to; the number of parts if it is larger than all.
    fn part(&self, key: &K) -> usize {
        self.parts.partition_point(|part| part.last().is_some_and(|(last, _)| last < key))
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Shelf<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut shelf = Self::default();
        for (key, value) in entries {
            shelf.insert(key, value);
        }
        shelf
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use libactor::Random;

    use super::*;

    fn entries(shelf: &Shelf<u64, u64>) -> Vec<(u64, u64)> {
        shelf.iter().map(|(key, value)| (*key, *value)).collect()
    }

    #[test]
    fn it_holds_what_an_ordered_map_holds() {
        let (mut shelf, mut map) = (Shelf::default(), BTreeMap::new());
        let mut random = Random::new(1);
        let mut copies = Vec::new();
        for step in 0..40_000_u64 {
            let key = random.below(3000);
            // It grows, shrinks to next to nothing, and grows again.
            let put = if (step / 10_000) % 2 == 0 { 700 } else { 100 };
            if random.chance(put) {
                assert_eq!(shelf.insert(key, step), map.insert(key, step));
            } else if random.chance(500) {
                assert_eq!(shelf.remove(&key), map.remove(&key));
            } else if let Some(value) = shelf.get_mut(&key) {
                *value += 1;
                *map.get_mut(&key).unwrap() += 1;
            }
            assert_eq!((shelf.get(&key), shelf.len()), (map.get(&key), map.len()));
            if step % 5000 == 0 {
                copies.push((shelf.clone(), map.clone()));
            }
        }
        copies.push((shelf, map));
        for (shelf, map) in copies {
            assert_eq!(entries(&shelf), map.into_iter().collect::<Vec<_>>());
            assert!(shelf.parts.iter().all(|part| (1..=PART).contains(&part.len())));
            let small = shelf.parts.windows(2).filter(|pair| pair[0].len() + pair[1].len() <= PART / 4);
            assert!(small.count() <= 2, "parts that were emptied are merged");
        }
    }

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut shelf: Shelf<u64, u64> = (0..1000).map(|key| (key, 0)).collect();
        let copy = shelf.clone();
        assert!(Arc::ptr_eq(&copy.parts, &shelf.parts));
        *shelf.get_mut(&500).unwrap() = 1;
        shelf.remove(&1);
        shelf.insert(5000, 1);
        assert_eq!((copy.len(), copy.get(&500), copy.get(&1)), (1000, Some(&0), Some(&0)));
        assert_eq!(shelf.len(), 1000);
        let shared =
            copy.parts.iter().filter(|part| shelf.parts.iter().any(|other| Arc::ptr_eq(part, other)));
        assert!(shared.count() + 3 >= copy.parts.len(), "three parts at most are copied");
    }
}
