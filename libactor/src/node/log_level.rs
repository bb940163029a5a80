//! How much the program logs: changed for a while, as glog's `-v` in Mesos.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Node;
use crate::limits::MAX_LOG_LEVEL_CHANGE;
use crate::sync::{read, write};

/// Sets the log level to what is given, or back to what it was. The error says what is wrong with it.
pub(crate) type LogLevelHook = Arc<dyn Fn(Option<&str>) -> Result<(), String> + Send + Sync>;

/// Why the log level was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogLevelError {
    /// Nobody has said how, see [`Node::set_log_level_hook`].
    #[error("This program keeps its log level: start it with another")]
    Fixed,
    /// The hook refuses; it says why.
    #[error("{0}")]
    Refused(String),
    /// For longer than a level may be changed.
    #[error("The log level can't be changed for more than {} days", .0.as_secs() / 86_400)]
    TooLong(Duration),
}

impl Node {
    /// Lets the log level be changed: `set` gets the level (`debug`, `trace`, or what a client has asked for), or
    /// `None` when it is to be again what it was. What `set` says against a level is told to the client.
    pub fn set_log_level_hook(
        &self,
        set: impl Fn(Option<&str>) -> Result<(), String> + Send + Sync + 'static,
    ) {
        *write(&self.0.log_level) = Some(Arc::new(set));
    }

    /// How much more is logged than the program was started with: 0 as then, 1 debug, more than that trace.
    pub fn log_level(&self) -> u32 {
        self.0.log_level_now.load(Ordering::Acquire)
    }

    /// Sets the number that [`Node::log_level`] shows, for `duration` of the node's clock; then it is 0 again.
    ///
    /// # Errors
    /// If the level can't be changed, or not for so long.
    pub fn set_log_level(&self, level: u32, duration: Duration) -> Result<(), LogLevelError> {
        let name = match level {
            0 => None,
            1 => Some("debug"),
            _ => Some("trace"),
        };
        self.change_log_level(level, name, duration)
    }

    /// Sets a level by the name that the hook knows.
    pub(crate) fn set_log_level_named(&self, name: &str, duration: Duration) -> Result<(), LogLevelError> {
        let level = match name.to_ascii_lowercase().as_str() {
            "debug" => 1,
            "trace" => 2,
            _ => 0,
        };
        self.change_log_level(level, Some(name), duration)
    }

    fn change_log_level(
        &self,
        level: u32,
        name: Option<&str>,
        duration: Duration,
    ) -> Result<(), LogLevelError> {
        let set = read(&self.0.log_level).clone().ok_or(LogLevelError::Fixed)?;
        if duration > MAX_LOG_LEVEL_CHANGE {
            return Err(LogLevelError::TooLong(MAX_LOG_LEVEL_CHANGE));
        }
        set(name).map_err(LogLevelError::Refused)?;
        self.0.log_level_now.store(level, Ordering::Release);
        let turn = self.0.toggled.fetch_add(1, Ordering::AcqRel) + 1;
        if name.is_none() {
            return Ok(());
        }
        let (node, sleep) = (self.clone(), self.clock().sleep(duration));
        self.spawn_task(async move {
            sleep.await;
            if node.0.toggled.load(Ordering::Acquire) != turn {
                return;
            }
            match set(None) {
                Ok(()) => node.0.log_level_now.store(0, Ordering::Release),
                Err(reason) => tracing::warn!("the log level stays as it is: {reason}"),
            }
        });
        Ok(())
    }
}
