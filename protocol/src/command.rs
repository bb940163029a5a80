//! What is to be run.

use serde::{Deserialize, Serialize};

/// A command with its environment and user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandInfo {
    /// What is executed.
    pub command: Command,
    /// Added to what the agent sets (`MESOS_*`, `PATH`); later entries of one name win.
    pub environment: Environment,
    /// Fetched into the sandbox before the start, in order.
    pub uris: Vec<Uri>,
    /// The user that runs the command; absent: the framework's.
    pub user: Option<String>,
}

/// The two forms of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// `/bin/sh -c <text>`.
    Shell(String),
    /// `path` looked up in `PATH`, with `arguments` as `argv`, `argv[0]` included (as in Mesos). Empty
    /// `arguments` mean `[path]`.
    Argv {
        /// The program.
        path: String,
        /// Its argument vector, the name first.
        arguments: Vec<String>,
    },
}

/// Environment variables in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(pub Vec<(String, String)>);

/// One thing to fetch into the sandbox. Source: Mesos `CommandInfo.URI`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uri {
    /// Where from.
    pub value: String,
    /// Whether the fetched file gets its execute bit; such a file is never extracted.
    pub executable: bool,
    /// Whether a recognised archive is unpacked.
    pub extract: bool,
    /// Whether the agent's fetcher cache may serve it.
    pub cache: bool,
    /// Name in the sandbox; absent: the last part of `value`.
    pub output_file: Option<String>,
}

impl CommandInfo {
    /// A shell command with nothing else set.
    pub fn shell(text: impl Into<String>) -> Self {
        Self {
            command: Command::Shell(text.into()),
            environment: Environment::default(),
            uris: Vec::new(),
            user: None,
        }
    }

    /// A program with its argument vector (`argv[0]` included), nothing else set.
    pub fn argv<S: Into<String>>(path: impl Into<String>, arguments: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: Command::Argv {
                path: path.into(),
                arguments: arguments.into_iter().map(Into::into).collect(),
            },
            environment: Environment::default(),
            uris: Vec::new(),
            user: None,
        }
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.0.push((name.into(), value.into()));
        self
    }
}
