//! Amounts in whole thousandths.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_SCALAR_MILLIS;

/// A non-negative amount, exact to three decimals. Source: Mesos keeps scalars to three digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Scalar(u64);

/// Why a scalar was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not an amount: expected a non-negative number up to {max}", max = MAX_SCALAR_MILLIS / 1000)]
pub struct ParseScalarError {
    /// What was given.
    pub text: String,
}

impl Scalar {
    /// Nothing.
    pub const ZERO: Scalar = Scalar(0);
    /// The largest amount of one resource; sums may be larger, but messages don't carry them.
    pub const MAX: Scalar = Scalar(MAX_SCALAR_MILLIS);

    /// From thousandths; capped at the largest amount.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > MAX_SCALAR_MILLIS { Self(MAX_SCALAR_MILLIS) } else { Self(millis) }
    }

    /// From a whole number; capped at the largest amount.
    pub const fn from_units(units: u64) -> Self {
        Self::from_millis(units.saturating_mul(1000))
    }

    /// From a float, rounded to the nearest thousandth.
    ///
    /// # Errors
    /// Negative, not a number, or too large.
    pub fn from_f64(number: f64) -> Result<Self, ParseScalarError> {
        let millis = (number * 1000.0).round();
        if millis.is_nan() || number < 0.0 || millis > MAX_SCALAR_MILLIS as f64 {
            return Err(ParseScalarError { text: number.to_string() });
        }
        Ok(Self(millis as u64))
    }

    /// In thousandths.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// As a float, for printing and for wires that ask for it.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The difference, not below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let millis = u64::deserialize(deserializer)?;
        if millis > MAX_SCALAR_MILLIS {
            return Err(serde::de::Error::custom("scalar out of range"));
        }
        Ok(Self(millis))
    }
}

impl Add for Scalar {
    type Output = Scalar;
    fn add(self, other: Scalar) -> Scalar {
        Scalar(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Scalar {
    fn sum<I: Iterator<Item = Scalar>>(iter: I) -> Self {
        iter.fold(Scalar::ZERO, Add::add)
    }
}

impl FromStr for Scalar {
    type Err = ParseScalarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseScalarError { text: text.into() };
        if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
        {
            return Err(refuse());
        }
        let number: f64 = text.parse().map_err(|_| refuse())?;
        Self::from_f64(number).map_err(|_| refuse())
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            return write!(f, "{units}");
        }
        if rest % 100 == 0 {
            write!(f, "{units}.{}", rest / 100)
        } else if rest % 10 == 0 {
            write!(f, "{units}.{:02}", rest / 10)
        } else {
            write!(f, "{units}.{rest:03}")
        }
    }
}
