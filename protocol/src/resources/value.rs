//! The value of one resource.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use super::{Ranges, Scalar};
use crate::limits::{MAX_RANGES, MAX_SCALAR_MILLIS, MAX_SET_ITEMS};

/// The three kinds of values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, DeriveDeserialize)]
pub enum Value {
    /// An amount.
    Scalar(Scalar),
    /// Numbers that are there or not.
    Ranges(Ranges),
    /// Names that are there or not. A message with more than [`MAX_SET_ITEMS`] is refused.
    Set(#[serde(deserialize_with = "bounded_set")] BTreeSet<String>),
}

impl Value {
    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Scalar(scalar) => *scalar == Scalar::ZERO,
            Value::Ranges(ranges) => ranges.is_empty(),
            Value::Set(set) => set.is_empty(),
        }
    }

    /// The place of the kind in the canonical order: that of the variants.
    pub(crate) fn kind(&self) -> u8 {
        match self {
            Value::Scalar(_) => 0,
            Value::Ranges(_) => 1,
            Value::Set(_) => 2,
        }
    }

    /// Whether all of `other` is there; values of different kinds hold nothing of one another.
    pub fn contains(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => a >= b,
            (Value::Ranges(a), Value::Ranges(b)) => a.contains(b),
            (Value::Set(a), Value::Set(b)) => a.is_superset(b),
            _ => false,
        }
    }

    pub(super) fn add(&mut self, other: &Value) {
        match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => *a = *a + *b,
            (Value::Ranges(a), Value::Ranges(b)) => a.add(b),
            (Value::Set(a), Value::Set(b)) => a.extend(b.iter().cloned()),
            _ => unreachable!("values of one resource are of one kind"),
        }
    }

    pub(super) fn subtract(&mut self, other: &Value) {
        match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => *a = a.saturating_sub(*b),
            (Value::Ranges(a), Value::Ranges(b)) => a.subtract(b),
            (Value::Set(a), Value::Set(b)) => a.retain(|item| !b.contains(item)),
            _ => unreachable!("values of one resource are of one kind"),
        }
    }

    /// What is in both; `None` where that is nothing.
    pub(super) fn intersection(&self, other: &Value) -> Option<Value> {
        let common = match (self, other) {
            (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(*a.min(b)),
            (Value::Ranges(a), Value::Ranges(b)) => Value::Ranges(a.intersection(b)),
            (Value::Set(a), Value::Set(b)) => Value::Set(a.intersection(b).cloned().collect()),
            _ => return None,
        };
        (!common.is_empty()).then_some(common)
    }

    /// Whether a message may carry it: sums of acceptable values may be too large.
    pub(super) fn check_limits(&self) -> Result<(), String> {
        match self {
            Value::Scalar(scalar) if scalar.millis() > MAX_SCALAR_MILLIS => {
                Err(format!("{scalar} is more than {}", Scalar::MAX))
            }
            Value::Ranges(ranges) if ranges.len() > MAX_RANGES => {
                Err(format!("more than {MAX_RANGES} ranges"))
            }
            Value::Set(set) if set.len() > MAX_SET_ITEMS => Err(format!("more than {MAX_SET_ITEMS} items")),
            _ => Ok(()),
        }
    }
}

fn bounded_set<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    bounded(deserializer, MAX_SET_ITEMS, "items in a set")
}

/// Reads a list into a collection and stops as soon as it is too long.
pub(super) fn bounded<'de, C, D>(deserializer: D, most: usize, what: &'static str) -> Result<C, D::Error>
where
    C: Default + IntoIterator + Extend<C::Item>,
    C::Item: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Bounded<C> {
        most: usize,
        what: &'static str,
        marker: PhantomData<C>,
    }
    impl<'de, C> Visitor<'de> for Bounded<C>
    where
        C: Default + IntoIterator + Extend<C::Item>,
        C::Item: Deserialize<'de>,
    {
        type Value = C;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {} {}", self.most, self.what)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<C, A::Error> {
            let mut all = C::default();
            let mut count = 0;
            while let Some(next) = list.next_element()? {
                count += 1;
                if count > self.most {
                    return Err(A::Error::custom(format_args!("more than {} {}", self.most, self.what)));
                }
                all.extend(std::iter::once(next));
            }
            Ok(all)
        }
    }
    deserializer.deserialize_seq(Bounded { most, what, marker: PhantomData })
}
