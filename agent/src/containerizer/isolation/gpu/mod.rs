//! GPUs as devices with one owner: found through the driver's library, kept apart, watched.
//!
//! | module | what it holds |
//! |---|---|
//! | `choose` | which devices are near to one another |
//! | [`device`] | GPUs as plain data |
//! | [`driver`] | the door to the library of NVIDIA's driver |
//! | `pool` | who owns which device |

mod choose;
pub mod device;
pub mod driver;
mod pool;

use std::path::PathBuf;
use std::time::Duration;

use protocol::Resources;

pub use device::{Device, Devices, Inventory};
pub use driver::{Driver, DriverError, GpuUsage};

/// The GPUs of this machine, as they were found at the start, and how to ask for them.
#[derive(Clone, Debug)]
pub struct GpuSettings {
    /// Those that containers may own; empty: GPUs are not isolated.
    pub devices: Devices,
    /// All that the agent offers while every GPU is well.
    pub total: Resources,
    /// Where device files lie: `/dev`.
    pub dev: PathBuf,
    /// Where the kernel tells of devices: `/proc`.
    pub proc: PathBuf,
    /// How often the GPUs are asked how they are.
    pub poll: Duration,
}

impl Default for GpuSettings {
    fn default() -> Self {
        Self {
            devices: Devices::default(),
            total: Resources::default(),
            dev: "/dev".into(),
            proc: "/proc".into(),
            poll: Duration::from_secs(10),
        }
    }
}

impl GpuSettings {
    /// Whether there are GPUs that containers may own.
    pub fn any(&self) -> bool {
        !self.devices.all.is_empty()
    }
}

#[cfg(test)]
mod tests;
