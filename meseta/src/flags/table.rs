//! What a command declares of its flags, and how that is printed.

use std::fmt::Write as _;

use protocol::notation::{ByteSize, Percent, Rate, Span};
use protocol::resources::Resources;
use protocol::{Attributes, resources::Scalar};

/// One flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// As Mesos calls it, with underscores.
    pub name: &'static str,
    /// Older names.
    pub aliases: &'static [&'static str],
    /// What its value must be.
    pub kind: Kind,
    /// What nobody gives; `None`: absent.
    pub default: Option<&'static str>,
    /// One or two sentences.
    pub help: &'static str,
}

/// How many flags there are in some groups.
pub const fn count(groups: &[&[Flag]]) -> usize {
    let (mut total, mut group) = (0, 0);
    while group < groups.len() {
        total += groups[group].len();
        group += 1;
    }
    total
}

/// The flags of some groups, one group after the other. `N` is their [`count`].
pub const fn join<const N: usize>(groups: &[&[Flag]]) -> [Flag; N] {
    let none = Flag { name: "", aliases: &[], kind: Kind::Text, default: None, help: "" };
    let mut all = [none; N];
    let (mut total, mut group) = (0, 0);
    while group < groups.len() {
        let mut at = 0;
        while at < groups[group].len() {
            all[total] = groups[group][at];
            total += 1;
            at += 1;
        }
        group += 1;
    }
    all
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; `--name` and `--no-name` on the command line.
    Switch,
    /// Anything.
    Text,
    /// A whole number.
    Number,
    /// A port, 0 to 65535.
    Port,
    /// Such as `15secs`.
    Duration,
    /// Such as `16MB`.
    Size,
    /// Such as `1/10mins`.
    Rate,
    /// Such as `12.5%`.
    Percent,
    /// Such as `cpus:4;mem:2048`.
    Resources,
    /// Such as `rack:r1`.
    Attributes,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Roles and their weights, such as `web=2,batch=0.5`.
    Weights,
}

impl Kind {
    /// Checks a value.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn check(self, text: &str) -> Result<(), String> {
        let why = |error: &dyn std::fmt::Display| error.to_string();
        match self {
            Kind::Switch => match text {
                "true" | "false" | "1" | "0" => Ok(()),
                _ => Err("expected true or false".into()),
            },
            Kind::Text => Ok(()),
            Kind::Number => text.parse::<u64>().map(drop).map_err(|_| "expected a whole number".into()),
            Kind::Port => text.parse::<u16>().map(drop).map_err(|_| "expected a port, 0 to 65535".into()),
            Kind::Duration => text.parse::<Span>().map(drop).map_err(|error| why(&error)),
            Kind::Size => text.parse::<ByteSize>().map(drop).map_err(|error| why(&error)),
            Kind::Rate => text.parse::<Rate>().map(drop).map_err(|error| why(&error)),
            Kind::Percent => text.parse::<Percent>().map(drop).map_err(|error| why(&error)),
            Kind::Resources => Resources::parse(text).map(drop).map_err(|error| why(&error)),
            Kind::Attributes => text.parse::<Attributes>().map(drop).map_err(|error| why(&error)),
            Kind::OneOf(choices) if choices.contains(&text) => Ok(()),
            Kind::OneOf(choices) => Err(format!("expected one of {}", choices.join(", "))),
            Kind::Weights => parse_weights(text).map(drop),
        }
    }

    fn placeholder(self) -> &'static str {
        match self {
            Kind::Switch => "",
            Kind::Text => "=VALUE",
            Kind::Number => "=N",
            Kind::Port => "=PORT",
            Kind::Duration => "=DURATION",
            Kind::Size => "=SIZE",
            Kind::Rate => "=N/DURATION",
            Kind::Percent => "=PERCENT",
            Kind::Resources => "=RESOURCES",
            Kind::Attributes => "=ATTRIBUTES",
            Kind::OneOf(_) => "=CHOICE",
            Kind::Weights => "=ROLE=WEIGHT,...",
        }
    }
}

/// Reads `role=weight,...`.
///
/// # Errors
/// What was expected instead.
pub fn parse_weights(text: &str) -> Result<Vec<(String, Scalar)>, String> {
    let expected = || "expected role=weight,... with weights above zero, such as web=2,batch=0.5".to_owned();
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (role, weight) = part.split_once('=').ok_or_else(expected)?;
            let weight: Scalar = weight.trim().parse().map_err(|_| expected())?;
            if weight == Scalar::ZERO || role.trim().is_empty() {
                return Err(expected());
            }
            Ok((role.trim().to_owned(), weight))
        })
        .collect()
}

/// The list of a command's flags, for people.
pub fn usage(flags: &[Flag]) -> String {
    const COLUMN: usize = 44;
    let mut text = String::new();
    for flag in flags {
        let head = match flag.kind {
            Kind::Switch => format!("  --[no-]{}", flag.name),
            kind => format!("  --{}{}", flag.name, kind.placeholder()),
        };
        let default = flag.default.map(|value| format!(" (default: {value})")).unwrap_or_default();
        let mut line = head;
        if line.len() >= COLUMN {
            let _ = writeln!(text, "{line}");
            line = String::new();
        }
        for word in format!("{}{default}", flag.help).split(' ') {
            if line.len() <= COLUMN {
                line = format!("{line:COLUMN$}{word}");
            } else if line.len() + 1 + word.len() > 110 {
                let _ = writeln!(text, "{line}");
                line = format!("{:COLUMN$}{word}", "");
            } else {
                line.push(' ');
                line.push_str(word);
            }
        }
        let _ = writeln!(text, "{line}");
    }
    text
}
