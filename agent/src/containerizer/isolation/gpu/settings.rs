//! Which GPUs an agent has: found at its start, or said.

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::resources::{Scalar, Value};
use protocol::{Resource, Resources};

use super::device::{Device, Devices, Inventory};
use super::driver::{Driver, DriverError};

/// How often the GPUs are asked how they are. Ours.
const POLL: Duration = Duration::from_secs(10);

/// The GPUs of this machine, as they were found at the start, and how to ask for them.
#[derive(Clone, Debug)]
pub struct GpuSettings {
    /// Those that containers may own; empty: GPUs are not isolated.
    pub devices: Devices,
    /// The UUIDs of those among them that are gone since an earlier life of the agent: see [`GpuSettings::remember`].
    pub gone: Vec<String>,
    /// Why there are none, for people.
    pub why_none: String,
    /// All that the agent offers while every GPU is well.
    pub total: Resources,
    /// Whom to ask how they are.
    pub driver: Option<Driver>,
    /// `--nvidia_gpu_devices`.
    pub wanted: Wanted,
    /// Where device files lie: `/dev`.
    pub dev: PathBuf,
    /// Where the kernel tells of devices: `/proc`.
    pub proc: PathBuf,
    /// How often they are asked how they are.
    pub poll: Duration,
}

/// Why an agent's GPUs are not what its flags say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// Some are named, and there are none.
    #[error("--nvidia_gpu_devices names GPUs, and none can be found: {0}")]
    NoDriver(#[from] DriverError),
    /// Some that are named are not there.
    #[error("--nvidia_gpu_devices names {missing}, which is not there; there are: {known}")]
    Missing {
        /// As it was said.
        missing: String,
        /// What there is.
        known: String,
    },
}

/// `--nvidia_gpu_devices`: numbers of GPUs, or UUIDs of GPUs or MIG devices. A divided GPU is all its instances. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted(Vec<String>);

impl Wanted {
    /// From the text of the flag.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Whether a device is among them.
    pub fn takes(&self, device: &Device) -> bool {
        self.0.is_empty() || self.0.iter().any(|name| is(name, device))
    }
}

fn is(name: &str, device: &Device) -> bool {
    name == device.uuid || name == device.gpu_uuid() || name.parse() == Ok(device.index)
}

impl Default for GpuSettings {
    fn default() -> Self {
        Self::none("this agent does not look for them")
    }
}

impl GpuSettings {
    /// No GPUs.
    pub fn none(why: impl Into<String>) -> Self {
        Self {
            devices: Devices::default(),
            gone: Vec::new(),
            why_none: why.into(),
            total: Resources::default(),
            driver: None,
            wanted: Wanted::default(),
            dev: "/dev".into(),
            proc: "/proc".into(),
            poll: POLL,
        }
    }

    /// Those that the driver's library (absent: the system's) knows, of these `--nvidia_gpu_devices`.
    ///
    /// # Errors
    /// What is named is not there. That there are no GPUs is none.
    pub fn find(library: Option<&Path>, wanted: &str) -> Result<Self, GpuError> {
        let wanted = Wanted::parse(wanted);
        let asked = Driver::open(library).and_then(|driver| Ok((driver.inventory()?, driver)));
        let (inventory, driver) = match asked {
            Ok(found) => found,
            Err(error) if wanted.0.is_empty() => return Ok(Self::none(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        for sentence in &inventory.lost {
            tracing::error!("left out: {sentence}");
        }
        wanted.check(&inventory)?;
        let devices = inventory.devices(|device| wanted.takes(device));
        let known: Vec<String> = devices.all.iter().map(ToString::to_string).collect();
        if !known.is_empty() {
            tracing::info!(driver = inventory.driver, "GPUs for containers: {}", known.join(", "));
        }
        Ok(Self { devices, driver: Some(driver), wanted, ..Self::none("the driver knows of none") })
    }

    /// Whether there are GPUs that containers may own.
    pub fn any(&self) -> bool {
        !self.devices.all.is_empty()
    }

    /// What is offered with so many of them; an agent that offers none does not begin to.
    pub fn offering(&self, count: usize) -> Resources {
        if self.total.gpus() == Scalar::ZERO {
            return self.total.clone();
        }
        with_gpus(&self.total, count as u64)
    }
}

impl Wanted {
    fn check(&self, inventory: &Inventory) -> Result<(), GpuError> {
        let all = inventory.devices(|_| true).all;
        let there = |name: &&String| all.iter().any(|device| is(name, device));
        let missing: Vec<&str> = self.0.iter().filter(|name| !there(name)).map(String::as_str).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let known: Vec<String> = all.iter().map(ToString::to_string).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(GpuError::Missing { missing: missing.join(", "), known })
    }
}

/// The same resources with so many GPUs. Those that are reserved for nobody go first, and come back last.
fn with_gpus(total: &Resources, count: u64) -> Resources {
    let is_gpu = |resource: &&Resource| &*resource.name == "gpus";
    let mut gpus: Vec<Resource> = total.iter().filter(is_gpu).cloned().collect();
    gpus.sort_by_key(|resource| std::cmp::Reverse(resource.reservations.len()));
    let mut left = Scalar::from_units(count);
    for resource in &mut gpus {
        if let Value::Scalar(amount) = &mut resource.value {
            *amount = left.min(*amount);
            left = left.saturating_sub(*amount);
        }
    }
    // More than there were: a GPU was divided.
    gpus.push(Resource::scalar("gpus", left));
    let others = total.iter().filter(|resource| !is_gpu(resource)).cloned();
    others.chain(gpus).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_come_and_go_in_the_total() {
        let total: Resources = "cpus:2;gpus:2;gpus(a):2".parse().unwrap();
        let expect =
            |count, text: &str| assert_eq!(with_gpus(&total, count), text.parse().unwrap(), "{count}");
        expect(4, "cpus:2;gpus:2;gpus(a):2");
        expect(3, "cpus:2;gpus:1;gpus(a):2");
        expect(1, "cpus:2;gpus(a):1");
        expect(0, "cpus:2");
        expect(10, "cpus:2;gpus:8;gpus(a):2");
    }
}
