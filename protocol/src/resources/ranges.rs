//! Inclusive ranges of numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_RANGES;

/// Disjoint inclusive ranges, ascending, no two of them adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Ranges(Vec<(u64, u64)>);

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ranges: Vec<(u64, u64)> = super::value::bounded(deserializer, MAX_RANGES, "ranges")?;
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
        Self::coalesced(ranges.len(), ranges)
    }
}

impl Ranges {
    /// From ranges in ascending order of their beginnings, which may overlap or touch.
    fn coalesced(capacity: usize, ascending: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut ranges: Vec<(u64, u64)> = Vec::with_capacity(capacity);
        for (begin, end) in ascending {
            match ranges.last_mut() {
                Some(last) if begin <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => ranges.push((begin, end)),
            }
        }
        Self(ranges)
    }

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
        other.iter().all(|(begin, end)| {
            let at = self.0.partition_point(|have| have.1 < end);
            self.0.get(at).is_some_and(|have| have.0 <= begin)
        })
    }

    /// Adds numbers.
    pub fn add(&mut self, other: &Ranges) {
        if other.is_empty() {
            return;
        }
        if self.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        let mut left = self.iter().peekable();
        let mut right = other.iter().peekable();
        let ascending = std::iter::from_fn(move || match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if a <= b => left.next(),
            (_, Some(_)) => right.next(),
            (_, None) => left.next(),
        });
        let sum = Self::coalesced(self.len() + other.len(), ascending);
        *self = sum;
    }

    /// Takes numbers away, as far as they are there.
    pub fn subtract(&mut self, other: &Ranges) {
        if self.is_empty() || other.is_empty() {
            return;
        }
        let mut rest = Vec::with_capacity(self.len() + 1);
        let mut cuts = other.iter().peekable();
        for (mut begin, end) in self.iter() {
            while cuts.next_if(|cut| cut.1 < begin).is_some() {}
            loop {
                match cuts.peek() {
                    Some(&(from, to)) if from <= end => {
                        if begin < from {
                            rest.push((begin, from - 1));
                        }
                        if to >= end {
                            // All gone; the cut may reach into the next range.
                            break;
                        }
                        begin = to + 1;
                        cuts.next();
                    }
                    _ => {
                        rest.push((begin, end));
                        break;
                    }
                }
            }
        }
        self.0 = rest;
    }

    /// The numbers that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Ranges) -> Ranges {
        let (mut left, mut right) = (self.iter().peekable(), other.iter().peekable());
        let mut common = Vec::new();
        while let (Some(&a), Some(&b)) = (left.peek(), right.peek()) {
            let (begin, end) = (a.0.max(b.0), a.1.min(b.1));
            if begin <= end {
                common.push((begin, end));
            }
            if a.1 <= b.1 {
                left.next();
            } else {
                right.next();
            }
        }
        Ranges(common)
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
