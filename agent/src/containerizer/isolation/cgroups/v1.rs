//! The first version's files.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use cgroups_rs::fs::MaxValue;
use cgroups_rs::fs::blkio::BlkIoController;
use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::cpuset::CpuSetController;
use cgroups_rs::fs::memory::MemController;
use cgroups_rs::fs::pid::PidController;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::driver::{CgroupError, CpuSetting, Driver, IoLimit, number, read, refused, same, write};
use super::hierarchy::Version;
use super::oom::OomFile;
use super::{DeviceIo, DeviceRule, Pids, Throttling, Usage, field};
use crate::os;

/// What one CPU weighs. Source: the kernel's default.
const SHARES_PER_CPU: f64 = 1024.0;
/// The bounds of `cpu.shares`. Source: the kernel.
const SHARES: (u64, u64) = (2, 262_144);
/// What limits memory and swap space together.
const SWAP: &str = "memory.memsw.limit_in_bytes";
/// What throttles block devices: `blkio.throttle.<one of these>_device`.
const THROTTLES: [&str; 4] = ["read_bps", "write_bps", "read_iops", "write_iops"];
/// What `memory.limit_in_bytes` says where there is no limit is above this.
const UNLIMITED: u64 = 1 << 60;

/// The first version.
pub(super) struct V1;

fn shares(cpus: f64) -> u64 {
    ((cpus * SHARES_PER_CPU) as u64).clamp(SHARES.0, SHARES.1)
}

fn memory(path: &Path) -> MemController {
    MemController::new(path.to_owned(), path.to_owned(), false)
}

impl Driver for V1 {
    fn version(&self) -> Version {
        Version::V1
    }

    fn set_cpu(&self, path: &Path, setting: CpuSetting) -> Result<(), CgroupError> {
        let cpu = CpuController::new(path.to_owned(), path.to_owned(), false);
        let (file, wanted) = (path.join("cpu.shares"), shares(setting.cpus));
        cpu.set_shares(wanted).map_err(refused(file.clone(), wanted))?;
        same(file.clone(), wanted, cpu.shares().map_err(refused(file, wanted))?)?;
        let (quota, period) = match setting.quota {
            Some((quota, period)) => (i64::try_from(quota).unwrap_or(i64::MAX), Some(period)),
            None if path.join("cpu.cfs_quota_us").exists() => (-1, None),
            None => return Ok(()),
        };
        let file = path.join("cpu.cfs_quota_us");
        cpu.set_cfs_quota_and_period(Some(quota), period).map_err(refused(file.clone(), quota))?;
        same(file.clone(), quota, cpu.cfs_quota().map_err(refused(file, quota))?)
    }

    fn cpu(&self, path: &Path, usage: &mut Usage) {
        let quota = read(&path.join("cpu.cfs_quota_us")).ok().and_then(|text| text.parse::<f64>().ok());
        let period = number(&path.join("cpu.cfs_period_us"));
        if let (Some(quota), Some(period)) = (quota.filter(|quota| *quota > 0.0), period) {
            usage.cpus_limit = Some(quota / period as f64);
            let stat = read(&path.join("cpu.stat")).unwrap_or_default();
            usage.cpu_throttling = Some(Throttling {
                periods: field(&stat, "nr_periods").unwrap_or_default(),
                throttled: field(&stat, "nr_throttled").unwrap_or_default(),
                time: Duration::from_nanos(field(&stat, "throttled_time").unwrap_or_default()),
            });
        }
    }

    fn swap_file(&self) -> &'static str {
        SWAP
    }

    fn set_memory(&self, path: &Path, bytes: u64, swap: bool) -> Result<(), CgroupError> {
        let (file, both) = (path.join("memory.limit_in_bytes"), path.join(SWAP));
        let wanted = i64::try_from(bytes).unwrap_or(i64::MAX);
        let limited = number(&both).filter(|now| *now < UNLIMITED);
        let set_both =
            |value: i64| memory(path).set_memswap_limit(value).map_err(refused(both.clone(), value));
        // The sum is never below the part.
        match limited {
            // An earlier life of the agent has set it.
            Some(_) if !swap => set_both(-1)?,
            Some(now) if now < bytes => set_both(wanted)?,
            _ => {}
        }
        memory(path).set_limit(wanted).map_err(refused(file.clone(), bytes))?;
        let page = os::page_bytes();
        same(file.clone(), bytes / page, number(&file).unwrap_or_default() / page)?;
        if swap {
            set_both(wanted)?;
            same(both.clone(), bytes / page, number(&both).unwrap_or_default() / page)?;
        }
        Ok(())
    }

    fn set_soft_memory(&self, path: &Path, bytes: u64) -> Result<(), CgroupError> {
        let file = path.join("memory.soft_limit_in_bytes");
        let wanted = i64::try_from(bytes).unwrap_or(i64::MAX);
        memory(path).set_soft_limit(wanted).map_err(refused(file.clone(), bytes))?;
        let page = os::page_bytes();
        same(file.clone(), bytes / page, number(&file).unwrap_or_default() / page)
    }

    fn memory_used(&self, path: &Path) -> Result<u64, CgroupError> {
        let file = path.join("memory.usage_in_bytes");
        read(&file)?
            .parse()
            .map_err(|error| CgroupError::Read { path: file, source: std::io::Error::other(error) })
    }

    fn memory(&self, path: &Path, usage: &mut Usage) {
        // The crate's own summary reads ten files and parses all of them.
        let Ok(stat) = read(&path.join("memory.stat")) else { return };
        usage.mem_total_bytes = number(&path.join("memory.usage_in_bytes"));
        usage.mem_anon_bytes = field(&stat, "total_rss");
        usage.mem_rss_bytes = usage.mem_anon_bytes.unwrap_or(usage.mem_rss_bytes);
        usage.mem_file_bytes = field(&stat, "total_cache");
        usage.mem_mapped_file_bytes = field(&stat, "total_mapped_file");
        usage.mem_swap_bytes = field(&stat, "total_swap");
        usage.mem_unevictable_bytes = field(&stat, "total_unevictable");
        let limited = |name| number(&path.join(name)).filter(|bytes| *bytes < UNLIMITED);
        usage.mem_limit_bytes = limited("memory.limit_in_bytes");
        usage.mem_soft_limit_bytes = limited("memory.soft_limit_in_bytes");
    }

    fn watch_oom(&self, path: &Path) -> Result<OomFile, CgroupError> {
        // The crate's watcher is a thread for each cgroup.
        Ok(OomFile::Event(event(path, "memory.oom_control", "")?))
    }

    fn watch_pressure(&self, path: &Path) -> Option<[File; 3]> {
        let of = |level| event(path, "memory.pressure_level", level).ok();
        Some([of(" low")?, of(" medium")?, of(" critical")?])
    }

    fn oom_kills(&self, path: &Path) -> Result<u64, CgroupError> {
        Ok(field(&read(&path.join("memory.oom_control"))?, "oom_kill").unwrap_or_default())
    }

    fn set_pids(&self, path: &Path, limit: Option<u64>) -> Result<(), CgroupError> {
        set_pids(&PidController::new(path.to_owned(), path.to_owned(), false), path, limit)
    }

    fn pids(&self, path: &Path, usage: &mut Usage) {
        usage.pids = pids(path);
    }

    fn set_io(&self, path: &Path, limit: &IoLimit) -> Result<(), CgroupError> {
        let io = BlkIoController::new(path.to_owned(), path.to_owned(), false);
        let (major, minor) = (u64::from(limit.device.0), u64::from(limit.device.1));
        type Set = fn(&BlkIoController, u64, u64, u64) -> cgroups_rs::fs::error::Result<()>;
        let settings: [(Set, Option<u64>); 4] = [
            (BlkIoController::throttle_read_bps_for_device, limit.read_bytes),
            (BlkIoController::throttle_write_bps_for_device, limit.written_bytes),
            (BlkIoController::throttle_read_iops_for_device, limit.reads),
            (BlkIoController::throttle_write_iops_for_device, limit.writes),
        ];
        for (name, (set, value)) in THROTTLES.into_iter().zip(settings) {
            let Some(value) = value else { continue };
            let file = path.join(format!("blkio.throttle.{name}_device"));
            let line = format!("{major}:{minor} {value}");
            set(&io, major, minor, value).map_err(refused(file.clone(), &line))?;
            let found = read(&file)?;
            if !found.lines().any(|one| one == line) {
                return Err(CgroupError::Differs { path: file, wanted: line, found });
            }
        }
        Ok(())
    }

    fn clear_io(&self, path: &Path) -> Result<(), CgroupError> {
        for name in THROTTLES {
            let file = path.join(format!("blkio.throttle.{name}_device"));
            for device in read(&file)?.lines().filter_map(|line| line.split(' ').next()) {
                // The kernel's word for none.
                write(&file, &format!("{device} 0"))?;
            }
        }
        Ok(())
    }

    fn io(&self, path: &Path, usage: &mut Usage) {
        let bytes = read(&path.join("blkio.throttle.io_service_bytes_recursive")).unwrap_or_default();
        let counts = read(&path.join("blkio.throttle.io_serviced_recursive")).unwrap_or_default();
        usage.io = parse_io(&bytes, &counts);
    }

    fn set_devices(&self, path: &Path, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        let list = path.join("devices.list");
        let wanted: BTreeSet<String> = rules.iter().map(ToString::to_string).collect();
        let mut present: BTreeSet<String> = read(&list)?.lines().map(str::to_owned).collect();
        if present.iter().any(|line| line.starts_with('a')) {
            write(&path.join("devices.deny"), "a")?;
            present.clear();
        }
        // What is allowed with a wildcard can't be denied in part: what is there is taken away as it was given.
        for line in present.difference(&wanted) {
            write(&path.join("devices.deny"), line)?;
        }
        for line in wanted.difference(&present) {
            write(&path.join("devices.allow"), line)?;
        }
        let found: BTreeSet<String> = read(&list)?.lines().map(str::to_owned).collect();
        let text = |lines: BTreeSet<String>| lines.into_iter().collect::<Vec<_>>().join(", ");
        same(list, text(wanted), text(found))
    }

    fn set_cpus(&self, path: &Path, cpus: &str) -> Result<(), CgroupError> {
        let set = CpuSetController::new(path.to_owned(), path.to_owned(), false);
        let memory = path.join("cpuset.mems");
        // A new one has neither, and takes no process without both.
        if read(&memory)?.is_empty() {
            let nodes = path
                .ancestors()
                .skip(1)
                .find_map(|above| read(&above.join("cpuset.mems")).ok().filter(|text| !text.is_empty()));
            let nodes = nodes.unwrap_or_else(|| "0".to_owned());
            set.set_mems(&nodes).map_err(refused(memory, &nodes))?;
        }
        let file = path.join("cpuset.cpus");
        set.set_cpus(cpus).map_err(refused(file.clone(), cpus))?;
        same(file.clone(), cpus.to_owned(), read(&file)?)
    }
}

/// What the kernel counts the events of a file in.
fn event(path: &Path, name: &str, argument: &str) -> Result<File, CgroupError> {
    let watched = path.join(name);
    let failed = |source: std::io::Error| CgroupError::Read { path: watched.clone(), source };
    let file = File::open(&watched).map_err(failed)?;
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let event = EventFd::from_flags(flags).map_err(|error| failed(error.into()))?;
    let line = format!("{} {}{argument}", event.as_fd().as_raw_fd(), file.as_raw_fd());
    write(&path.join("cgroup.event_control"), &line)?;
    Ok(OwnedFd::from(event).into())
}

/// The same files in both versions.
pub(super) fn set_pids(pids: &PidController, path: &Path, limit: Option<u64>) -> Result<(), CgroupError> {
    let wanted =
        limit.map_or(MaxValue::Max, |limit| MaxValue::Value(i64::try_from(limit).unwrap_or(i64::MAX)));
    let file = path.join("pids.max");
    pids.set_pid_max(wanted).map_err(refused(file.clone(), wanted.to_string()))?;
    same(file.clone(), wanted.to_string(), pids.get_pid_max().map_err(refused(file, ""))?.to_string())
}

/// The same files in both versions.
pub(super) fn pids(path: &Path) -> Option<Pids> {
    let refused = read(&path.join("pids.events")).unwrap_or_default();
    Some(Pids {
        current: number(&path.join("pids.current"))?,
        limit: number(&path.join("pids.max")),
        refused: field(&refused, "max").unwrap_or_default(),
    })
}

fn parse_io(bytes: &str, counts: &str) -> Vec<DeviceIo> {
    let mut all: Vec<DeviceIo> = Vec::new();
    for (text, counting) in [(bytes, false), (counts, true)] {
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(device), Some(kind), Some(value)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let (Some(device), Ok(value)) = (parse_device(device), value.parse::<u64>()) else { continue };
            let index = all.iter().position(|one| one.device == device).unwrap_or_else(|| {
                all.push(DeviceIo { device, ..DeviceIo::default() });
                all.len() - 1
            });
            match (kind, counting) {
                ("Read", false) => all[index].read_bytes = value,
                ("Write", false) => all[index].written_bytes = value,
                ("Read", true) => all[index].reads = value,
                ("Write", true) => all[index].writes = value,
                _ => {}
            }
        }
    }
    all
}

/// A device's number, as `254:0`.
pub(super) fn parse_device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_bounds() {
        assert_eq!((shares(0.0), shares(0.001), shares(0.5), shares(1.0)), (2, 2, 512, 1024));
        assert_eq!(shares(1e9), 262_144);
    }

    #[test]
    fn counters_of_devices_are_read() {
        let bytes = "254:0 Read 4096\n254:0 Write 8192\n254:0 Total 12288\n7:1 Read 1\nTotal 12289\n";
        let counts = "254:0 Read 1\n254:0 Write 2\n";
        let first = DeviceIo { device: (254, 0), read_bytes: 4096, written_bytes: 8192, reads: 1, writes: 2 };
        let second = DeviceIo { device: (7, 1), read_bytes: 1, ..DeviceIo::default() };
        assert_eq!(parse_io(bytes, counts), [first, second]);
    }
}
