//! `cgroups/cpu`: a container's share of the CPUs, and where it is wanted no more than that.

use std::sync::Arc;

use protocol::{ContainerId, Resources};
use serde_json::{Value, json};

use super::super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings, Usage};
use super::driver::CpuSetting;
use super::hierarchy::Controller;
use super::{Group, told};

/// The period in which a quota is given, microseconds. Source: Mesos.
const PERIOD_US: u64 = 100_000;
/// The least quota, microseconds. Source: Mesos; the kernel takes no less.
const MIN_QUOTA_US: u64 = 1000;

/// The isolator.
pub struct CpuIsolator {
    group: Group,
    cfs: bool,
}

impl CpuIsolator {
    /// Where a hierarchy has the controller.
    ///
    /// # Errors
    /// Why it can't work here.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        let group = Group::new(Controller::Cpu, around)?;
        let cfs = around.settings.cgroups.enable_cfs;
        if cfs && !quota_is_there(&group) {
            return Err(
                "the kernel has no CFS bandwidth control, which --cgroups_enable_cfs asks for".to_owned()
            );
        }
        Ok(Arc::new(Self { group, cfs }))
    }

    fn setting(&self, resources: &Resources) -> CpuSetting {
        let cpus = resources.cpus().as_f64();
        let quota =
            self.cfs.then(|| (((cpus * PERIOD_US as f64).round() as u64).max(MIN_QUOTA_US), PERIOD_US));
        CpuSetting { cpus, quota }
    }
}

fn quota_is_there(group: &Group) -> bool {
    // Of the second version the root has no such file, any other cgroup has.
    ["cpu.cfs_quota_us", "cpu.max"].iter().any(|name| group.base.join(name).exists())
}

impl Isolator for CpuIsolator {
    fn name(&self) -> &'static str {
        "cgroups/cpu"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        let path = self.group.make(&container.spec.container_id, plan)?;
        self.group.driver.set_cpu(&path, self.setting(&container.spec.resources)).map_err(told)?;
        Ok(json!({}))
    }

    fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError> {
        if known.state.is_null() {
            return Ok(());
        }
        // Flags may have changed meanwhile.
        let path = self.group.known(known.container_id)?;
        self.group.driver.set_cpu(&path, self.setting(known.resources)).map_err(told)
    }

    fn update(&self, container_id: &ContainerId, resources: &Resources) -> Result<(), IsolationError> {
        let Some(path) = self.group.held(container_id) else { return Ok(()) };
        self.group.driver.set_cpu(&path, self.setting(resources)).map_err(told)
    }

    fn usage(&self, container_id: &ContainerId, usage: &mut Usage) {
        self.group.driver.cpu(&self.group.of(container_id), usage);
    }

    fn cleanup(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        self.group.remove(container_id)
    }
}
