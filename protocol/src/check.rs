//! How a task is looked at while it runs: health checks, which may end it, and checks, which only tell.

use std::time::Duration;

use crate::CommandInfo;
use crate::wire::v1;

/// A health check: a task that fails it often enough is killed. Source: Mesos `HealthCheck`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// When.
    pub pace: Pace,
    /// After the start of the task, failures before the first success do not count for this long.
    pub grace: Duration,
    /// After so many failures in a row the task is killed; 0 is 1, as in Mesos.
    pub consecutive_failures: u32,
}

/// A general check: its result is told when it changes. Source: Mesos `CheckInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub probe: Probe,
    /// When.
    pub pace: Pace,
}

/// What is asked to know how a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// How a command exits.
    Command(CommandInfo),
    /// What an HTTP server on the loopback address answers to GET.
    Http {
        /// Whether it speaks TLS; its certificate is not looked at.
        secure: bool,
        /// Where it listens.
        port: u16,
        /// Empty, or begins with a slash.
        path: String,
        /// On `[::1]` instead of `127.0.0.1`.
        ipv6: bool,
    },
    /// Whether somebody listens on a port of the loopback address.
    Tcp {
        /// Which.
        port: u16,
        /// On `[::1]` instead of `127.0.0.1`.
        ipv6: bool,
    },
}

impl Probe {
    /// The name of its kind on the wire, such as `HTTP`.
    pub fn kind(&self) -> &'static str {
        match self {
            Probe::Command(_) => "COMMAND",
            Probe::Http { .. } => "HTTP",
            Probe::Tcp { .. } => "TCP",
        }
    }
}

/// When something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From the start of the task to the first time.
    pub delay: Duration,
    /// From one answer to the next time.
    pub interval: Duration,
    /// How long an answer may take; absent: for ever, which the wire says with 0.
    pub timeout: Option<Duration>,
}

/// The last result of a general check; `None` within: there is none, or it could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckStatus {
    /// The exit status of the command.
    Command(Option<i32>),
    /// The status code of the answer.
    Http(Option<u16>),
    /// Whether a connection could be made.
    Tcp(Option<bool>),
}

impl CheckStatus {
    /// The status of a check that has no result.
    pub fn none_of(probe: &Probe) -> Self {
        match probe {
            Probe::Command(_) => CheckStatus::Command(None),
            Probe::Http { .. } => CheckStatus::Http(None),
            Probe::Tcp { .. } => CheckStatus::Tcp(None),
        }
    }

    /// As Mesos says it.
    pub fn to_wire(self) -> v1::CheckStatusInfo {
        use v1::check_info::Type;
        use v1::check_status_info::{Command, Http, Tcp};
        let mut wire = v1::CheckStatusInfo::default();
        match self {
            CheckStatus::Command(exit_code) => {
                wire.set_type(Type::Command);
                wire.command = Some(Command { exit_code });
            }
            CheckStatus::Http(code) => {
                wire.set_type(Type::Http);
                wire.http = Some(Http { status_code: code.map(u32::from) });
            }
            CheckStatus::Tcp(succeeded) => {
                wire.set_type(Type::Tcp);
                wire.tcp = Some(Tcp { succeeded });
            }
        }
        wire
    }
}
