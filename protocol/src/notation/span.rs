//! Durations.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{ParseNotationError, refuse, split_unit};
use crate::limits::MAX_DURATION_NANOS;

const EXPECTED: &str =
    "a duration: a number and one of ns, us, ms, secs, mins, hrs, days, weeks, such as 15secs";

/// Units with their nanoseconds, ascending.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("secs", 1_000_000_000),
    ("mins", 60 * 1_000_000_000),
    ("hrs", 3_600 * 1_000_000_000),
    ("days", 86_400 * 1_000_000_000),
    ("weeks", 7 * 86_400 * 1_000_000_000),
];

/// A duration in Mesos's notation: `15secs`, `1.5mins`. Not negative, to the nanosecond, at most
/// [`MAX_DURATION_NANOS`]. Source: stout's `Duration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        span.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Span {
    type Err = ParseNotationError;

    /// Exact: what is below a nanosecond is cut off.
    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let text = given.trim();
        let refuse = |problem: String| refuse(given, problem, EXPECTED);
        if text.starts_with('-') {
            return Err(refuse("a duration is not negative".into()));
        }
        let (number, unit) = split_unit(text);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return Err(refuse("no number before the unit".into()));
        }
        let nanos = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, nanos)) => u128::from(*nanos),
            None if unit.is_empty() => return Err(refuse("no unit".into())),
            None => {
                let unit: String = unit.chars().take(20).flat_map(char::escape_debug).collect();
                return Err(refuse(format!("unknown unit '{unit}'")));
            }
        };
        let too_long = || refuse("longer than 15250 weeks".into());
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| too_long())? };
        // Nothing past the 18th digit makes a nanosecond, not even of weeks.
        let mut total = u128::from(whole) * nanos;
        let fraction = &fraction[..fraction.len().min(18)];
        if !fraction.is_empty() {
            let digits: u64 = fraction.parse().expect("at most 18 digits");
            total += u128::from(digits) * nanos / 10u128.pow(fraction.len() as u32);
        }
        match u64::try_from(total) {
            Ok(total) if total <= MAX_DURATION_NANOS => Ok(Self(Duration::from_nanos(total))),
            _ => Err(too_long()),
        }
    }
}

impl fmt::Display for Span {
    /// As stout prints: in the largest unit not above the duration, or in the next smaller one where only that
    /// gives a whole number (`90secs`, not `1.5mins`), with at most 15 digits. Longer durations than
    /// [`MAX_DURATION_NANOS`] are printed as that.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos =
            u64::try_from(self.0.as_nanos()).map_or(MAX_DURATION_NANOS, |n| n.min(MAX_DURATION_NANOS));
        let bucket = UNITS.iter().rposition(|(_, unit)| nanos >= *unit).unwrap_or(0);
        let whole_in = |index: usize| nanos.is_multiple_of(UNITS[index].1);
        let at = if bucket > 0 && !whole_in(bucket) && whole_in(bucket - 1) { bucket - 1 } else { bucket };
        let (name, unit) = UNITS[at];
        if nanos.is_multiple_of(unit) {
            return write!(f, "{}{name}", nanos / unit);
        }
        let value = nanos as f64 / unit as f64;
        let decimals = 15 - (nanos / unit).to_string().len();
        let digits = format!("{value:.decimals$}");
        write!(f, "{}{name}", digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        for (text, nanos) in [
            ("3ns", 3),
            ("5us", 5_000),
            ("10ms", 10_000_000),
            ("15secs", 15_000_000_000),
            ("1mins", 60_000_000_000),
            ("2hrs", 7_200_000_000_000),
            ("1days", 86_400_000_000_000),
            ("1weeks", 604_800_000_000_000),
            ("1.5mins", 90_000_000_000),
            (".5secs", 500_000_000),
            ("5.secs", 5_000_000_000),
            ("0.1secs", 100_000_000),
            ("0.0000000019secs", 1),
            ("0ns", 0),
            (" 1secs ", 1_000_000_000),
            ("9223372036854775807ns", MAX_DURATION_NANOS),
        ] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_nanos(nanos))), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for (text, problem) in [
            ("", "no number"),
            ("secs", "no number"),
            (".secs", "no number"),
            ("1.2.3secs", "no number"),
            ("15", "no unit"),
            ("15s", "unknown unit 's'"),
            ("15 secs", "unknown unit ' secs'"),
            ("15SECS", "unknown unit 'SECS'"),
            ("-1secs", "not negative"),
            ("15251weeks", "longer than"),
            ("9223372036854775808ns", "longer than"),
            ("99999999999999999999999999999secs", "longer than"),
        ] {
            let error = text.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("expected a duration"), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_printed_as_stout_prints_them() {
        for (nanos, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1us"),
            (1_001, "1001ns"),
            (1_500_000, "1500us"),
            (1_000_001, "1.000001ms"),
            (1_500_000_000, "1500ms"),
            (1_000_000_001, "1.000000001secs"),
            (90_000_000_000, "90secs"),
            (600_000_000_000, "10mins"),
            (90_500_000_000, "1.50833333333333mins"),
            (5_400_000_000_000, "90mins"),
            (864_000_000_000_000, "10days"),
            (604_800_000_000_000, "1weeks"),
            (MAX_DURATION_NANOS, "15250.2844524715weeks"),
        ] {
            assert_eq!(Span(Duration::from_nanos(nanos)).to_string(), text);
        }
        assert_eq!(Span(Duration::MAX).to_string(), "15250.2844524715weeks");
    }

    proptest! {
        #![proptest_config(crate::testing::fixed_cases())]

        #[test]
        fn nothing_panics(text in "[0-9.]{0,30}[ a-z-]{0,6}") {
            let _ = text.parse::<Span>();
        }

        #[test]
        fn what_is_printed_is_read_back_within_15_digits(nanos in 0..=MAX_DURATION_NANOS) {
            let Span(back) = Span(Duration::from_nanos(nanos)).to_string().parse().unwrap();
            let error = back.abs_diff(Duration::from_nanos(nanos)).as_nanos();
            prop_assert!(error <= u128::from(nanos) / 100_000_000_000_000 + 1, "{}", error);
        }

        #[test]
        fn whole_milliseconds_below_a_minute_are_exact(millis in 0u64..60_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(Span(duration).to_string().parse(), Ok(Span(duration)));
        }
    }
}
