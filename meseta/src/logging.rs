//! The log: lines on standard error, or in a file of a directory. The one door to tracing-subscriber.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

/// What a log needs to know.
#[derive(Debug, Default)]
pub struct LogConfig {
    /// `INFO`, `WARNING`, `ERROR`, as in Mesos, or levels of modules (`libactor=trace,info`).
    pub level: String,
    /// Nothing but errors.
    pub quiet: bool,
    /// Write `<directory>/<component>.log` instead of standard error.
    pub directory: Option<PathBuf>,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level can't be understood.
    #[error(
        "flag '--logging_level' can't be '{level}': expected INFO, WARNING, ERROR, DEBUG or a filter such as libactor=debug,info"
    )]
    Level {
        /// What was given.
        level: String,
    },
    /// The file can't be opened.
    #[error("log file {path} can't be written: {error}; give another --log_dir or mend its permissions")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Changes the level while the program runs.
#[derive(Clone, Debug)]
pub struct LogLevel {
    handle: reload::Handle<Targets, Registry>,
    initial: String,
}

impl LogLevel {
    /// Sets a level for everything; `None`: back to what the flags said.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn set(&self, level: Option<&str>) -> Result<(), String> {
        let refused = || {
            let given = level.unwrap_or_default();
            format!("'{given}' is not a level: expected INFO, WARNING, ERROR, DEBUG or a filter")
        };
        let directive = match level {
            Some(level) => directive(level).ok_or_else(refused)?,
            None => self.initial.clone(),
        };
        let filter = directive.parse::<Targets>().map_err(|_| refused())?;
        self.handle.reload(filter).map_err(|error| error.to_string())
    }
}

/// Starts the log of this process.
///
/// # Errors
/// See [`LogError`].
pub fn start(config: &LogConfig, component: &str) -> Result<LogLevel, LogError> {
    let refused = || LogError::Level { level: config.level.clone() };
    let asked = directive(&config.level).ok_or_else(refused)?;
    let directive = if config.quiet { "error".to_owned() } else { asked };
    let filter = directive.parse::<Targets>().map_err(|_| refused())?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match &config.directory {
        None => {
            let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
            registry.with(lines).try_init()
        }
        Some(directory) => {
            let file = Mutex::new(Arc::new(open(directory, component)?));
            registry.with(fmt::layer().with_writer(file).with_ansi(false)).try_init()
        }
    };
    if let Err(error) = started {
        // Only a test that starts two components in one process comes here: the first log serves both.
        tracing::debug!(%error, "the log was started before");
    }
    Ok(LogLevel { handle, initial: directive })
}

/// The file of a component's log in a directory.
pub fn path(directory: &Path, component: &str) -> PathBuf {
    directory.join(format!("{component}.log"))
}

fn open(directory: &Path, component: &str) -> Result<File, LogError> {
    let path = path(directory, component);
    std::fs::create_dir_all(directory)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&path))
        .map_err(|error| LogError::File { path, error })
}

/// Mesos's names and numbers of levels, or tracing's own directives. `None`: neither. Tracing would take an unknown
/// word for the name of a module and log nothing else: a slip would silence the log.
fn directive(level: &str) -> Option<String> {
    let parts: Option<Vec<String>> = level
        .split(',')
        .map(str::trim)
        .map(|part| if part.contains('=') { Some(part.to_owned()) } else { name(part).map(Into::into) })
        .collect();
    Some(parts?.join(","))
}

fn name(level: &str) -> Option<&'static str> {
    Some(match level.to_ascii_uppercase().as_str() {
        "INFO" | "0" => "info",
        "WARNING" | "WARN" => "warn",
        "ERROR" | "FATAL" => "error",
        "DEBUG" | "1" => "debug",
        "TRACE" | "2" | "3" => "trace",
        "OFF" => "off",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        assert_eq!(directive("WARNING").as_deref(), Some("warn"));
        assert_eq!(directive("libactor=debug,INFO").as_deref(), Some("libactor=debug,info"));
        assert_eq!(directive("3").as_deref(), Some("trace"));
        for good in ["WARNING", "libactor=debug,INFO", "3", "off", "agent::core=trace"] {
            directive(good).unwrap().parse::<Targets>().unwrap();
        }
        for bad in ["libactor=loud", "=debug=x", "a[b{c=1}]=debug"] {
            let parsed = directive(bad).map(|text| text.parse::<Targets>().is_ok());
            assert_ne!(parsed, Some(true), "{bad}");
        }
        for slip in ["INOF", "", "libactor", "info,loud"] {
            assert_eq!(directive(slip), None, "{slip}");
        }
    }
}
