//! What holds containers to what they asked for: isolators, each of one kind.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cgroups`] | shares and limits, by cgroups of both versions |
//! | [`posix`] | no limits |
//! | [`kinds`] | the kinds by name, and which of them are chosen |
//! | [`plan`] | what the launcher does in the new process, as the isolators want it |
//! | [`devices`] | which device files containers may use |
//! | [`gpu`] | GPUs as devices with one owner |
//! | [`namespaces`] | process ids and shared memory of a container's own |
//! | [`filesystem`] | volumes, a private `/tmp` |
//! | [`rlimits`] | limits of processes |
//! | [`privileges`] | capabilities |
//! | [`disk`] | what a sandbox takes |
//! | [`ports`] | where containers listen |
//! | `watcher` | threads that look again and again |
//! | `names` | names of processes in messages |
//! | `demands` | what is asked for and not given |
//!
//! A container goes through its isolators so: [`prepare`](Isolator::prepare) of each in their order, the launcher carries
//! out the plan, [`started`](Isolator::started) before the executor's first instruction; [`update`](Isolator::update) as its
//! tasks come and go; when its processes are gone, [`broken`](Isolator::broken) and then [`cleanup`](Isolator::cleanup) of
//! each in the opposite order. After a restart of the agent [`recover`](Isolator::recover) takes the place of the first
//! two. Calls may take time: they are made on threads that may wait, several at once for different containers, never two
//! at once for one.

pub mod cgroups;
pub(super) mod demands;
pub mod devices;
pub mod disk;
pub mod filesystem;
pub mod gpu;
pub mod kinds;
mod names;
pub mod namespaces;
pub mod plan;
pub mod ports;
pub mod posix;
pub mod privileges;
pub mod rlimits;
#[cfg(test)]
mod testing;
mod watcher;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::wire::v1::{ContainerInfo, ContainerStatus};
use protocol::{ContainerId, Resources};
use serde_json::Value;
use tokio::sync::mpsc;

use super::Usage;
use crate::core::{ContainerSpec, Limitation};

pub use devices::{DeviceAccess, DeviceControl, DeviceRule};
pub use kinds::{Chosen, UnknownIsolator};
pub use plan::LaunchPlan;

/// A container that is being made.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    /// What is asked for.
    pub spec: &'a ContainerSpec,
    /// Its sandbox: absolute, exists, belongs to its user.
    pub sandbox: &'a Path,
}

impl Container<'_> {
    /// What the framework asks of it.
    pub fn asked(&self) -> ContainerInfo {
        self.spec.container.as_ref().map(protocol::Carried::read).unwrap_or_default()
    }
}

/// Why a container can't be isolated, for people: what was tried, why it failed, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IsolationError(pub String);

/// Holds containers to what they asked for, of one kind.
pub trait Isolator: Send + Sync + 'static {
    /// As in `--isolation`.
    fn name(&self) -> &'static str;

    /// Before the container's first process: makes what it needs, and adds to what the launcher does. What is returned is
    /// kept with the container and given back to [`Isolator::recover`]; nothing of it needs to outlive the machine.
    ///
    /// # Errors
    /// The container does not start. What has been made is taken away by [`Isolator::cleanup`], which follows.
    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError>;

    /// Its first process is there and waits for the rest of the launcher's work.
    ///
    /// # Errors
    /// The container is ended.
    fn started(&self, container_id: &ContainerId, pid: u32) -> Result<(), IsolationError> {
        let _ = (container_id, pid);
        Ok(())
    }

    /// An earlier life of the agent has prepared it, and it runs.
    ///
    /// # Errors
    /// What it needs is not there any more. The container is ended.
    fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError>;

    /// What the container may use has changed.
    ///
    /// # Errors
    /// It can't be given that. The container is ended.
    fn update(&self, container_id: &ContainerId, resources: &Resources) -> Result<(), IsolationError> {
        let _ = (container_id, resources);
        Ok(())
    }

    /// Its processes are gone: whether that was for a limit that it broke.
    fn broken(&self, container_id: &ContainerId) -> Option<Limitation> {
        let _ = container_id;
        None
    }

    /// Adds what it knows of what the container uses now.
    fn usage(&self, container_id: &ContainerId, usage: &mut Usage) {
        let _ = (container_id, usage);
    }

    /// Adds what it knows of the container.
    fn status(&self, container_id: &ContainerId, status: &mut ContainerStatus) {
        let _ = (container_id, status);
    }

    /// Takes away all that it has made for a container of which no process is left. One that it does not know, or that was
    /// half made, or made by an earlier life and never recovered, is no error.
    ///
    /// # Errors
    /// Something stays behind; it is logged and counted.
    fn cleanup(&self, container_id: &ContainerId) -> Result<(), IsolationError>;
}

/// A container that an earlier life of the agent has made.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Which.
    pub container_id: &'a ContainerId,
    /// Its first process.
    pub pid: u32,
    /// Absolute.
    pub sandbox: &'a Path,
    /// What it may use, as it was said last.
    pub resources: &'a Resources,
    /// What [`Isolator::prepare`] returned; `Null` where this isolator did not prepare it.
    pub state: &'a Value,
}

/// What an isolator is made with.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// `--work_dir`, absolute.
    pub work_dir: PathBuf,
    /// What dies with the machine lies here: absolute, exists.
    pub runtime_dir: PathBuf,
    /// The name of this agent's own cgroup below each hierarchy's mount: `<--cgroups_root>/<its work directory's number>`.
    /// A container's is below it, with the container's id as its name.
    pub cgroup: String,
    /// The cgroup2 directory in which the launcher makes one directory a container, to end all that is in it; absent: the
    /// launcher does without.
    pub tree: Option<PathBuf>,
    /// Which device files containers may use; `cgroups/devices` enforces it.
    pub devices: DeviceAccess,
    /// Settings, as the flags say.
    pub settings: Arc<IsolationSettings>,
    /// Told of limits that are broken while the container runs: it is ended for it.
    pub broken: mpsc::Sender<(ContainerId, Limitation)>,
    /// Told of what the machine offers from now on, when that has changed.
    pub offered: mpsc::Sender<Resources>,
}

/// Settings of isolators: each has its own part, with the defaults of its flags.
#[derive(Clone, Debug, Default)]
pub struct IsolationSettings {
    /// The GPUs of this machine.
    pub gpu: gpu::GpuSettings,
    /// Shares, limits and devices.
    pub cgroups: cgroups::CgroupSettings,
    /// Processes and shared memory of a container's own.
    pub namespaces: namespaces::NamespaceSettings,
    /// Mounts of a container's own.
    pub filesystem: filesystem::FilesystemSettings,
    /// Capabilities.
    pub capabilities: privileges::CapabilitySettings,
    /// What sandboxes may take.
    pub disk: disk::DiskSettings,
    /// Where containers may listen.
    pub ports: ports::PortsSettings,
}
