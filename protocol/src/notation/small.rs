//! Rates, percentages, switches.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{ParseNotationError, Span, refuse};
use crate::resources::Scalar;

/// So many a duration: `1/10mins`. Neither is zero. Source: Mesos's `--agent_removal_rate_limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub permits: u32,
    /// In how long.
    pub per: Duration,
}

impl FromStr for Rate {
    type Err = ParseNotationError;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let refuse = |problem: String| {
            refuse(given, problem, "a rate: a number, '/' and a duration, such as 1/10mins")
        };
        let (permits, per) = given.split_once('/').ok_or_else(|| refuse("no '/'".into()))?;
        let permits = permits.trim().parse().ok().filter(|permits| *permits > 0);
        let permits =
            permits.ok_or_else(|| refuse("what is before the '/' is not a whole number from 1".into()))?;
        let Span(per) = per.parse().map_err(|why: ParseNotationError| refuse(why.problem))?;
        if per.is_zero() {
            return Err(refuse("the duration is zero".into()));
        }
        Ok(Self { permits, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.permits, Span(self.per))
    }
}

/// A part of a whole, from `0%` to `100%`, exact to three decimals. Source: Mesos's
/// `--recovery_agent_removal_limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(Scalar);

impl Percent {
    /// The whole.
    pub const ALL: Percent = Percent(Scalar::from_units(100));

    /// In thousandths of a percent.
    pub const fn millis(self) -> u64 {
        self.0.millis()
    }

    /// That part of a number, rounded down.
    pub const fn of(self, whole: u64) -> u64 {
        (whole as u128 * self.millis() as u128 / 100_000) as u64
    }
}

impl FromStr for Percent {
    type Err = ParseNotationError;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let refuse =
            |problem: &str| refuse(given, problem, "a percentage from 0% to 100%, such as 50% or 12.5%");
        let number = given.trim().strip_suffix('%').ok_or_else(|| refuse("no '%' at the end"))?;
        match number.parse::<Scalar>() {
            Ok(scalar) if scalar <= Self::ALL.0 => Ok(Self(scalar)),
            Ok(_) => Err(refuse("more than 100%")),
            Err(_) => Err(refuse("no number before the '%'")),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// A flag's yes or no: `true`, `1`, `false`, `0`. Source: stout's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Switch(pub bool);

impl FromStr for Switch {
    type Err = ParseNotationError;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        match given.trim() {
            "true" | "1" => Ok(Self(true)),
            "false" | "0" => Ok(Self(false)),
            _ => Err(refuse(given, "neither yes nor no", "true, 1, false or 0")),
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let rate: Rate = "1/10mins".parse().unwrap();
        assert_eq!(rate, Rate { permits: 1, per: Duration::from_secs(600) });
        assert_eq!(rate.to_string(), "1/10mins");
        for (text, problem) in [
            ("1", "no '/'"),
            ("0/1mins", "not a whole number from 1"),
            ("1.5/1mins", "not a whole number from 1"),
            ("-1/1mins", "not a whole number from 1"),
            ("1/0secs", "the duration is zero"),
            ("1/mins", "no number before the unit"),
            ("1/2m", "unknown unit 'm'"),
        ] {
            let error = text.parse::<Rate>().unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("expected a rate"), "{text}: {error}");
        }
    }

    #[test]
    fn percentages() {
        let percent: Percent = "12.5%".parse().unwrap();
        assert_eq!(
            (percent.millis(), percent.of(80), percent.of(7), Percent::ALL.of(u64::MAX)),
            (12_500, 10, 0, u64::MAX)
        );
        assert_eq!(percent.to_string(), "12.5%");
        assert_eq!("100%".parse(), Ok(Percent::ALL));
        for (text, problem) in [
            ("100", "no '%'"),
            ("101%", "more than 100%"),
            ("-1%", "no number"),
            ("%", "no number"),
            ("nan%", "no number"),
        ] {
            let error = text.parse::<Percent>().unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("expected a percentage"), "{text}: {error}");
        }
    }

    #[test]
    fn switches() {
        for (text, value) in [("true", true), ("1", true), ("false", false), ("0", false)] {
            assert_eq!(text.parse(), Ok(Switch(value)));
        }
        let error = "yes".parse::<Switch>().unwrap_err();
        assert_eq!(error.to_string(), "'yes': neither yes nor no; expected true, 1, false or 0");
    }
}
