//! Amounts as vectors of fixed width, one number a name: what shares are computed from.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::Resources;
use protocol::resources::Value;

/// How many names count in shares: the four usual ones and as many others, first come, first counted. Scalars
/// of further names are offered and accounted like all others, but move no share.
pub(super) const WIDTH: usize = 8;

/// Amounts in thousandths, by number of the name. Sums stop at the largest number rather than wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vector(pub(super) [u64; WIDTH]);

impl Vector {
    /// Adds another.
    pub(super) fn add(&mut self, other: &Vector) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// Takes another away, not below zero.
    pub(super) fn subtract(&mut self, other: &Vector) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = mine.saturating_sub(*theirs);
        }
    }
}

/// Which name has which number.
#[derive(Clone, Debug)]
pub(super) struct Names {
    known: Vec<Arc<str>>,
    excluded: BTreeSet<String>,
}

impl Names {
    /// The usual names first, less those that do not count.
    pub(super) fn new(excluded: BTreeSet<String>) -> Self {
        let usual = ["cpus", "mem", "disk", "gpus"].into_iter().filter(|name| !excluded.contains(*name));
        Self { known: usual.map(Into::into).collect(), excluded }
    }

    /// Gives numbers to the scalars of an agent.
    pub(super) fn learn(&mut self, resources: &Resources) {
        for resource in resources {
            if self.known.len() == WIDTH {
                return;
            }
            if matches!(resource.value, Value::Scalar(_))
                && self.number(&resource.name).is_none()
                && !self.excluded.contains(&*resource.name)
            {
                self.known.push(resource.name.clone());
            }
        }
    }

    /// The amounts of the names that have numbers.
    pub(super) fn vector(&self, resources: &Resources) -> Vector {
        let mut vector = Vector::default();
        for resource in resources {
            if let Value::Scalar(amount) = &resource.value
                && let Some(number) = self.number(&resource.name)
            {
                vector.0[number] = vector.0[number].saturating_add(amount.millis());
            }
        }
        vector
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.known.iter().position(|known| &**known == name)
    }
}

/// What the whole cluster has, and how often that changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// The sum over all agents.
    pub(super) sum: Vector,
    /// Another number after every change of the sum.
    pub(super) version: u64,
}

impl Totals {
    /// Replaces an agent's part of the sum.
    pub(super) fn replace(&mut self, before: &Vector, after: &Vector) {
        if before != after {
            self.sum.subtract(before);
            self.sum.add(after);
            self.version += 1;
        }
    }
}
