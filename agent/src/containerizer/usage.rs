//! What containers use: read from the kernel's files on any thread but the actor's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libactor::processes::Stat;
use protocol::ContainerId;
use protocol::wire::v1::ContainerStatus;
use serde::Serialize;

use super::isolation::gpu::GpuUsage;
use super::posix;
use crate::os;

/// Tells what containers use. It reads files of the kernel, which may take a while: not for the actor's thread.
pub trait Meter: Send + Sync + 'static {
    /// What each of these containers, named with its first process, uses now. One that has ended is left out.
    fn read(&self, containers: &[(ContainerId, u32)]) -> BTreeMap<ContainerId, Usage>;

    /// Adds what is known of a container.
    fn status(&self, container_id: &ContainerId, status: &mut ContainerStatus) {
        let _ = (container_id, status);
    }
}

/// What a container uses, and what it is held to. What is absent is not counted, or not limited, for this container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processes that live.
    pub processes: u32,
    /// Their threads.
    pub threads: u32,
    /// Time on CPUs outside the kernel, since the container began.
    pub cpus_user: Duration,
    /// Time on CPUs in the kernel.
    pub cpus_system: Duration,
    /// CPUs that it can't exceed.
    pub cpus_limit: Option<f64>,
    /// How it was held to that.
    pub cpu_throttling: Option<Throttling>,
    /// Memory that its processes hold, bytes.
    pub mem_rss_bytes: u64,
    /// All memory that is charged to it, bytes.
    pub mem_total_bytes: Option<u64>,
    /// The part of it that belongs to no file, bytes.
    pub mem_anon_bytes: Option<u64>,
    /// The part of it that caches files, bytes.
    pub mem_file_bytes: Option<u64>,
    /// The part of that which is mapped, bytes.
    pub mem_mapped_file_bytes: Option<u64>,
    /// What of it was written to swap space, bytes.
    pub mem_swap_bytes: Option<u64>,
    /// What of it can't be reclaimed, bytes.
    pub mem_unevictable_bytes: Option<u64>,
    /// Memory that it can't exceed, bytes.
    pub mem_limit_bytes: Option<u64>,
    /// Memory that it keeps when all run short, bytes.
    pub mem_soft_limit_bytes: Option<u64>,
    /// How often the kernel found it short of memory: a little, much, nearly out of it.
    pub mem_pressure: Option<[u64; 3]>,
    /// Processes and threads, as the kernel limits them.
    pub pids: Option<Pids>,
    /// What went to and from block devices.
    pub io: Vec<DeviceIo>,
    /// Time that its processes waited.
    pub pressure: Option<Pressure>,
    /// What its sandbox and volumes take, bytes.
    pub disk_used_bytes: Option<u64>,
    /// What they may take, bytes.
    pub disk_limit_bytes: Option<u64>,
    /// What its GPUs do.
    pub gpus: Vec<GpuUsage>,
}

/// How a container was held to its CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Periods in which it wanted to run.
    pub periods: u64,
    /// Those in which it was stopped.
    pub throttled: u64,
    /// For how long, over all CPUs.
    pub time: Duration,
}

/// Processes and threads, as the kernel limits them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pids {
    /// How many there are.
    pub current: u64,
    /// How many there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// How often one more was refused.
    pub refused: u64,
}

/// What went to and from one block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceIo {
    /// Its number.
    pub device: (u32, u32),
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
}

/// Time that processes waited for what they needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// For a CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Waiting>,
    /// For memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Waiting>,
    /// For a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<Waiting>,
}

/// How much was waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Waiting {
    /// Percent of the last ten seconds in which some waited.
    pub some_avg10: f64,
    /// Seconds in which some waited.
    pub some_total_secs: f64,
    /// Percent of the last ten seconds in which all waited.
    pub full_avg10: f64,
    /// Seconds in which all waited.
    pub full_total_secs: f64,
}

impl Pressure {
    /// Of the files of this name in a directory, whatever comes before `pressure`; `None`: the kernel does not tell.
    pub(crate) fn read(path: impl Fn(&str) -> PathBuf) -> Option<Self> {
        let waiting = |name: &str| Waiting::parse(&fs::read_to_string(path(name)).ok()?);
        let all = Self { cpu: waiting("cpu"), memory: waiting("memory"), io: waiting("io") };
        (all != Self::default()).then_some(all)
    }

    /// That of this machine.
    pub(crate) fn of_machine() -> Option<Self> {
        Self::read(|name| Path::new("/proc/pressure").join(name))
    }
}

impl Waiting {
    fn parse(text: &str) -> Option<Self> {
        let line = |kind: &str| -> Option<(f64, f64)> {
            let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
            let value = |name: &str| {
                line.split(' ')
                    .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse::<f64>().ok())
            };
            Some((value("avg10")?, value("total")? / 1e6))
        };
        let (some_avg10, some_total_secs) = line("some")?;
        let (full_avg10, full_total_secs) = line("full").unwrap_or_default();
        Some(Self { some_avg10, some_total_secs, full_avg10, full_total_secs })
    }
}

/// What the processes of a container use, whichever live.
pub(super) fn of_processes(pids: impl IntoIterator<Item = i32>) -> Option<Usage> {
    let mut all = Usage::default();
    // One that has ended meanwhile is left out.
    for stat in pids.into_iter().filter_map(Stat::of).filter(Stat::lives) {
        all.processes += 1;
        all.threads += stat.threads;
        // The time of children that have been waited for counts, else the sum would shrink when one ends.
        all.cpus_user += time(stat.user_ticks, os::ticks_per_second());
        all.cpus_system += time(stat.system_ticks, os::ticks_per_second());
        all.mem_rss_bytes += stat.resident_pages.saturating_mul(os::page_bytes());
    }
    (all.processes > 0).then_some(all)
}

fn time(ticks: u64, ticks_per_second: u64) -> Duration {
    let rest = u128::from(ticks % ticks_per_second) * 1_000_000_000 / u128::from(ticks_per_second);
    Duration::new(ticks / ticks_per_second, u32::try_from(rest).unwrap_or_default())
}

/// What a cgroup of the second version uses, with those below it. `None`: it is gone, or nothing is in it.
pub(super) fn of_cgroup(path: &Path) -> Option<Usage> {
    let mut pids = Vec::new();
    processes_below(path, &mut pids);
    // Without the controllers of a kind the kernel tells nothing of it here: then it is summed over the processes.
    let mut usage = of_processes(pids)?;
    let (user, system) = parse_cpu_stat(&fs::read_to_string(path.join("cpu.stat")).ok()?)?;
    (usage.cpus_user, usage.cpus_system) = (user, system);
    // What a controller counts, its isolator adds.
    usage.pressure = Pressure::read(|name| path.join(format!("{name}.pressure")));
    Some(usage)
}

/// The processes of a cgroup and of those below it.
pub(super) fn processes_below(path: &Path, into: &mut Vec<i32>) {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    into.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            processes_below(&entry.path(), into);
        }
    }
}

/// The number behind a name in a file of `name number` lines.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn parse_cpu_stat(text: &str) -> Option<(Duration, Duration)> {
    Some((
        Duration::from_micros(field(text, "user_usec")?),
        Duration::from_micros(field(text, "system_usec")?),
    ))
}

/// What containers that are kept together by sessions use: the processes are looked through once for all.
pub(super) fn of_sessions(containers: &[(ContainerId, u32)]) -> BTreeMap<ContainerId, Usage> {
    let Ok(all) = posix::processes() else { return BTreeMap::new() };
    let usage = |(container_id, main): &(ContainerId, u32)| {
        let main = i32::try_from(*main).ok()?;
        // A process id says nothing once its process is gone: what is there must be of this container.
        let members = all.contains_key(&main).then(|| posix::members_of(&all, container_id, main))?;
        Some((container_id.clone(), of_processes(members)?))
    };
    containers.iter().filter_map(usage).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_time() {
        assert_eq!(time(250, 100), Duration::from_millis(2500));
        assert_eq!(time(1, 1024), Duration::from_nanos(976_562));
        assert_eq!(time(u64::MAX, 1), Duration::from_secs(u64::MAX));
    }

    #[test]
    fn what_this_process_uses_is_read() {
        let usage = of_processes([std::process::id().cast_signed(), i32::MAX]).unwrap();
        assert!(usage.processes == 1 && usage.threads > 1 && usage.mem_rss_bytes > 100_000, "{usage:?}");
        assert_eq!(of_processes([i32::MAX]), None);
    }

    #[test]
    fn files_of_a_cgroup_are_read() {
        let text = "usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\n";
        assert_eq!(parse_cpu_stat(text), Some((Duration::from_secs(2), Duration::from_secs(1))));
        assert_eq!(parse_cpu_stat("usage_usec 1\n"), None);
        assert_eq!(field("file_mapped 1\nfile 2\n", "file"), Some(2));
        assert_eq!(of_cgroup(Path::new("/nowhere")), None);
    }

    #[test]
    fn pressure_is_read() {
        let text = "some avg10=1.50 avg60=0.32 avg300=0.51 total=2500000\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=500000\n";
        let waiting = Waiting::parse(text).unwrap();
        assert_eq!((waiting.some_avg10, waiting.some_total_secs), (1.5, 2.5));
        assert_eq!((waiting.full_avg10, waiting.full_total_secs), (0.25, 0.5));
        assert_eq!(Waiting::parse("full avg10=0.25 total=1\n"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let own = std::process::id();
        let usage = of_processes([own as i32, i32::MAX]).unwrap();
        assert!(usage.processes == 1 && usage.threads >= 1 && usage.mem_rss_bytes > 0, "{usage:?}");
        assert_eq!(of_processes([i32::MAX]), None);
    }
}
