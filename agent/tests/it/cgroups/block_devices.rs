//! How fast containers may use block devices, and what they have used: on a device of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use agent::containerizer::isolation::cgroups::{CgroupSettings, IoLimit};
use agent::core::Found;

use super::world::World;

const MB: u64 = 1 << 20;
/// What is read and written, bytes.
const READ: u64 = 3 * MB;
const WRITTEN: u64 = MB;
/// Where both versions keep limits of reading.
const LIMITS: [&str; 2] = ["blkio.throttle.read_bps_device", "io.max"];

/// A block device whose blocks are those of a file; there until it is dropped.
struct Disk {
    path: PathBuf,
    number: (u32, u32),
    _place: tempfile::TempDir,
}

impl Disk {
    /// `None`, said aloud, where there can be none.
    fn new() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let blocks = place.path().join("blocks");
        std::fs::File::create(&blocks).unwrap().set_len(8 * MB).unwrap();
        let made = Command::new("losetup").args(["--find", "--show"]).arg(&blocks).output();
        let path = match made {
            Ok(made) if made.status.success() => String::from_utf8(made.stdout).unwrap().trim().to_owned(),
            other => {
                eprintln!("SKIPPED: there can be no loop device: {other:?}");
                return None;
            }
        };
        let path = PathBuf::from(path);
        let number = Path::new("/sys/block").join(path.file_name().unwrap()).join("dev");
        let number = std::fs::read_to_string(number).unwrap();
        let (major, minor) = number.trim().split_once(':').unwrap();
        let number = (major.parse().unwrap(), minor.parse().unwrap());
        Some(Self { path, number, _place: place })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.path).status();
    }
}

fn limited(limit: IoLimit) -> CgroupSettings {
    CgroupSettings { io_limits: vec![limit], ..CgroupSettings::default() }
}

/// Reads and writes past the cache, and says how long each took, by the clock of the kernel that it runs in.
fn script(disk: &Path) -> String {
    let disk = disk.display();
    let (reads, writes) = (READ >> 16, WRITTEN >> 16);
    format!(
        "now() {{ cut -d' ' -f1 /proc/uptime; }}; a=$(now); \
         dd if={disk} of=/dev/null bs=64k count={reads} iflag=direct 2>/dev/null || exit 1; b=$(now); \
         dd if=/dev/zero of={disk} bs=64k count={writes} oflag=direct 2>/dev/null || exit 1; c=$(now); \
         echo took $a $b $c; echo done; exec sleep 1000"
    )
}

/// Megabytes a second: read, and written.
fn rates(stdout: &str) -> (f64, f64) {
    let line = stdout.lines().find_map(|line| line.strip_prefix("took ")).unwrap();
    let times: Vec<f64> = line.split(' ').map(|time| time.parse().unwrap()).collect();
    let rate = |bytes: u64, took: f64| (bytes / MB) as f64 / took.max(0.001);
    (rate(READ, times[1] - times[0]), rate(WRITTEN, times[2] - times[1]))
}

#[tokio::test]
async fn block_devices_are_as_fast_as_they_may_be_and_what_was_used_is_counted() {
    let Some(disk) = Disk::new() else { return };
    let limit = IoLimit {
        device: disk.number,
        read_bytes: Some(MB),
        written_bytes: Some(MB / 2),
        ..IoLimit::default()
    };
    for (limits, name) in [(limited(limit), "limited"), (CgroupSettings::default(), "free")] {
        let held = !limits.io_limits.is_empty();
        let Some(mut world) = World::new("cgroups/blkio", limits) else { return };
        let container = world.start(name, "mem:64", &script(&disk.path)).await;
        world.says(&container.0, "done").await;
        let (read, written) = rates(&world.stdout(&container.0));
        println!("{name}: {read:.2} MB/s read, {written:.2} MB/s written; allowed were 1 and 0.5");
        if held {
            // The kernel lets the beginning pass, as much as comes in a tenth of a second.
            assert!(read <= 1.2 && written <= 0.7, "{read} {written}");
        }
        let usage = world.usage(&container);
        let io = usage.io.iter().find(|io| io.device == disk.number);
        let io = io.unwrap_or_else(|| panic!("it is counted: {:?}", usage.io));
        assert_eq!((io.read_bytes, io.written_bytes), (READ, WRITTEN), "{io:?}");
        assert!(io.reads >= 1 && io.writes >= 1, "{io:?}");
        world.destroy(&container.0).await;
        world.end();
    }
}

#[tokio::test]
async fn so_many_reads_a_second_and_no_more() {
    let Some(disk) = Disk::new() else { return };
    let limit = IoLimit { device: disk.number, reads: Some(20), writes: Some(1000), ..IoLimit::default() };
    let Some(mut world) = World::new("cgroups/blkio", limited(limit)) else { return };
    let container = world.start("operations", "mem:64", &script(&disk.path)).await;
    world.says(&container.0, "done").await;
    let (read, _) = rates(&world.stdout(&container.0));
    // Each of 64 KiB.
    let reads = read * 16.0;
    println!("{reads:.1} reads a second; allowed were 20");
    assert!(reads <= 25.0, "{reads}");
    world.destroy(&container.0).await;
    world.end();
}

/// What an agent was told in an earlier life, and is not told any more, holds no longer.
#[test]
fn limits_of_block_devices_that_an_agent_is_not_told_any_more_are_gone() {
    let Some(disk) = Disk::new() else { return };
    let (major, minor) = disk.number;
    let device = format!("{major}:{minor} ");
    let limit = IoLimit { device: disk.number, read_bytes: Some(MB), writes: Some(7), ..IoLimit::default() };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let begun = first.block_on(async {
        let mut world = World::new("cgroups/blkio", limited(limit))?;
        let container = world.start("told", "mem:64", "echo ready; exec sleep 1000").await;
        world.says(&container.0, "ready").await;
        assert!(world.held(&container.0, &LIMITS).contains(&device));
        Some((world.away(), container))
    });
    drop(first);
    let Some((directory, container)) = begun else { return };
    runtime().block_on(async {
        let named = vec![container.0.clone()];
        let other = IoLimit { read_bytes: None, written_bytes: Some(MB), writes: None, ..limit };
        let (mut world, found) = World::again(directory, "cgroups/blkio", limited(other), named).await;
        assert_eq!(found[&container.0], Found::Running(container.1));
        let held = world.held(&container.0, &LIMITS);
        // The second version has all of a device in one line.
        assert!(
            !held.contains(&device) || held.contains("rbps=max wbps=1048576 riops=max wiops=max"),
            "{held}"
        );
        world.destroy(&container.0).await;
        world.end();
    });
}
