//! Which device files the devices of a container are.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::stat::{major, minor};

use super::super::{DeviceRule, IsolationError};
use super::device::Device;
use super::settings::GpuSettings;

/// Of `/dev/nvidiaN` and `/dev/nvidiactl`. Source: the driver; registered with the kernel's maintainers.
const MAJOR: u32 = 195;
/// Of `/dev/nvidiactl`. Source: the driver.
const CONTROL: u32 = 255;

/// What a container with these devices may use: its own, and what all share that compute. Nothing without devices.
pub(super) fn rules(settings: &GpuSettings, devices: &[Device]) -> Result<Vec<DeviceRule>, IsolationError> {
    let character = |major, minor| DeviceRule { block: false, major, minor: Some(minor) };
    let mut rules = Vec::new();
    if devices.is_empty() {
        return Ok(rules);
    }
    rules.push(character(MAJOR, CONTROL));
    // What has no number yet can't be used by anybody: its module is not loaded.
    if let Some(uvm) = number(settings, "nvidia-uvm") {
        rules.extend([character(uvm, 0), character(uvm, 1)]);
    }
    for device in devices {
        rules.push(character(MAJOR, device.minor));
        let Some(part) = &device.mig else { continue };
        let Some(caps) = number(settings, "nvidia-caps") else {
            return Err(IsolationError(format!(
                "{device} can't be used: the kernel has no devices nvidia-caps; load the driver with nvidia-modprobe"
            )));
        };
        let mig = settings.proc.join(format!("driver/nvidia/capabilities/gpu{}/mig", device.minor));
        let gpu = mig.join(format!("gi{}", part.gpu_instance));
        let compute = gpu.join(format!("ci{}", part.compute_instance));
        for place in [gpu, compute] {
            rules.push(character(caps, capability(&place.join("access"), device)?));
        }
    }
    rules.sort_unstable();
    rules.dedup();
    Ok(rules)
}

/// The number of `/dev/nvidia-caps/nvidia-capN` that opens a part of a GPU.
fn capability(path: &Path, device: &Device) -> Result<u32, IsolationError> {
    let failed = |why: String| IsolationError(format!("{device} can't be used: {}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("DeviceFileMinor:"));
    line.and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| failed("no line DeviceFileMinor".to_owned()))
}

/// The major number of a driver: as the kernel lists it, or as its device file has it.
fn number(settings: &GpuSettings, name: &str) -> Option<u32> {
    let listed = fs::read_to_string(settings.proc.join("devices")).unwrap_or_default();
    let of_list = listed.lines().take_while(|line| !line.starts_with("Block")).find_map(|line| {
        let (number, own) = line.trim().split_once(' ')?;
        (own == name).then(|| number.parse().ok()).flatten()
    });
    of_list.or_else(|| {
        let file =
            fs::metadata(settings.dev.join(name)).ok().filter(|file| file.mode() & 0o170_000 == 0o020_000)?;
        u32::try_from(major(file.rdev())).ok().filter(|_| minor(file.rdev()) == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::super::device::Part;
    use super::*;

    fn shown(settings: &GpuSettings, devices: &[Device]) -> Vec<String> {
        rules(settings, devices).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_container_may_use_its_own_and_what_all_share() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let settings = GpuSettings { dev: at("dev"), proc: at("proc"), ..GpuSettings::default() };
        let whole = |minor| Device { minor, ..Device::default() };
        assert_eq!(shown(&settings, &[]), [""; 0]);
        assert_eq!(shown(&settings, &[whole(2), whole(0)]), ["c 195:0 rwm", "c 195:2 rwm", "c 195:255 rwm"]);
        fs::create_dir_all(at("proc/driver/nvidia/capabilities/gpu1/mig/gi7/ci0")).unwrap();
        fs::write(
            at("proc/devices"),
            "Character devices:\n  1 mem\n508 nvidia-uvm\n237 nvidia-caps\n\nBlock devices:\n  7 loop\n",
        )
        .unwrap();
        assert_eq!(
            shown(&settings, &[whole(2)]),
            ["c 195:2 rwm", "c 195:255 rwm", "c 508:0 rwm", "c 508:1 rwm"]
        );
        let part = Part { gpu_uuid: "GPU-1".into(), gpu_instance: 7, compute_instance: 0 };
        let instance = Device { minor: 1, uuid: "MIG-7".into(), mig: Some(part), ..Device::default() };
        let error = rules(&settings, std::slice::from_ref(&instance)).unwrap_err();
        assert!(error.0.contains("gi7/access: No such file"), "{error}");
        let mig = at("proc/driver/nvidia/capabilities/gpu1/mig");
        fs::write(mig.join("gi7/access"), "DeviceFileMinor: 66\nDeviceFileMode: 292\nDeviceFileModify: 1\n")
            .unwrap();
        fs::write(mig.join("gi7/ci0/access"), "DeviceFileMinor: 67\n").unwrap();
        let expected =
            ["c 195:1 rwm", "c 195:255 rwm", "c 237:66 rwm", "c 237:67 rwm", "c 508:0 rwm", "c 508:1 rwm"];
        assert_eq!(shown(&settings, &[instance]), expected);
    }
}
