//! GPUs as devices with one owner: found through the driver's library, kept apart, watched. The isolator `gpu/nvidia`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`device`] | GPUs as plain data |
//! | [`driver`] | the door to the library of NVIDIA's driver |
//! | [`settings`], `known` | which GPUs an agent has; which an earlier life had |
//! | `pool`, `choose` | who owns which device; which are near to one another |
//! | `nodes` | the device files of a device |
//! | `isolator` | what a container goes through |
//! | `health`, `guard` | whether a GPU is well; what follows |
//!
//! A container without GPUs sees none: `NVIDIA_VISIBLE_DEVICES` is `void` and `CUDA_VISIBLE_DEVICES` empty, and
//! `cgroups/devices` refuses their files. What an executor finds in its environment is what its container began with; the
//! files that it may open follow its tasks. Libraries of the driver are the host's, as all its files are; a container with
//! a root of its own needs them mounted (`LaunchPlan::mounts`).

mod choose;
pub mod device;
pub mod driver;
mod guard;
mod health;
mod isolator;
mod known;
mod nodes;
mod pool;
pub mod settings;

pub use device::{Device, Devices, Inventory};
pub use driver::{Driver, DriverError, GpuUsage};
pub(super) use isolator::make;
pub use settings::{GpuError, GpuSettings};

/// As in `--isolation`.
pub(super) const NAME: &str = "gpu/nvidia";

#[cfg(test)]
mod tests;
