//! What both versions can do, each with its own files.
//!
//! A setting is written and read back: what a kernel takes in silence and does not keep would be a limit that nobody has.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::hierarchy::Version;
use super::oom::OomFile;
use super::{DeviceRule, Usage};

/// How often the removal of a cgroup is tried. Ours: its last process has ended, and the kernel lets go of it in a moment.
const REMOVALS: u32 = 100;
/// Between two of those: the first version tells nobody when that moment has come.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Why a cgroup can't be what it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CgroupError {
    #[error("can't make the cgroup {path}: {source}")]
    Make { path: PathBuf, source: io::Error },
    #[error("can't write '{value}' to {path}: {source}")]
    Write { path: PathBuf, value: String, source: io::Error },
    #[error("can't read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} holds '{found}' after '{wanted}' was written")]
    Differs { path: PathBuf, wanted: String, found: String },
    #[error("can't attach a program for devices to {path}: {source}")]
    Program { path: PathBuf, source: io::Error },
    #[error("can't remove the cgroup {path}: {source}")]
    Remove { path: PathBuf, source: io::Error },
    #[error(
        "{path} can't hand '{controller}' down: {source}; it may hold processes itself: move them below it, or give the agent a part of the hierarchy of its own (systemd: Delegate=yes)"
    )]
    Delegate { path: PathBuf, controller: &'static str, source: io::Error },
}

impl CgroupError {
    /// Whether the kernel refuses since it is in use.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, CgroupError::Write { source, .. } if source.kind() == io::ErrorKind::ResourceBusy)
    }
}

/// How much of CPUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CpuSetting {
    /// Against others, when there is not enough.
    pub(crate) cpus: f64,
    /// At most, whoever else wants them: microseconds of a period, and the period.
    pub(crate) quota: Option<(u64, u64)>,
}

/// How fast one block device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoLimit {
    /// Its number.
    pub device: (u32, u32),
    /// Bytes a second.
    pub read_bytes: Option<u64>,
    /// Bytes a second.
    pub written_bytes: Option<u64>,
    /// Reads a second.
    pub reads: Option<u64>,
    /// Writes a second.
    pub writes: Option<u64>,
}

/// One version's files. All paths are directories of containers.
pub(crate) trait Driver: Send + Sync + 'static {
    /// Which.
    fn version(&self) -> Version;
    /// Sets shares and quota.
    fn set_cpu(&self, path: &Path, setting: CpuSetting) -> Result<(), CgroupError>;
    /// Adds what the controller of CPUs counts.
    fn cpu(&self, path: &Path, usage: &mut Usage);
    /// The file that says how much may be in swap space, where the kernel counts that.
    fn swap_file(&self) -> &'static str;
    /// Sets what can't be exceeded; what is written to swap space counts where `swap` says so, else it has no limit.
    fn set_memory(&self, path: &Path, bytes: u64, swap: bool) -> Result<(), CgroupError>;
    /// Sets what is kept when all run short.
    fn set_soft_memory(&self, path: &Path, bytes: u64) -> Result<(), CgroupError>;
    /// What is charged now.
    fn memory_used(&self, path: &Path) -> Result<u64, CgroupError>;
    /// Adds what the controller of memory counts.
    fn memory(&self, path: &Path, usage: &mut Usage);
    /// Begins to watch for processes that are killed for want of memory.
    fn watch_oom(&self, path: &Path) -> Result<OomFile, CgroupError>;
    /// Counts how often it is short of memory: a little, much, nearly out of it; each read is what came since the last.
    fn watch_pressure(&self, _path: &Path) -> Option<[File; 3]> {
        None
    }
    /// How many have been killed so.
    fn oom_kills(&self, path: &Path) -> Result<u64, CgroupError>;
    /// Sets how many processes and threads there may be; absent: any number.
    fn set_pids(&self, path: &Path, limit: Option<u64>) -> Result<(), CgroupError>;
    /// Adds what the controller of processes counts.
    fn pids(&self, path: &Path, usage: &mut Usage);
    /// Sets how fast a block device may be used.
    fn set_io(&self, path: &Path, limit: &IoLimit) -> Result<(), CgroupError>;
    /// Takes all limits of block devices away.
    fn clear_io(&self, path: &Path) -> Result<(), CgroupError>;
    /// Adds what went to and from block devices.
    fn io(&self, path: &Path, usage: &mut Usage);
    /// Sets which device files may be used: these and no others.
    fn set_devices(&self, path: &Path, rules: &[DeviceRule]) -> Result<(), CgroupError>;
    /// Sets which CPUs may be used, as `0-3,8`.
    fn set_cpus(&self, path: &Path, cpus: &str) -> Result<(), CgroupError>;
}

/// Makes a cgroup, and those above it.
pub(super) fn create(path: &Path) -> Result<(), CgroupError> {
    // Another agent that tidies up may remove an empty one above it in between.
    let mut made = fs::create_dir_all(path);
    for _ in 0..3 {
        if !matches!(&made, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            break;
        }
        made = fs::create_dir_all(path);
    }
    made.map_err(|source| CgroupError::Make { path: path.to_owned(), source })
}

/// Puts a process into a cgroup.
#[cfg(test)]
pub(super) fn add(path: &Path, pid: u32) -> Result<(), CgroupError> {
    write(&path.join("cgroup.procs"), &pid.to_string())
}

/// Removes a cgroup with those below it; one that is not there is removed.
pub(super) fn destroy(path: &Path) -> Result<(), CgroupError> {
    for attempt in 1.. {
        match remove(path) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(source) if attempt == REMOVALS || source.kind() != io::ErrorKind::ResourceBusy => {
                return Err(CgroupError::Remove { path: path.to_owned(), source });
            }
            Err(_) => wait(),
        }
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "the first version tells nobody when a cgroup can be removed")]
fn wait() {
    std::thread::sleep(LOOK_AGAIN);
}

fn remove(path: &Path) -> io::Result<()> {
    // The usual case has none below.
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
        done => return done,
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// Writes a value.
pub(super) fn write(path: &Path, value: &str) -> Result<(), CgroupError> {
    // No file is made where the kernel has none.
    let written = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()));
    written.map_err(|source| CgroupError::Write { path: path.to_owned(), value: value.to_owned(), source })
}

/// Reads a value.
pub(super) fn read(path: &Path) -> Result<String, CgroupError> {
    let text =
        fs::read_to_string(path).map_err(|source| CgroupError::Read { path: path.to_owned(), source })?;
    Ok(text.trim_end().to_owned())
}

/// Reads a number.
pub(super) fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim_end().parse().ok()
}

/// An error of the crate, as ours.
pub(super) fn refused(
    path: PathBuf,
    value: impl ToString,
) -> impl FnOnce(cgroups_rs::fs::error::Error) -> CgroupError {
    move |error| {
        let known = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        let source = match known.and_then(io::Error::raw_os_error) {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::other(error.to_string()),
        };
        CgroupError::Write { path, value: value.to_string(), source }
    }
}

/// Compares what was written with what is there.
pub(super) fn same<T: PartialEq + ToString>(path: PathBuf, wanted: T, found: T) -> Result<(), CgroupError> {
    if wanted == found {
        return Ok(());
    }
    Err(CgroupError::Differs { path, wanted: wanted.to_string(), found: found.to_string() })
}
