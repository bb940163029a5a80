//! `disk/du`: what a container's sandbox takes of the disk, found by looking through it, and where that is wanted a limit.
//!
//! One thread looks through all sandboxes, with a rest after every few thousand names. No link is followed, what is mounted
//! is not entered, and a file with several names counts once.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::dir::{Dir, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use protocol::{ContainerId, Reason, Resource, Resources};
use serde_json::Value;
use tokio::sync::mpsc;

use super::watcher::{Pace, Watcher, watch};
use super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings, Usage};
use crate::core::Limitation;

/// How many names are looked at between two rests, and how long those are. Ours: a fifth of a core at most.
const SLICE: usize = 2000;
const REST: Duration = Duration::from_millis(20);
/// How deep a way down is held open, and how many directories below such depths wait to be looked through. Ours.
const MAX_DEPTH: usize = 64;
const MAX_DEEP: usize = 256;
/// How many files with several names are remembered in one look.
const MAX_LINKED: usize = 1_000_000;
const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Settings, with the defaults of their flags.
#[derive(Clone, Copy, Debug)]
pub struct DiskSettings {
    /// `--container_disk_watch_interval`.
    pub interval: Duration,
    /// `--enforce_container_disk_quota`: whether a container that takes more than its `disk` is ended.
    pub enforce: bool,
}

impl Default for DiskSettings {
    fn default() -> Self {
        Self { interval: Duration::from_secs(15), enforce: false }
    }
}

/// The isolator.
pub struct DiskIsolator {
    watched: Arc<Watched>,
    _watcher: Watcher,
}

struct Watched {
    enforce: bool,
    broken: mpsc::Sender<(ContainerId, Limitation)>,
    containers: Mutex<BTreeMap<ContainerId, Sandbox>>,
}

#[derive(Clone)]
struct Sandbox {
    path: PathBuf,
    limit_bytes: Option<u64>,
    used_bytes: Option<u64>,
}

impl DiskIsolator {
    /// `disk/du`.
    ///
    /// # Errors
    /// There can be no thread for it.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        let DiskSettings { interval, enforce } = around.settings.disk;
        let containers = Mutex::default();
        let watched = Arc::new(Watched { enforce, broken: around.broken.clone(), containers });
        let _watcher = watch("disk/du", interval, watched.clone(), Watched::look)?;
        Ok(Arc::new(Self { watched, _watcher }))
    }

    fn enter(&self, container_id: &ContainerId, path: &Path, resources: &Resources) {
        let sandbox = Sandbox { path: path.to_owned(), limit_bytes: limit(resources), used_bytes: None };
        self.watched.lock().insert(container_id.clone(), sandbox);
    }
}

/// What a container may take, bytes.
pub(in crate::containerizer) fn limit(resources: &Resources) -> Option<u64> {
    let millis = resources.disk().millis();
    (millis > 0).then(|| u64::try_from(u128::from(millis) * (1 << 20) / 1000).unwrap_or(u64::MAX))
}

impl Isolator for DiskIsolator {
    fn name(&self) -> &'static str {
        "disk/du"
    }

    fn prepare(&self, container: &Container<'_>, _plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        self.enter(&container.spec.container_id, container.sandbox, &container.spec.resources);
        Ok(Value::Null)
    }

    fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError> {
        self.enter(known.container_id, known.sandbox, known.resources);
        Ok(())
    }

    fn update(&self, container_id: &ContainerId, resources: &Resources) -> Result<(), IsolationError> {
        if let Some(sandbox) = self.watched.lock().get_mut(container_id) {
            sandbox.limit_bytes = limit(resources);
        }
        Ok(())
    }

    fn usage(&self, container_id: &ContainerId, usage: &mut Usage) {
        if let Some(sandbox) = self.watched.lock().get(container_id) {
            (usage.disk_used_bytes, usage.disk_limit_bytes) = (sandbox.used_bytes, sandbox.limit_bytes);
        }
    }

    fn cleanup(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        self.watched.lock().remove(container_id);
        Ok(())
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerId, Sandbox>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, pace: &Pace) {
        let all: Vec<(ContainerId, PathBuf)> =
            self.lock().iter().map(|(id, sandbox)| (id.clone(), sandbox.path.clone())).collect();
        for (container_id, path) in all {
            let Used { bytes: used, hidden } = match usage(&path, pace) {
                Ok(used) => used,
                // It may have ended, and its sandbox with it.
                Err(error) => {
                    tracing::debug!(%container_id, %error, "what a sandbox takes can't be told");
                    continue;
                }
            };
            let mut containers = self.lock();
            let Some(sandbox) = containers.get_mut(&container_id) else { continue };
            sandbox.used_bytes = Some(used);
            let broken = sandbox.limit_bytes.and_then(|limit| limitation(used, hidden, limit));
            let Some(limitation) = broken.filter(|_| self.enforce) else { continue };
            drop(containers);
            // Nobody listens any more where the agent ends.
            let _ = self.broken.blocking_send((container_id, limitation));
        }
    }
}

/// What there is to say of a container with a limit, if it breaks it.
fn limitation(used: u64, hidden: bool, limit: u64) -> Option<Limitation> {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / f64::from(1 << 20));
    let message = match (used > limit, hidden) {
        (true, _) => format!(
            "Disk usage ({}) exceeds quota ({}): ask for more of the resource 'disk', or write less to the sandbox",
            megabytes(used),
            megabytes(limit)
        ),
        // Else whoever digs deep enough would have no limit.
        (false, true) => format!(
            "Disk usage can't be told, so its quota ({}) can't be held: more than {MAX_DEEP} directories of the sandbox lie \
             more than {MAX_DEPTH} levels deep; make fewer of them",
            megabytes(limit)
        ),
        (false, false) => return None,
    };
    let millis = u64::try_from(u128::from(used) * 1000 / (1 << 20)).unwrap_or(u64::MAX);
    let disk = Resource::scalar("disk", protocol::Scalar::from_millis(millis));
    let reason = Reason::ContainerLimitationDisk;
    Some(Limitation { reason, message, resources: Resources::from_iter([disk]) })
}

/// What a tree takes.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    bytes: u64,
    /// There is more, in places that were not looked at.
    hidden: bool,
}

/// What a tree takes. What is removed meanwhile takes nothing.
fn usage(path: &Path, pace: &Pace) -> io::Result<Used> {
    let root = openat(AT_FDCWD, path, DIRECTORY, Mode::empty())?;
    let about = fstat(&root)?;
    let mut walk = Walk {
        device: about.st_dev,
        used: Used { bytes: size(&about), hidden: false },
        linked: HashSet::new(),
        deep: vec![root],
        looked: 0,
    };
    while let Some(top) = walk.deep.pop() {
        walk.tree(top, pace)?;
    }
    Ok(walk.used)
}

struct Walk {
    device: u64,
    used: Used,
    /// Files with several names that have been counted.
    linked: HashSet<u64>,
    /// Directories that lie too deep to hold all above them open.
    deep: Vec<OwnedFd>,
    looked: usize,
}

impl Walk {
    fn tree(&mut self, top: OwnedFd, pace: &Pace) -> io::Result<()> {
        let mut way = Vec::from_iter(list(top)?);
        while let Some((directory, listing)) = way.last_mut() {
            let entry = match listing.next() {
                Some(Ok(entry)) => entry,
                // Its end; or it was removed, with all that was in it.
                None | Some(Err(Errno::ENOENT)) => {
                    way.pop();
                    continue;
                }
                Some(Err(error)) => return Err(error.into()),
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.looked += 1;
            if self.looked.is_multiple_of(SLICE) && !pace.rest(REST) {
                return Err(io::Error::other("the agent ends"));
            }
            let Ok(about) = fstatat(&*directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) else { continue };
            if about.st_dev != self.device || self.is_counted(&about) {
                continue;
            }
            self.used.bytes += size(&about);
            if !is_directory(&about) {
                continue;
            }
            let Ok(below) = openat(&*directory, name, DIRECTORY, Mode::empty()) else { continue };
            if way.len() < MAX_DEPTH {
                way.extend(list(below)?);
            } else if self.deep.len() < MAX_DEEP {
                self.deep.push(below);
            } else {
                self.used.hidden = true;
            }
        }
        Ok(())
    }

    fn is_counted(&mut self, about: &FileStat) -> bool {
        let several = about.st_nlink > 1 && !is_directory(about) && self.linked.len() < MAX_LINKED;
        several && !self.linked.insert(about.st_ino)
    }
}

/// A directory and what is in it; nothing where it was removed.
fn list(directory: OwnedFd) -> io::Result<Option<(OwnedFd, OwningIter)>> {
    match openat(&directory, ".", DIRECTORY, Mode::empty()).and_then(Dir::from_fd) {
        Ok(listing) => Ok(Some((directory, listing.into_iter()))),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn size(about: &FileStat) -> u64 {
    // Source: POSIX, blocks of 512 bytes.
    u64::try_from(about.st_blocks).unwrap_or_default() * 512
}

fn is_directory(about: &FileStat) -> bool {
    SFlag::from_bits_truncate(about.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::IsolationSettings;
    use super::super::testing::surroundings;
    use super::*;

    fn used(path: &Path) -> u64 {
        let (_end, ended) = std::sync::mpsc::sync_channel(0);
        usage(path, &Pace::of(ended)).unwrap().bytes
    }

    #[test]
    fn blocks_are_counted_once_and_links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let sandbox = place.path().join("sandbox");
        fs::create_dir_all(sandbox.join("a/b")).unwrap();
        let empty = used(&sandbox);
        fs::write(place.path().join("beside"), vec![1; 1 << 20]).unwrap();
        fs::write(sandbox.join("a/b/file"), vec![1; 1 << 20]).unwrap();
        fs::hard_link(sandbox.join("a/b/file"), sandbox.join("again")).unwrap();
        symlink("../beside", sandbox.join("link")).unwrap();
        symlink("/", sandbox.join("root")).unwrap();
        let sparse = fs::File::create(sandbox.join("sparse")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        assert_eq!(used(&sandbox) - empty, 1 << 20);
    }

    #[test]
    fn neither_depth_nor_breadth_hides_anything() {
        let place = tempfile::tempdir().unwrap();
        let mut here = place.path().to_owned();
        for _ in 0..300 {
            here = here.join("d");
            fs::create_dir(&here).unwrap();
        }
        for number in 0..500 {
            let wide = place.path().join(format!("w{number}/x"));
            fs::create_dir_all(&wide).unwrap();
            fs::write(wide.join("file"), vec![1; 4096]).unwrap();
        }
        let empty = used(place.path());
        fs::write(here.join("file"), vec![1; 1 << 20]).unwrap();
        assert_eq!(used(place.path()) - empty, 1 << 20);
        assert!(empty >= 500 * 4096);
    }

    #[test]
    fn a_tree_that_changes_all_the_time_is_measured_all_the_same() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), vec![1; 1 << 20]).unwrap();
        let (end, ended) = std::sync::mpsc::sync_channel::<()>(0);
        let sandbox = place.path().to_owned();
        let busy = std::thread::spawn(move || {
            while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                for number in 0..20 {
                    fs::create_dir_all(sandbox.join(format!("d{number}/a/b"))).unwrap();
                }
                for number in 0..20 {
                    fs::remove_dir_all(sandbox.join(format!("d{number}"))).unwrap();
                }
            }
        });
        for _ in 0..300 {
            assert!(used(place.path()) >= 1 << 20);
        }
        drop(end);
        busy.join().unwrap();
        // The very moment: it is gone once it was opened.
        let gone = place.path().join("gone");
        fs::create_dir(&gone).unwrap();
        let top = openat(AT_FDCWD, &gone, DIRECTORY, Mode::empty()).unwrap();
        fs::remove_dir(&gone).unwrap();
        assert!(list(top).unwrap().is_none_or(|(_, mut listing)| {
            listing.next().is_none_or(|entry| matches!(entry, Err(Errno::ENOENT)) || entry.is_ok())
        }));
    }

    #[test]
    fn who_hides_what_it_takes_is_told_so() {
        let place = tempfile::tempdir().unwrap();
        let mut here = place.path().to_owned();
        for _ in 1..MAX_DEPTH {
            here.push("d");
        }
        // One directory more than are remembered, each with more in it than its own files.
        for number in 0..=MAX_DEEP {
            fs::create_dir_all(here.join(format!("{number}/below"))).unwrap();
        }
        let (_end, ended) = std::sync::mpsc::sync_channel(0);
        let pace = Pace::of(ended);
        assert!(usage(place.path(), &pace).unwrap().hidden);
        fs::remove_dir_all(here.join("0")).unwrap();
        assert!(!usage(place.path(), &pace).unwrap().hidden);
        let said = limitation(0, true, 1 << 20).unwrap();
        assert!(said.message.contains("quota (1.0 MB) can't be held"), "{}", said.message);
        assert!(limitation(1 << 20, false, 1 << 20).is_none());
    }

    #[test]
    fn a_container_that_takes_too_much_is_reported() {
        let place = tempfile::tempdir().unwrap();
        for enforce in [true, false] {
            let disk = DiskSettings { interval: Duration::from_millis(5), enforce };
            let settings = IsolationSettings { disk, ..IsolationSettings::default() };
            let (around, mut broken) = surroundings(place.path(), settings);
            let isolator = DiskIsolator::make(&around).unwrap();
            let sandbox = place.path().join(format!("sandbox-{enforce}"));
            fs::create_dir(&sandbox).unwrap();
            let resources: Resources = "disk:2".parse().unwrap();
            let container_id: ContainerId = "c".into();
            let state = Value::Null;
            let known = Known {
                container_id: &container_id,
                pid: 1,
                sandbox: &sandbox,
                resources: &resources,
                state: &state,
            };
            isolator.recover(&known).unwrap();
            fs::write(sandbox.join("file"), vec![1; 3 << 20]).unwrap();
            let measured = || {
                let mut usage = Usage::default();
                isolator.usage(&container_id, &mut usage);
                (usage.disk_used_bytes, usage.disk_limit_bytes)
            };
            while measured().0.is_none_or(|used| used < 3 << 20) {
                std::thread::yield_now();
            }
            assert_eq!(measured().1, Some(2 << 20));
            if enforce {
                let (whose, limitation) = broken.blocking_recv().unwrap();
                assert_eq!((whose, limitation.reason), (container_id, Reason::ContainerLimitationDisk));
                assert!(limitation.message.contains("exceeds quota (2.0 MB)"), "{}", limitation.message);
            } else {
                assert!(broken.try_recv().is_err());
            }
        }
    }
}
