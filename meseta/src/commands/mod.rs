//! What the binary can be asked to do: one file a command, each with its table of flags.

mod agent;
mod agents;
mod bench;
mod daemon;
mod environment;
mod fetch;
pub mod help;
mod launch;
mod local;
mod look;
mod master;
mod masters;
mod run;
mod version;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::flags::{Flag, Kind};

pub use self::agent::start as start_agent;
pub use self::daemon::seed;

/// Why a command could not start or go on: printed as one line.
pub type Failure = Box<dyn Error>;

/// One command.
pub struct Command {
    /// As it is typed.
    pub name: &'static str,
    /// What follows it.
    pub synopsis: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Its flags.
    pub flags: &'static [Flag],
    /// Whether people type it.
    pub hidden: bool,
    /// Does it.
    pub run: fn(&[String]) -> Result<ExitCode, Failure>,
}

/// All of them, in the order of `meseta help`.
pub const ALL: &[&Command] = &[
    &local::COMMAND,
    &run::COMMAND,
    &master::COMMAND,
    &agent::COMMAND,
    &masters::COMMAND,
    &agents::COMMAND,
    &bench::COMMAND,
    &version::COMMAND,
    &help::COMMAND,
    &fetch::COMMAND,
    &launch::COMMAND,
    &look::COMMAND,
];

/// The command of a name.
pub fn find(name: &str) -> Option<&'static Command> {
    ALL.iter().copied().find(|command| command.name == name)
}

/// Says on standard error, in one line, what went wrong.
#[expect(clippy::print_stderr, reason = "the one place where errors meet people")]
pub fn complain(command: &str, problem: &str) {
    let space = if command.is_empty() { "" } else { " " };
    eprintln!("meseta{space}{command}: {}", problem.replace('\n', " "));
}

/// Prints a command's product. Whoever reads it and leaves early (`meseta help | head`) has seen enough.
pub fn say(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

/// How others reach a daemon, if not by what it listens on.
pub const ADVERTISE_FLAGS: [Flag; 2] = [
    Flag {
        name: "advertise_ip",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The address that others reach it by; default: the one it listens on, or this host's.",
    },
    Flag {
        name: "advertise_port",
        aliases: &[],
        kind: Kind::Port,
        default: None,
        help: "The port that others reach it by.",
    },
];

/// Whom a command asks that is about a whole cluster.
pub const MASTERS_FLAG: Flag = Flag {
    name: "master",
    aliases: &[],
    kind: Kind::Text,
    default: Some("127.0.0.1:5050"),
    help: "Masters of the cluster, host:port,host:port; one that answers is enough.",
};

/// What a daemon takes of those who speak HTTP.
pub const HTTP_FLAGS: [Flag; 7] = [
    Flag {
        name: "http_max_head_size",
        aliases: &[],
        kind: Kind::Size,
        default: Some("128KB"),
        help: "The largest head of an HTTP request.",
    },
    Flag {
        name: "http_max_body_size",
        aliases: &[],
        kind: Kind::Size,
        default: Some("16MB"),
        help: "The largest body of an HTTP request, unpacked.",
    },
    Flag {
        name: "http_head_timeout",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("30secs"),
        help: "How long an HTTP client may take to send the head of a request.",
    },
    Flag {
        name: "http_body_timeout",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("1mins"),
        help: "How long it may take to send the body.",
    },
    Flag {
        name: "http_write_timeout",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("1mins"),
        help: "How long it may take nothing of a response.",
    },
    Flag {
        name: "http_stream_buffer",
        aliases: &[],
        kind: Kind::Size,
        default: Some("1MB"),
        help: "How much may wait for a subscriber that does not read before it is cut.",
    },
    Flag {
        name: "http_max_connections",
        aliases: &[],
        kind: Kind::Number,
        default: Some("8192"),
        help: "How many HTTP connections there may be at a time.",
    },
];

/// The flags that every daemon has.
pub const LOG_FLAGS: [Flag; 3] = [
    Flag {
        name: "logging_level",
        aliases: &[],
        kind: Kind::Text,
        default: Some("INFO"),
        help: "INFO, WARNING, ERROR, DEBUG, or a filter such as libactor=debug,info.",
    },
    Flag {
        name: "quiet",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "Log errors only.",
    },
    Flag {
        name: "log_dir",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Log into files of this directory instead of standard error.",
    },
];
