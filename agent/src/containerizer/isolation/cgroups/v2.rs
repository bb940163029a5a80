//! The second version's files.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use cgroups_rs::fs::MaxValue;
use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::memory::{MemController, SetMemory};
use cgroups_rs::fs::pid::PidController;

use super::devices;
use super::driver::{CgroupError, CpuSetting, Driver, IoLimit, number, read, refused, same, write};
use super::hierarchy::{Controller, Version};
use super::oom::OomFile;
use super::v1;
use super::{DeviceIo, DeviceRule, Throttling, Usage, field};
use crate::os;

/// What one CPU weighs: the kernel's default, as with the first version. So weights are exact from a hundredth of a CPU
/// up to a hundred.
const WEIGHT_PER_CPU: f64 = 100.0;
/// The bounds of `cpu.weight`. Source: the kernel.
const WEIGHT: (u64, u64) = (1, 10_000);

/// What limits swap space.
const SWAP: &str = "memory.swap.max";

/// The second version.
pub(super) struct V2;

fn weight(cpus: f64) -> u64 {
    ((cpus * WEIGHT_PER_CPU).round() as u64).clamp(WEIGHT.0, WEIGHT.1)
}

/// Lets the children of a cgroup, and those of all above it, have a controller.
pub(super) fn enable(mount: &Path, path: &Path, controller: Controller) -> Result<(), CgroupError> {
    let name = controller.name(Version::V2);
    let mut above: Vec<&Path> = path.ancestors().take_while(|above| above.starts_with(mount)).collect();
    above.reverse();
    for path in above {
        let file = path.join("cgroup.subtree_control");
        let has = || read(&file).is_ok_and(|text| text.split(' ').any(|one| one == name));
        if has() {
            continue;
        }
        let failed = |source| CgroupError::Delegate { path: path.to_owned(), controller: name, source };
        match write(&file, &format!("+{name}")) {
            Ok(()) if has() => {}
            Ok(()) => return Err(failed(io::Error::other("the kernel has ignored it"))),
            Err(CgroupError::Write { source, .. }) => return Err(failed(source)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Driver for V2 {
    fn version(&self) -> Version {
        Version::V2
    }

    fn set_cpu(&self, path: &Path, setting: CpuSetting) -> Result<(), CgroupError> {
        let cpu = CpuController::new(path.to_owned(), path.to_owned(), true);
        let (file, wanted) = (path.join("cpu.weight"), weight(setting.cpus));
        cpu.set_shares(wanted).map_err(refused(file.clone(), wanted))?;
        same(file.clone(), wanted, cpu.shares().map_err(refused(file, wanted))?)?;
        let file = path.join("cpu.max");
        let (quota, period) = match setting.quota {
            Some((quota, period)) => (i64::try_from(quota).unwrap_or(i64::MAX), Some(period)),
            None if file.exists() => (-1, None),
            None => return Ok(()),
        };
        cpu.set_cfs_quota_and_period(Some(quota), period).map_err(refused(file.clone(), quota))?;
        let found = read(&file)?;
        let wanted = if quota < 0 { "max".to_owned() } else { quota.to_string() };
        same(file, wanted, found.split(' ').next().unwrap_or_default().to_owned())
    }

    fn cpu(&self, path: &Path, usage: &mut Usage) {
        let limit = read(&path.join("cpu.max")).unwrap_or_default();
        let Some((quota, period)) = limit.split_once(' ') else { return };
        if let (Ok(quota), Ok(period)) = (quota.parse::<f64>(), period.parse::<f64>()) {
            usage.cpus_limit = Some(quota / period);
            let stat = read(&path.join("cpu.stat")).unwrap_or_default();
            usage.cpu_throttling = Some(Throttling {
                periods: field(&stat, "nr_periods").unwrap_or_default(),
                throttled: field(&stat, "nr_throttled").unwrap_or_default(),
                time: Duration::from_micros(field(&stat, "throttled_usec").unwrap_or_default()),
            });
        }
    }

    fn swap_file(&self) -> &'static str {
        SWAP
    }

    fn set_memory(&self, path: &Path, bytes: u64, swap: bool) -> Result<(), CgroupError> {
        let file = path.join("memory.max");
        // Here the kernel would take a limit below what is used, and kill for it.
        let present = number(&file).unwrap_or(u64::MAX);
        if bytes < present && bytes < self.memory_used(path)? {
            let source = io::Error::from(io::ErrorKind::ResourceBusy);
            return Err(CgroupError::Write { path: file, value: bytes.to_string(), source });
        }
        let memory = MemController::new(path.to_owned(), path.to_owned(), true);
        let wanted = MaxValue::Value(i64::try_from(bytes).unwrap_or(i64::MAX));
        let setting = SetMemory { low: None, high: None, min: None, max: Some(wanted) };
        memory.set_mem(setting).map_err(refused(file.clone(), bytes))?;
        let page = os::page_bytes();
        same(file.clone(), bytes / page, number(&file).unwrap_or_default() / page)?;
        let file = path.join(SWAP);
        if swap {
            write(&file, "0")?;
            same(file.clone(), "0".to_owned(), read(&file)?)?;
        } else if number(&file).is_some() {
            // An earlier life of the agent has set it.
            write(&file, "max")?;
        }
        // Whoever breaks the limit ends with all of its container.
        write(&path.join("memory.oom.group"), "1")
    }

    fn set_soft_memory(&self, path: &Path, bytes: u64) -> Result<(), CgroupError> {
        let memory = MemController::new(path.to_owned(), path.to_owned(), true);
        let file = path.join("memory.low");
        let wanted = MaxValue::Value(i64::try_from(bytes).unwrap_or(i64::MAX));
        let setting = SetMemory { low: Some(wanted), high: None, min: None, max: None };
        memory.set_mem(setting).map_err(refused(file.clone(), bytes))?;
        let page = os::page_bytes();
        same(file.clone(), bytes / page, number(&file).unwrap_or_default() / page)
    }

    fn memory_used(&self, path: &Path) -> Result<u64, CgroupError> {
        let file = path.join("memory.current");
        read(&file)?
            .parse()
            .map_err(|error| CgroupError::Read { path: file, source: io::Error::other(error) })
    }

    fn memory(&self, path: &Path, usage: &mut Usage) {
        let Ok(stat) = read(&path.join("memory.stat")) else { return };
        usage.mem_total_bytes = number(&path.join("memory.current"));
        usage.mem_anon_bytes = field(&stat, "anon");
        usage.mem_rss_bytes = usage.mem_anon_bytes.unwrap_or(usage.mem_rss_bytes);
        usage.mem_file_bytes = field(&stat, "file");
        usage.mem_mapped_file_bytes = field(&stat, "file_mapped");
        usage.mem_unevictable_bytes = field(&stat, "unevictable");
        usage.mem_swap_bytes = number(&path.join("memory.swap.current"));
        usage.mem_limit_bytes = number(&path.join("memory.max"));
        usage.mem_soft_limit_bytes = number(&path.join("memory.low"));
    }

    fn watch_oom(&self, path: &Path) -> Result<OomFile, CgroupError> {
        // The crate opens a file of the first version here.
        let events = path.join("memory.events");
        let file = File::open(&events).map_err(|source| CgroupError::Read { path: events, source })?;
        Ok(OomFile::Events(file))
    }

    fn oom_kills(&self, path: &Path) -> Result<u64, CgroupError> {
        Ok(field(&read(&path.join("memory.events"))?, "oom_kill").unwrap_or_default())
    }

    fn set_pids(&self, path: &Path, limit: Option<u64>) -> Result<(), CgroupError> {
        v1::set_pids(&PidController::new(path.to_owned(), path.to_owned(), true), path, limit)
    }

    fn pids(&self, path: &Path, usage: &mut Usage) {
        usage.pids = v1::pids(path);
    }

    fn set_io(&self, path: &Path, limit: &IoLimit) -> Result<(), CgroupError> {
        // The crate can't write this file.
        let (major, minor) = limit.device;
        let settings = [
            ("rbps", limit.read_bytes),
            ("wbps", limit.written_bytes),
            ("riops", limit.reads),
            ("wiops", limit.writes),
        ];
        let said: Vec<String> =
            settings.iter().filter_map(|(name, value)| Some(format!("{name}={}", (*value)?))).collect();
        let file = path.join("io.max");
        write(&file, &format!("{major}:{minor} {}", said.join(" ")))?;
        let found = read(&file)?;
        let device = format!("{major}:{minor} ");
        let line = found.lines().find(|line| line.starts_with(&device)).unwrap_or_default();
        if said.iter().all(|one| line.split(' ').any(|word| word == one)) {
            return Ok(());
        }
        Err(CgroupError::Differs { path: file, wanted: said.join(" "), found: line.to_owned() })
    }

    fn clear_io(&self, path: &Path) -> Result<(), CgroupError> {
        let file = path.join("io.max");
        for device in read(&file)?.lines().filter_map(|line| line.split(' ').next()) {
            write(&file, &format!("{device} rbps=max wbps=max riops=max wiops=max"))?;
        }
        Ok(())
    }

    fn io(&self, path: &Path, usage: &mut Usage) {
        usage.io = parse_io(&read(&path.join("io.stat")).unwrap_or_default());
    }

    fn set_devices(&self, path: &Path, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        let failed = |source| CgroupError::Program { path: path.to_owned(), source };
        devices::attach(path, rules).map_err(failed)
    }

    fn set_cpus(&self, path: &Path, cpus: &str) -> Result<(), CgroupError> {
        let file = path.join("cpuset.cpus");
        write(&file, cpus)?;
        same(file.clone(), cpus.to_owned(), read(&file)?)
    }
}

fn parse_io(text: &str) -> Vec<DeviceIo> {
    let one = |line: &str| {
        let (device, rest) = line.split_once(' ')?;
        let value = |name: &str| {
            rest.split(' ')
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
                .unwrap_or(0)
        };
        Some(DeviceIo {
            device: v1::parse_device(device)?,
            read_bytes: value("rbytes"),
            written_bytes: value("wbytes"),
            reads: value("rios"),
            writes: value("wios"),
        })
    };
    text.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_bounds() {
        assert_eq!((weight(0.0), weight(0.1), weight(1.0), weight(1e9)), (1, 10, 100, 10_000));
    }

    #[test]
    fn counters_of_devices_are_read() {
        let text = "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n7:1 \n";
        let first = DeviceIo { device: (254, 0), read_bytes: 4096, written_bytes: 8192, reads: 1, writes: 2 };
        assert_eq!(parse_io(text), [first, DeviceIo { device: (7, 1), ..DeviceIo::default() }]);
    }
}
