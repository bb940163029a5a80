//! What the machine is told once.

use std::time::Duration;

use libactor::Pid;
use protocol::AgentInfo;

use super::limits;

/// Settings of the agent machine. The flags' names are Mesos's.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Its own actor, `slave(1)@ip:port`: executors are told to call there.
    pub pid: Pid,
    /// What it says of itself; `id` is absent.
    pub info: AgentInfo,
    /// Of the API of Mesos that it speaks: shown to tools that compare it.
    pub version: String,
    /// `--registration_backoff_factor`: the first wait between attempts is random below it.
    pub registration_backoff_factor: Duration,
    /// `--executor_registration_timeout`: from asking for the container to the executor's subscription.
    pub executor_registration_timeout: Duration,
    /// `--executor_shutdown_grace_period`: between the request to shut down and the kill.
    pub executor_shutdown_grace_period: Duration,
    /// `--recovery_timeout`: how long an executor of a framework that checkpoints may stay away after its stream broke.
    pub recovery_timeout: Duration,
    /// `--switch_user`: whether tasks run as the user that they name.
    pub switch_user: bool,
    /// `--executor_environment_variables`: given to every executor.
    pub executor_environment: Vec<(String, String)>,
}

impl AgentConfig {
    /// Settings with the defaults of Mesos.
    pub fn new(pid: Pid, info: AgentInfo, version: impl Into<String>) -> Self {
        Self {
            pid,
            info,
            version: version.into(),
            registration_backoff_factor: limits::REGISTRATION_BACKOFF_FACTOR,
            executor_registration_timeout: limits::EXECUTOR_REGISTRATION_TIMEOUT,
            executor_shutdown_grace_period: limits::EXECUTOR_SHUTDOWN_GRACE_PERIOD,
            recovery_timeout: limits::RECOVERY_TIMEOUT,
            switch_user: true,
            executor_environment: Vec::new(),
        }
    }
}
