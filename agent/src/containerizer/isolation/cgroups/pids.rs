//! `cgroups/pids`: how many processes and threads a container may have. Who wants more is refused, nobody is killed.

use std::sync::Arc;

use protocol::ContainerId;
use serde_json::{Value, json};

use super::super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings, Usage};
use super::hierarchy::Controller;
use super::{Group, told};

/// The isolator.
pub struct PidsIsolator {
    group: Group,
    limit: Option<u64>,
}

impl PidsIsolator {
    /// Where a hierarchy has the controller.
    ///
    /// # Errors
    /// Why it can't work here.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        let group = Group::new(Controller::Pids, around)?;
        Ok(Arc::new(Self { group, limit: around.settings.cgroups.pids_limit }))
    }
}

impl Isolator for PidsIsolator {
    fn name(&self) -> &'static str {
        "cgroups/pids"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        let path = self.group.make(&container.spec.container_id, plan)?;
        self.group.driver.set_pids(&path, self.limit).map_err(told)?;
        Ok(json!({}))
    }

    fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError> {
        if known.state.is_null() {
            return Ok(());
        }
        let path = self.group.known(known.container_id)?;
        self.group.driver.set_pids(&path, self.limit).map_err(told)
    }

    fn usage(&self, container_id: &ContainerId, usage: &mut Usage) {
        self.group.driver.pids(&self.group.of(container_id), usage);
    }

    fn cleanup(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        self.group.remove(container_id)
    }
}
