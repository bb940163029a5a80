//! Inclusive ranges of numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Disjoint inclusive ranges, ascending, no two of them adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Ranges(Vec<(u64, u64)>);

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ranges = Vec::<(u64, u64)>::deserialize(deserializer)?;
        if ranges.len() > crate::limits::MAX_RANGES {
            return Err(serde::de::Error::custom("too many ranges"));
        }
        if ranges.iter().any(|(begin, end)| begin > end) {
            return Err(serde::de::Error::custom("a range ends before it begins"));
        }
        Ok(ranges.into_iter().collect())
    }
}

impl FromIterator<(u64, u64)> for Ranges {
    /// Ranges that end before they begin are left out.
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|(begin, end)| begin <= end).collect();
        ranges.sort_unstable();
        let mut coalesced: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (begin, end) in ranges {
            match coalesced.last_mut() {
                Some(last) if begin <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => coalesced.push((begin, end)),
            }
        }
        Self(coalesced)
    }
}

impl Ranges {
    /// Whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// How many ranges (not numbers).
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many numbers; at most `u64::MAX`.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0u64, |sum, (begin, end)| sum.saturating_add((end - begin).saturating_add(1)))
    }

    /// Whether every number of `other` is there.
    pub fn contains(&self, other: &Ranges) -> bool {
        other.0.iter().all(|(begin, end)| self.0.iter().any(|(b, e)| b <= begin && end <= e))
    }

    /// Adds numbers.
    pub fn add(&mut self, other: &Ranges) {
        if !other.is_empty() {
            *self = self.iter().chain(other.iter()).collect();
        }
    }

    /// Takes numbers away, as far as they are there.
    pub fn subtract(&mut self, other: &Ranges) {
        for (begin, end) in other.iter() {
            let mut rest = Vec::with_capacity(self.0.len() + 1);
            for (b, e) in self.iter() {
                if e < begin || end < b {
                    rest.push((b, e));
                    continue;
                }
                if b < begin {
                    rest.push((b, begin - 1));
                }
                if end < e {
                    rest.push((end + 1, e));
                }
            }
            self.0 = rest;
        }
    }

    /// The numbers that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Ranges) -> Ranges {
        self.iter()
            .flat_map(|(b, e)| other.iter().map(move |(begin, end)| (b.max(begin), e.min(end))))
            .collect()
    }
}

impl fmt::Display for Ranges {
    /// `[1-3, 5-5]`, as Mesos prints them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, (begin, end)) in self.iter().enumerate() {
            write!(f, "{}{begin}-{end}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}
