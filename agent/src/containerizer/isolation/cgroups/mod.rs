//! Isolators that hold a container to its share with cgroups, whichever version has the controller.
//!
//! | module | what it holds |
//! |---|---|
//! | [`hierarchy`] | which hierarchy has which controller |
//! | [`driver`], `v1`, `v2` | what is set and read, and the files of both versions |
//! | [`cpu`], [`memory`], [`pids`], [`devices`], [`blkio`], [`cpuset`] | an isolator each |
//! | `oom` | who was killed for want of memory |
//! | `bpf` | programs that decide about devices, for the second version |
//!
//! The cgroup of a container is `<mount>/<Surroundings.cgroup>/<container id>` in each hierarchy. In the second version that
//! is the directory by which the launcher keeps the container's processes together: it is made and removed by both, and
//! the later one finds nothing left to do.

pub mod blkio;
mod bpf;
pub mod cpu;
pub mod cpuset;
pub mod devices;
pub(crate) mod driver;
pub(crate) mod hierarchy;
pub mod memory;
mod oom;
pub mod pids;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Component, Path, PathBuf};

use protocol::ContainerId;

use super::super::usage::{DeviceIo, Pids, Throttling, field};
use super::{DeviceRule, IsolationError, LaunchPlan, Surroundings, Usage};
use driver::{CgroupError, Driver};
use hierarchy::{Controller, Hierarchies, Version};

pub use driver::IoLimit;

/// How many processes and threads a container may have, unless it is said otherwise. Ours: an eighth of what the kernel
/// has ids for by default.
pub const DEFAULT_PIDS_LIMIT: u64 = 4096;

/// Settings of these isolators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupSettings {
    /// `--cgroups_enable_cfs`: CPUs are a limit, not only a share.
    pub enable_cfs: bool,
    /// `--cgroups_limit_swap`: what is written to swap space counts as memory.
    pub limit_swap: bool,
    /// `--cgroups_pids_limit`; absent: none.
    pub pids_limit: Option<u64>,
    /// `--allowed_devices`: device files for every container, beside those that every process needs.
    pub allowed_devices: Vec<DeviceRule>,
    /// `--cgroups_blkio_limits`: for every container.
    pub io_limits: Vec<IoLimit>,
    /// `--cgroups_cpuset_cpus`, such as `2-7`: the CPUs for containers; absent: all.
    pub cpus: Option<String>,
    /// `--cgroups_cpuset_pin`: a container of whole CPUs has them alone.
    pub pin: bool,
}

impl Default for CgroupSettings {
    fn default() -> Self {
        Self {
            enable_cfs: false,
            limit_swap: false,
            pids_limit: Some(DEFAULT_PIDS_LIMIT),
            allowed_devices: Vec::new(),
            io_limits: Vec::new(),
            cpus: None,
            pin: false,
        }
    }
}

/// The containers' cgroups of one controller.
struct Group {
    driver: &'static dyn Driver,
    mount: PathBuf,
    base: PathBuf,
    /// The launcher's directory, in which the launcher itself puts the first process of each container.
    tree: Option<PathBuf>,
}

impl Group {
    /// Finds the controller and makes the directory of this agent's containers; or why not, for people.
    fn new(controller: Controller, around: &Surroundings) -> Result<Self, String> {
        let found = Hierarchies::find(around.tree.as_deref())
            .map_err(|error| format!("can't list mounts: {error}"))?;
        let Some(place) = found.place(controller) else {
            let name = controller.name(Version::V1);
            return Err(format!(
                "no cgroup hierarchy has the controller '{name}' (mounted: {})",
                found.layout()
            ));
        };
        Self::at(controller, place.version, &place.mount, around).map_err(|error| error.to_string())
    }

    fn at(
        controller: Controller,
        version: Version,
        mount: &Path,
        around: &Surroundings,
    ) -> Result<Self, CgroupError> {
        let own = mount.join(&around.cgroup);
        let tree = around.tree.clone().filter(|tree| version == Version::V2 && tree.starts_with(mount));
        let base = tree.clone().unwrap_or(own);
        // The directory of an agent that has no container just now may be empty too: it makes it again. One of CPU sets would
        // lack what was written there.
        if version == Version::V1 && controller != Controller::Cpuset {
            tidy(&base);
        }
        driver::create(&base)?;
        let driver: &'static dyn Driver = match version {
            Version::V1 => &v1::V1,
            Version::V2 => &v2::V2,
        };
        if version == Version::V2 && controller != Controller::Devices {
            v2::enable(mount, &base, controller)?;
        }
        Ok(Self { driver, mount: mount.to_owned(), base, tree })
    }

    /// A container's directory.
    fn of(&self, container_id: &ContainerId) -> PathBuf {
        self.base.join(container_id.as_str())
    }

    /// A container's directory, if it has one: one that was made without this isolator is not held by it.
    fn held(&self, container_id: &ContainerId) -> Option<PathBuf> {
        let path = self.of(container_id);
        path.exists().then_some(path)
    }

    /// Makes a container's directory, and has its first process join it.
    fn make(&self, container_id: &ContainerId, plan: &mut LaunchPlan) -> Result<PathBuf, IsolationError> {
        // Ids are the agent's own; what is written below must never be another's cgroup.
        let mut parts = Path::new(container_id.as_str()).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            return Err(IsolationError(format!("'{container_id}' can't be the name of a cgroup")));
        }
        let path = self.of(container_id);
        driver::create(&path).map_err(told)?;
        if self.tree.is_none() && !plan.cgroups.contains(&path) {
            plan.cgroups.push(path.clone());
        }
        Ok(path)
    }

    /// The directory of a container of an earlier life.
    fn known(&self, container_id: &ContainerId) -> Result<PathBuf, IsolationError> {
        let path = self.of(container_id);
        match path.is_dir() {
            true => Ok(path),
            false => Err(IsolationError(format!("its cgroup {} is not there any more", path.display()))),
        }
    }

    /// Removes a container's directory.
    fn remove(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        driver::destroy(&self.of(container_id)).map_err(told)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It stays while a container is in it. The launcher removes its own.
        if self.tree.is_none() {
            let _ = fs::remove_dir(&self.base);
            self.base.parent().map(fs::remove_dir);
        }
    }
}

/// Removes what dead agents of other work directories have left empty. One that lives makes its own again.
fn tidy(base: &Path) {
    let entries = base.parent().and_then(|root| fs::read_dir(root).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.path() != base {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn told(error: CgroupError) -> IsolationError {
    IsolationError(error.to_string())
}
