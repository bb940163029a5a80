//! Mesos's notation of durations, sizes, rates, percentages and switches, as flags use it.
//!
//! | type | examples | unit within |
//! |---|---|---|
//! | [`Span`] | `15secs`, `1.5mins`, `10ms` | [`std::time::Duration`] |
//! | [`ByteSize`] | `512MB`, `7B` | bytes; a KB is 1024 of them |
//! | [`Rate`] | `1/10mins` | so many a duration |
//! | [`Percent`] | `100%`, `12.5%` | thousandths of a percent |
//! | [`Switch`] | `true`, `0` | `bool` |
//!
//! Each is read with [`FromStr`](std::str::FromStr) and printed with [`Display`](std::fmt::Display) as Mesos prints it.
//!
//! ```
//! use std::time::Duration;
//! use protocol::notation::{ByteSize, Span};
//!
//! let Span(timeout) = "1.5mins".parse()?;
//! assert_eq!(timeout, Duration::from_secs(90));
//! assert_eq!(Span(timeout).to_string(), "90secs");
//! assert_eq!("512MB".parse::<ByteSize>()?.bytes(), 512 * 1024 * 1024);
//!
//! let error = "15s".parse::<Span>().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "'15s': unknown unit 's'; expected a duration: a number and one of ns, us, ms, secs, mins, hrs, days, \
//!      weeks, such as 15secs"
//! );
//! # Ok::<(), protocol::notation::ParseNotationError>(())
//! ```

mod size;
mod small;
mod span;

pub use size::ByteSize;
pub use small::{Percent, Rate, Switch};
pub use span::Span;

/// Why a text is not what a flag needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}': {problem}; expected {expected}")]
pub struct ParseNotationError {
    /// What was given, its first 80 characters.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would have been right.
    pub expected: &'static str,
}

fn refuse(text: &str, problem: impl Into<String>, expected: &'static str) -> ParseNotationError {
    let text = text.chars().take(80).flat_map(char::escape_debug).collect();
    ParseNotationError { text, problem: problem.into(), expected }
}

/// Where the number ends and the unit begins.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}
