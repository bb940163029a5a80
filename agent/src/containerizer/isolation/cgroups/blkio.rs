//! `cgroups/blkio`: how fast a container may use block devices, and what it has used.

use std::path::PathBuf;
use std::sync::Arc;

use protocol::ContainerId;
use serde_json::{Value, json};

use super::super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings, Usage};
use super::hierarchy::Controller;
use super::{Group, IoLimit, told, v1};

/// The isolator.
pub struct BlkioIsolator {
    group: Group,
    limits: Vec<IoLimit>,
}

impl BlkioIsolator {
    /// Where a hierarchy has the controller.
    ///
    /// # Errors
    /// Why it can't work here.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        around.settings.cgroups.io_limits.iter().try_for_each(|limit| whole_disk(limit.device))?;
        let group = Group::new(Controller::Io, around)?;
        Ok(Arc::new(Self { group, limits: around.settings.cgroups.io_limits.clone() }))
    }

    fn set(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        let path = self.group.of(container_id);
        self.limits.iter().try_for_each(|limit| self.group.driver.set_io(&path, limit)).map_err(told)
    }
}

/// Whether a block device is there and can be limited; else no container would start.
fn whole_disk((major, minor): (u32, u32)) -> Result<(), String> {
    let about = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    let wrong = |why| {
        Err(format!(
            "--cgroups_blkio_limits names the block device {major}:{minor}, {why} (lsblk lists them)"
        ))
    };
    match (about.exists(), about.join("partition").exists()) {
        (true, false) => Ok(()),
        (true, true) => wrong("which is a partition: the kernel limits whole disks only"),
        (false, _) => wrong("which this machine does not have"),
    }
}

impl Isolator for BlkioIsolator {
    fn name(&self) -> &'static str {
        "cgroups/blkio"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        self.group.make(&container.spec.container_id, plan)?;
        self.set(&container.spec.container_id)?;
        Ok(json!({}))
    }

    fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError> {
        if known.state.is_null() {
            return Ok(());
        }
        // Flags may have changed meanwhile.
        let path = self.group.known(known.container_id)?;
        self.group.driver.clear_io(&path).map_err(told)?;
        self.set(known.container_id)
    }

    fn usage(&self, container_id: &ContainerId, usage: &mut Usage) {
        self.group.driver.io(&self.group.of(container_id), usage);
    }

    fn cleanup(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        self.group.remove(container_id)
    }
}

/// The limits of `--cgroups_blkio_limits`, as in the kernel's `io.max`: `254:0 rbps=1048576 wiops=100; 7:0 wbps=4096`.
///
/// # Errors
/// It is nothing like that.
pub fn parse_limits(text: &str) -> Result<Vec<IoLimit>, String> {
    let one = |part: &str| {
        let mut words = part.split_whitespace();
        let device = words.next().and_then(v1::parse_device);
        let mut limit =
            IoLimit { device: device.ok_or("a device is named as MAJOR:MINOR")?, ..IoLimit::default() };
        for word in words {
            let (name, value) = word.split_once('=').ok_or("a limit is said as NAME=NUMBER")?;
            let value = Some(value.parse().map_err(|_| format!("'{value}' is no number"))?);
            match name {
                "rbps" => limit.read_bytes = value,
                "wbps" => limit.written_bytes = value,
                "riops" => limit.reads = value,
                "wiops" => limit.writes = value,
                _ => return Err(format!("'{name}' is none of rbps, wbps, riops, wiops")),
            }
        }
        Ok(limit)
    };
    text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_said_before_any_container_fails_for_it() {
        let why = whole_disk((4095, 7)).unwrap_err();
        assert!(why.contains("the block device 4095:7, which this machine does not have"), "{why}");
    }

    #[test]
    fn limits_are_read() {
        let first = IoLimit { device: (254, 0), read_bytes: Some(1), writes: Some(2), ..IoLimit::default() };
        let second = IoLimit { device: (7, 0), written_bytes: Some(3), ..IoLimit::default() };
        assert_eq!(parse_limits("254:0 rbps=1 wiops=2; 7:0 wbps=3;"), Ok(vec![first, second]));
        assert_eq!(parse_limits(""), Ok(Vec::new()));
        for wrong in ["vda rbps=1", "7:0 rbps", "7:0 rbps=x", "7:0 speed=1"] {
            assert!(parse_limits(wrong).is_err(), "{wrong}");
        }
    }
}
