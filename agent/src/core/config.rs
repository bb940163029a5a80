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
    /// `--recovery_timeout`: how long an executor of a framework that checkpoints may stay away after its stream broke, and
    /// how long it waits for an agent that is away.
    pub recovery_timeout: Duration,
    /// Of the machine, the text of `/proc/sys/kernel/random/boot_id`: it tells a machine that was started anew. Empty: it is
    /// not known, and counts as that of before.
    pub boot_id: String,
    /// `--recover`: what becomes of what an earlier life has left.
    pub recover: Recover,
    /// `--executor_reregistration_timeout`: how long executors of an earlier life have to subscribe again.
    pub executor_reregistration_timeout: Duration,
    /// `--reconfiguration_policy`: what may differ from what an earlier life has said of itself.
    pub reconfiguration_policy: ReconfigurationPolicy,
    /// `--switch_user`: whether tasks run as the user that they name.
    pub switch_user: bool,
    /// `--executor_environment_variables`: given to every executor.
    pub executor_environment: Vec<(String, String)>,
}

/// What becomes of what an earlier life of the agent has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recover {
    /// Executors that live subscribe again and go on.
    #[default]
    Reconnect,
    /// All is killed and reported, the agent unregisters and ends. The next start begins anew.
    Cleanup,
}

/// What may differ from what an earlier life of the agent has said of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReconfigurationPolicy {
    /// Nothing. Source: Mesos.
    Equal,
    /// Resources and attributes may be added. Source: Mesos.
    Additive,
    /// All, as long as what runs still fits into the resources. Ours.
    #[default]
    Compatible,
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
            boot_id: String::new(),
            recover: Recover::default(),
            executor_reregistration_timeout: limits::EXECUTOR_REREGISTRATION_TIMEOUT,
            reconfiguration_policy: ReconfigurationPolicy::default(),
            switch_user: true,
            executor_environment: Vec::new(),
        }
    }
}
