//! Dominant shares, exact.
//!
//! A share is a fraction of two whole numbers over a weight. Two of them are compared by a rounded quotient first,
//! which settles nearly all comparisons, and by cross-multiplication where the quotients are equal. Rounding down
//! keeps order, so the two never disagree.

use std::cmp::Ordering;

use super::vector::{Totals, Vector};

/// What a weight is counted in: this much is one.
pub(super) const UNIT_WEIGHT: u64 = 1000;

/// The largest fraction of any one resource that somebody has, over a weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    quotient: u64,
    allocated: u64,
    total: u64,
    weight: u64,
}

impl Default for Share {
    fn default() -> Self {
        Self { quotient: 0, allocated: 0, total: 1, weight: UNIT_WEIGHT }
    }
}

impl Share {
    /// Source: Ghodsi et al., Dominant Resource Fairness, NSDI 2011. A weight of zero is taken for the least one.
    pub(super) fn new(allocated: &Vector, totals: &Totals, weight: u64) -> Self {
        let (mut most, mut of) = (0u64, 1u64);
        for (&part, &total) in allocated.0.iter().zip(&totals.sum.0) {
            if total > 0 && u128::from(part) * u128::from(of) > u128::from(most) * u128::from(total) {
                (most, of) = (part, total);
            }
        }
        let weight = weight.max(1);
        let quotient = (u128::from(most) << 60) / (u128::from(of) * u128::from(weight));
        Self { quotient: u64::try_from(quotient).unwrap_or(u64::MAX), allocated: most, total: of, weight }
    }

    /// The share rounded down; of two different ones, the larger share has the larger.
    pub(super) fn quotient(&self) -> u64 {
        self.quotient
    }

    /// Compares exactly.
    pub(super) fn compare(&self, other: &Share) -> Ordering {
        if self.quotient != other.quotient {
            return self.quotient.cmp(&other.quotient);
        }
        if self.total == other.total && self.weight == other.weight {
            return self.allocated.cmp(&other.allocated);
        }
        let mine = product(self.allocated, other.total, other.weight);
        let theirs = product(other.allocated, self.total, self.weight);
        mine.cmp(&theirs)
    }
}

/// The product of three numbers: its upper and its lower 128 bits.
fn product(a: u64, b: u64, c: u64) -> (u128, u128) {
    let ab = u128::from(a) * u128::from(b);
    let low = (ab & u128::from(u64::MAX)) * u128::from(c);
    let high = (ab >> 64) * u128::from(c);
    let (sum, carried) = low.overflowing_add(high << 64);
    ((high >> 64) + u128::from(carried), sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(allocated: u64, total: u64, weight: u64) -> Share {
        let (mut part, mut totals) = (Vector::default(), Totals::default());
        part.0[0] = allocated;
        totals.sum.0[0] = total;
        Share::new(&part, &totals, weight)
    }

    #[test]
    fn shares_compare_exactly() {
        let max = u64::MAX;
        let cases = [
            ((1, 2, 1000), (1, 2, 1000), Ordering::Equal),
            ((1, 3, 1000), (2, 6, 1000), Ordering::Equal),
            ((2, 4, 2000), (1, 4, 1000), Ordering::Equal),
            ((2, 4, 1000), (2, 4, 2000), Ordering::Greater),
            ((0, 5, 1), (0, 7, 9), Ordering::Equal),
            ((max - 1, max, max), (max - 2, max - 1, max), Ordering::Greater),
            ((max - 2, max - 1, max), (max - 1, max, max), Ordering::Less),
            ((max, 1, 1), (max - 1, 1, 1), Ordering::Greater),
        ];
        for ((a, b, c), (d, e, f), expected) in cases {
            assert_eq!(share(a, b, c).compare(&share(d, e, f)), expected, "{a}/{b}/{c} {d}/{e}/{f}");
        }
    }

    #[test]
    fn the_largest_fraction_dominates() {
        let part = Vector([1, 50, 0, 9, 0, 0, 0, 0]);
        let totals = Totals { sum: Vector([10, 100, 5, 0, 0, 0, 0, 0]), version: 1 };
        let dominant = Share::new(&part, &totals, UNIT_WEIGHT);
        assert_eq!((dominant.allocated, dominant.total), (50, 100));
    }
}
