//! The devices of an earlier life: one that is gone meanwhile may still be counted as some container's.

use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::device::Device;
use super::settings::GpuSettings;

/// What is kept, until the machine starts anew.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    boot_id: String,
    devices: Vec<Device>,
}

impl GpuSettings {
    /// Takes up the devices that an earlier life of the agent has had since the machine started, and that are gone now: as
    /// [`GpuSettings::gone`], so that the agent can begin with all that its containers hold. `place` is `--runtime_dir`.
    ///
    /// # Errors
    /// They can't be kept for the next life. What an earlier life has left and can't be read is passed over.
    pub fn remember(&mut self, place: &Path) -> io::Result<()> {
        let path = place.join("gpus.json");
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!("{} can't be understood: {error}", path.display());
                Kept::default()
            }),
            Err(_) => Kept::default(),
        };
        for device in kept.devices.into_iter().filter(|_| kept.boot_id == boot_id) {
            let there = self.devices.all.iter().any(|own| own.uuid == device.uuid);
            if !there && self.wanted.takes(&device) {
                tracing::error!("{device} was there when the agent ran last, and is gone: it is not offered");
                self.gone.push(device.uuid.clone());
                self.devices.add(device);
            }
        }
        if self.any() {
            fs::create_dir_all(place)?;
            let new = path.with_extension("new");
            fs::write(&new, serde_json::to_vec(&Kept { boot_id, devices: self.devices.all.clone() })?)?;
            fs::rename(new, path)?;
        }
        Ok(())
    }
}
