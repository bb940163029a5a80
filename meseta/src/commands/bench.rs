//! `meseta bench`.

use std::path::Path;
use std::process::ExitCode;

use super::{Command, Failure};
use crate::bench::{ALL, Conditions, Effort, keep};
use crate::flags::{Arguments, Flag, Flags, Kind, Surroundings};

/// The command.
pub const COMMAND: Command = Command {
    name: "bench",
    synopsis: "[NAME...] [flags]   (flags go before names; no name: all of them)",
    summary: "measure this program on this machine",
    flags: FLAGS,
    hidden: false,
    run: bench,
};

const FLAGS: &[Flag] = &[
    Flag {
        name: "quick",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "Small sizes: all benchmarks within a minute.",
    },
    Flag {
        name: "full",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "Full sizes (the default).",
    },
    Flag {
        name: "json",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "Print one JSON line a figure.",
    },
    Flag {
        name: "keep",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Put the figures into this file (BENCHMARKS.md) too, in place of older ones.",
    },
];

#[expect(clippy::print_stdout, reason = "the command's product")]
fn bench(words: &[String]) -> Result<ExitCode, Failure> {
    // Names and flags may come in any order: both are short.
    let (names, flags): (Vec<String>, Vec<String>) =
        words.iter().cloned().partition(|word| !word.starts_with('-'));
    let flags = Flags::load("bench", FLAGS, Arguments::None, &flags, &Surroundings::of_process(&[]))?;
    let effort = if flags.switch("quick") { Effort::Quick } else { Effort::Full };
    let known = |name: &String| ALL.iter().any(|benchmark| benchmark.name.eq_ignore_ascii_case(name));
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<_> =
            ALL.iter().map(|benchmark| format!("{} ({})", benchmark.name, benchmark.summary)).collect();
        return Err(format!("there is no benchmark '{unknown}'; there are {}", all.join(", ")).into());
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|given| given.eq_ignore_ascii_case(name));
    let mut lines = Vec::new();
    for benchmark in ALL.iter().filter(|benchmark| wanted(benchmark.name)) {
        let conditions = Conditions::now();
        for figure in (benchmark.run)(effort)? {
            let line = conditions.line(&figure);
            if flags.switch("json") {
                println!("{line}");
            } else {
                println!("{:4} {:62} {:>12.3} {}", figure.name, figure.params, figure.value, figure.unit);
            }
            lines.push(line);
        }
    }
    if let Some(path) = flags.text("keep") {
        keep(Path::new(path), &lines)
            .map_err(|error| format!("cannot keep the figures in {path}: {error}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
