//! Which device files containers may use, beside those that every process needs: who knows it says so, `cgroups/devices`
//! enforces it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use protocol::ContainerId;
use serde::{Deserialize, Serialize};

use super::IsolationError;

/// Devices that a container may read, write and make files of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeviceRule {
    /// A block device; else one of characters.
    pub block: bool,
    /// Its major number.
    pub major: u32,
    /// Its minor number; absent: all of that major number.
    pub minor: Option<u32>,
}

impl fmt::Display for DeviceRule {
    /// As in `devices.allow`: `c 195:0 rwm`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.block { 'b' } else { 'c' };
        match self.minor {
            Some(minor) => write!(f, "{kind} {}:{minor} rwm", self.major),
            None => write!(f, "{kind} {}:* rwm", self.major),
        }
    }
}

/// Carries out what containers may use.
pub trait DeviceControl: Send + Sync + 'static {
    /// From now on the container may use these, beside what every container may, and no others: all that was granted
    /// before is replaced. It has been prepared, or recovered, by the isolator that does this.
    ///
    /// # Errors
    /// The kernel refuses.
    fn grant(&self, container_id: &ContainerId, rules: &[DeviceRule]) -> Result<(), IsolationError>;
}

/// Where the isolators that know of devices find the one that enforces it. That one is made before them, and prepares,
/// recovers and updates a container before them.
#[derive(Clone, Default)]
pub struct DeviceAccess(Arc<OnceLock<Arc<dyn DeviceControl>>>);

impl DeviceAccess {
    /// Says who enforces it, once.
    pub fn enforce(&self, control: Arc<dyn DeviceControl>) {
        // A second one would be another agent's; there is one of each kind.
        let _ = self.0.set(control);
    }

    /// Whether anybody enforces it.
    pub fn enforced(&self) -> bool {
        self.0.get().is_some()
    }

    /// See [`DeviceControl::grant`]. Nothing where nobody enforces it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn grant(&self, container_id: &ContainerId, rules: &[DeviceRule]) -> Result<(), IsolationError> {
        self.0.get().map_or(Ok(()), |control| control.grant(container_id, rules))
    }
}

impl fmt::Debug for DeviceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeviceAccess").field(&self.enforced()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_as_the_kernel_reads_it() {
        let rule = DeviceRule { block: false, major: 195, minor: Some(3) };
        assert_eq!(rule.to_string(), "c 195:3 rwm");
        assert_eq!(DeviceRule { block: true, minor: None, ..rule }.to_string(), "b 195:* rwm");
    }
}
