//! Sizes.

use std::fmt;
use std::str::FromStr;

use super::{ParseNotationError, refuse, split_unit};

const EXPECTED: &str = "a size: a whole number and one of B, KB, MB, GB, TB, such as 512MB";

/// Units, each 1024 of the one before.
const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];

/// A number of bytes in Mesos's notation: `512MB`. A KB is 1024 bytes. Source: stout's `Bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// From units of 1024 × 1024 bytes, as `mem` and `disk` are counted; capped at the largest size.
    pub const fn from_megabytes(megabytes: u64) -> Self {
        Self(megabytes.saturating_mul(1024 * 1024))
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// In whole units of 1024 × 1024 bytes; the rest is cut off.
    pub const fn megabytes(self) -> u64 {
        self.0 / (1024 * 1024)
    }
}

impl FromStr for ByteSize {
    type Err = ParseNotationError;

    /// Units in any case.
    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let text = given.trim();
        let refuse = |problem: String| refuse(given, problem, EXPECTED);
        let (number, unit) = split_unit(text);
        if number.contains('.') {
            return Err(refuse("a size is a whole number".into()));
        }
        if number.is_empty() {
            return Err(refuse("no number before the unit".into()));
        }
        let power = match UNITS.iter().position(|name| name.eq_ignore_ascii_case(unit)) {
            Some(power) => power as u32,
            None if unit.is_empty() => return Err(refuse("no unit".into())),
            None => {
                let unit: String = unit.chars().take(20).flat_map(char::escape_debug).collect();
                return Err(refuse(format!("unknown unit '{unit}'")));
            }
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << (10 * power)));
        bytes.map(Self).ok_or_else(|| refuse("more than 2^64 bytes".into()))
    }
}

impl fmt::Display for ByteSize {
    /// In the largest unit that gives a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut number = self.0;
        let mut power = 0;
        while number != 0 && number.is_multiple_of(1024) && power + 1 < UNITS.len() {
            number /= 1024;
            power += 1;
        }
        write!(f, "{number}{}", UNITS[power])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_and_printed() {
        for (text, bytes, printed) in [
            ("512MB", 512 << 20, "512MB"),
            ("1GB", 1 << 30, "1GB"),
            ("10KB", 10 << 10, "10KB"),
            ("7B", 7, "7B"),
            ("2TB", 2 << 40, "2TB"),
            ("2048TB", 2048 << 40, "2048TB"),
            ("1024mb", 1 << 30, "1GB"),
            ("0GB", 0, "0B"),
            ("1025B", 1025, "1025B"),
            ("18446744073709551615B", u64::MAX, "18446744073709551615B"),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
            assert_eq!(ByteSize(bytes).to_string(), printed);
        }
        assert_eq!(ByteSize::from_megabytes(3).megabytes(), 3);
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for (text, problem) in [
            ("", "no number"),
            ("TB", "no number"),
            ("-1MB", "no number"),
            ("512", "no unit"),
            ("1.5GB", "whole number"),
            ("1PB", "unknown unit 'PB'"),
            ("1MiB", "unknown unit 'MiB'"),
            ("16777216TB", "more than 2^64"),
            ("18446744073709551616B", "more than 2^64"),
        ] {
            let error = text.parse::<ByteSize>().unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("expected a size"), "{text}: {error}");
        }
    }

    proptest! {
        #![proptest_config(crate::testing::fixed_cases())]

        #[test]
        fn what_is_printed_is_read_back(bytes: u64, power in 0u32..64) {
            for size in [ByteSize(bytes), ByteSize(bytes.checked_shl(power).unwrap_or(0))] {
                prop_assert_eq!(size.to_string().parse(), Ok(size));
            }
        }
    }
}
