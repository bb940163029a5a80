//! Process trees in cgroups of the second version: raw files, no controllers.
//!
//! A container's processes can't leave its cgroup unless they are root and want to, `cgroup.kill` reaches all of
//! them at once, and a directory can be removed only when none is left.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libactor::processes::Stat;
use protocol::ContainerId;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::usage::{self, Usage};
use crate::os;

/// How often the lock of an own directory is tried for. Ours: another agent holds it for two system calls.
const LOCK_ATTEMPTS: usize = 1000;
/// How often a cgroup is killed until none is found in it that needs more than that. Ours: twice is enough where it starts no others.
const KILLS: usize = 100;

/// Below a `cgroup2` mount, the directory of this agent's containers.
#[derive(Clone, Debug)]
pub(crate) struct Cgroups {
    root: PathBuf,
    /// Tells others that somebody lives here; the kernel lets go of it when the process dies.
    _lock: Option<Arc<File>>,
}

impl Cgroups {
    /// Finds a `cgroup2` mount in which `name` can be made and whose kernel has `cgroup.kill` (5.14).
    pub(crate) fn find(name: &str) -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no cgroup2 file system is mounted");
        for mount in cgroup2_mounts(&mounts) {
            let root = Path::new(mount).join(name);
            match fs::create_dir_all(&root) {
                Ok(()) if root.join("cgroup.kill").exists() => return Ok(Self { root, _lock: None }),
                Ok(()) => last = io::Error::new(io::ErrorKind::Unsupported, "the kernel has no cgroup.kill"),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The part of these that belongs to one work directory: agents that share a root don't meet there.
    ///
    /// # Errors
    /// It can't be made.
    pub(crate) fn of(&self, work_dir: &Path) -> io::Result<Self> {
        let root = self.root.join(own_name(work_dir)?);
        let mut own = Self { root, _lock: None };
        for _ in 0..LOCK_ATTEMPTS {
            fs::create_dir_all(&own.root)?;
            let lock = File::open(&own.root).ok().filter(|directory| directory.try_lock().is_ok());
            // Another agent that tidies up may have been quicker.
            if let Some(lock) = lock.filter(|_| own.root.exists()) {
                own._lock = Some(Arc::new(lock));
                break;
            }
            std::thread::yield_now();
        }
        self.tidy();
        Ok(own)
    }

    /// Removes what dead agents of other work directories have left empty: they may never come back to do it.
    fn tidy(&self) {
        for agent in directories(&self.root) {
            let dead = File::open(&agent).is_ok_and(|directory| directory.try_lock().is_ok());
            if dead {
                // Only what no process is in can be removed.
                directories(&agent).for_each(|container| drop(fs::remove_dir(container)));
                let _ = fs::remove_dir(agent);
            }
        }
    }

    /// The containers that there are.
    pub(crate) fn containers(&self) -> Vec<ContainerId> {
        let name = |path: PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned().into());
        directories(&self.root).filter_map(name).collect()
    }

    /// Removes the directory of these; it stays while a container is in it.
    pub(crate) fn leave(&self) {
        let _ = fs::remove_dir(&self.root);
    }

    /// Makes the cgroup of a container.
    pub(crate) fn make(&self, container_id: &ContainerId) -> io::Result<PathBuf> {
        let path = self.path(container_id);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// The directory of the containers' cgroups.
    pub(crate) fn directory(&self) -> &Path {
        &self.root
    }

    fn path(&self, container_id: &ContainerId) -> PathBuf {
        self.root.join(container_id.as_str())
    }

    /// Kills what is in a container's cgroup; returns when nothing is left.
    pub(crate) async fn empty(&self, container_id: &ContainerId) -> io::Result<()> {
        let events = self.path(container_id).join("cgroup.events");
        match fs::read_to_string(&events) {
            // The usual case: the executor has ended and left nothing.
            Ok(text) if is_empty(&text) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            _ => {}
        }
        self.kill(container_id)?;
        wait_until_empty(&events).await
    }

    /// Removes a container's cgroup, in which no process is left.
    pub(crate) fn remove(&self, container_id: &ContainerId) -> io::Result<()> {
        let path = self.path(container_id);
        match fs::remove_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(_) => remove_tree(&path),
            Ok(()) => Ok(()),
        }
    }

    /// What a container uses.
    pub(crate) fn usage(&self, container_id: &ContainerId) -> Option<Usage> {
        usage::of_cgroup(&self.path(container_id))
    }

    /// Kills what is in a container's cgroup, now.
    pub(crate) fn kill(&self, container_id: &ContainerId) -> io::Result<()> {
        let path = self.path(container_id);
        for _ in 0..KILLS {
            fs::write(path.join("cgroup.kill"), "1")?;
            // The kernel sends the signal to first threads: where that has ended the others live on.
            let mut left = Vec::new();
            usage::processes_below(&path, &mut left);
            left.retain(|pid| Stat::of(*pid).is_some_and(|stat| stat.first_thread_ended()));
            if left.is_empty() {
                break;
            }
            // They may have started others meanwhile.
            left.into_iter().for_each(os::kill);
        }
        Ok(())
    }
}

/// The cgroups in a cgroup.
fn directories(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// The name of a work directory's own cgroup.
///
/// # Errors
/// There is no such directory.
pub(crate) fn own_name(work_dir: &Path) -> io::Result<String> {
    // The same path may be another directory where agents live in containers themselves.
    let about = fs::metadata(work_dir)?;
    let name = [work_dir.as_os_str().as_bytes(), &about.dev().to_le_bytes(), &about.ino().to_le_bytes()];
    Ok(format!("{:016x}", fnv(&name.concat())))
}

/// A stable number for some bytes (FNV-1a).
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Whether `cgroup.events` says that no process is in it or below it.
fn is_empty(events: &str) -> bool {
    events.lines().any(|line| line == "populated 0")
}

/// The kernel wakes who polls `cgroup.events` with a priority event when it changes.
async fn wait_until_empty(events: &Path) -> io::Result<()> {
    #[allow(
        deprecated,
        reason = "its successor is unsafe for the sake of types that lie about their descriptor"
    )]
    let file = AsyncFd::with_interest(fs::File::open(events)?, Interest::PRIORITY)?;
    loop {
        // Reading the watched file itself arms the next event.
        let mut reader = file.get_ref();
        reader.rewind()?;
        let text = io::read_to_string(reader)?;
        if is_empty(&text) {
            return Ok(());
        }
        file.ready(Interest::PRIORITY).await?.clear_ready();
    }
}

/// Removes a cgroup with those that its processes made below it.
fn remove_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

fn cgroup2_mounts(mountinfo: &str) -> impl Iterator<Item = &str> {
    mountinfo.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let kind = file_system.split(' ').next()?;
        (kind == "cgroup2").then(|| mount.split(' ').nth(4)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plain directories do for cgroups here.
    #[test]
    fn what_a_dead_agent_has_left_empty_is_removed_by_any_other() {
        let place = tempfile::tempdir().unwrap();
        let [root, first, second] = ["cgroup", "first", "second"].map(|name| place.path().join(name));
        for directory in [&root, &first, &second] {
            fs::create_dir(directory).unwrap();
        }
        let all = Cgroups { root: root.clone(), _lock: None };
        let dead = all.of(&first).unwrap();
        dead.make(&"empty".into()).unwrap();
        let left = dead.root.clone();
        let living = all.of(&second).unwrap();
        living.make(&"empty".into()).unwrap();
        assert!(left.exists(), "it lives");
        drop(dead);
        all.tidy();
        assert!(!left.exists());
        assert!(living.root.join("empty").exists());
    }

    #[test]
    fn only_mounts_of_the_second_version_count() {
        let text = "33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mounts(text).collect::<Vec<_>>(), ["/sys/fs/cgroup/unified"]);
    }
}
