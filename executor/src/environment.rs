//! What an agent tells its executors: the `MESOS_*` variables.

use std::time::Duration;

use libactor::Pid;
use protocol::notation::Span;

use crate::core::SessionConfig;
use crate::limits::{DEFAULT_BACKOFF_MAX, DEFAULT_RECOVERY_TIMEOUT, DEFAULT_SHUTDOWN_GRACE};

/// Why an executor can't be made of its environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable is not there.
    #[error("{name} is not set: executors are started by an agent")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A variable can't be read.
    #[error("{name}={value}: {reason}")]
    Unreadable {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// Why.
        reason: String,
    },
}

impl SessionConfig {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// Says which variable is missing or can't be read.
    pub fn from_environment(seed: u64) -> Result<Self, EnvironmentError> {
        Self::from_variables(|name| std::env::var(name).ok(), seed)
    }

    /// Reads variables from wherever they are.
    ///
    /// # Errors
    /// Says which variable is missing or can't be read.
    pub fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
        seed: u64,
    ) -> Result<Self, EnvironmentError> {
        let set = |name: &'static str| variable(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| set(name).ok_or(EnvironmentError::Missing { name });
        let duration = |name: &'static str, absent: Duration| match set(name) {
            None => Ok(absent),
            Some(value) => match value.parse::<Span>() {
                Ok(Span(duration)) => Ok(duration),
                Err(error) => Err(EnvironmentError::Unreadable {
                    name,
                    value: value.clone(),
                    reason: error.to_string(),
                }),
            },
        };
        let agent = required("MESOS_SLAVE_PID")?;
        let agent: Pid =
            agent.parse().map_err(|error: libactor::ParsePidError| EnvironmentError::Unreadable {
                name: "MESOS_SLAVE_PID",
                value: agent.clone(),
                reason: error.to_string(),
            })?;
        Ok(Self {
            framework_id: required("MESOS_FRAMEWORK_ID")?.into(),
            executor_id: required("MESOS_EXECUTOR_ID")?.into(),
            container_id: required("MESOS_CONTAINER_ID")?.into(),
            agent,
            checkpoint: set("MESOS_CHECKPOINT").is_some_and(|value| value == "1" || value == "true"),
            recovery_timeout: duration("MESOS_RECOVERY_TIMEOUT", DEFAULT_RECOVERY_TIMEOUT)?,
            backoff_max: duration("MESOS_SUBSCRIPTION_BACKOFF_MAX", DEFAULT_BACKOFF_MAX)?,
            shutdown_grace: duration("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", DEFAULT_SHUTDOWN_GRACE)?,
            ip: set("LIBPROCESS_IP").and_then(|ip| ip.parse().ok()),
            seed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changed: &str, to: &str) -> Result<SessionConfig, EnvironmentError> {
        let all = [
            ("MESOS_FRAMEWORK_ID", "F"),
            ("MESOS_EXECUTOR_ID", "E"),
            ("MESOS_CONTAINER_ID", "c1"),
            ("MESOS_SLAVE_PID", "slave(1)@10.0.0.9:5051"),
            ("MESOS_CHECKPOINT", "0"),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "7secs"),
        ];
        let find = |name: &str| match name == changed {
            true => Some(to.to_owned()),
            false => all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        };
        SessionConfig::from_variables(find, 1)
    }

    #[test]
    fn the_environment_of_an_agent_is_read() {
        let config = read("", "").unwrap();
        assert_eq!(config.agent.to_string(), "slave(1)@10.0.0.9:5051");
        assert_eq!(config.shutdown_grace, Duration::from_secs(7));
        assert_eq!(config.recovery_timeout, Duration::from_secs(900));
        assert!(!config.checkpoint);
        assert!(read("MESOS_CHECKPOINT", "1").unwrap().checkpoint);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(
            read("MESOS_CONTAINER_ID", ""),
            Err(EnvironmentError::Missing { name: "MESOS_CONTAINER_ID" })
        );
        for (name, value) in [("MESOS_SLAVE_PID", "nobody"), ("MESOS_RECOVERY_TIMEOUT", "15 apples")] {
            assert!(read(name, value).unwrap_err().to_string().starts_with(name), "{name}");
        }
    }
}
