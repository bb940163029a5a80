//! Processes of containers that nobody knows any more: found by what their environment says of their sandbox, and ended.
//! The work directory's lock says that no other agent lives there.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::posix;
use crate::os;

/// The variable that names a process's sandbox.
pub(crate) const SANDBOX: &str = "MESOS_SANDBOX";
/// How often the processes are looked through until none of the leftovers is found. Ours: a killed process is gone
/// after a few looks, unless the kernel holds it.
const LOOKS: usize = 1000;

/// Kills the processes that name a sandbox below the work directory as theirs, but for those that are kept; says how
/// many.
pub(super) fn kill_processes(work_dir: &Path, kept: &[PathBuf]) -> usize {
    let mark = [SANDBOX.as_bytes(), b"="].concat();
    let is_left = |pid: i32| {
        sandbox_of(pid, &mark).is_some_and(|path| {
            path.starts_with(work_dir) && path != work_dir && !kept.iter().any(|kept| path.starts_with(kept))
        })
    };
    let mut killed = std::collections::BTreeSet::new();
    for _ in 0..LOOKS {
        let found: Vec<i32> = posix::all_processes().filter(|pid| is_left(*pid)).collect();
        if found.is_empty() {
            return killed.len();
        }
        // A stopped process starts no other while the rest is looked for.
        found.iter().copied().for_each(os::stop);
        found.iter().copied().for_each(os::kill);
        killed.extend(found);
    }
    tracing::error!(work_dir = %work_dir.display(), "processes of an earlier life of this agent do not end");
    killed.len()
}

/// The sandbox that a process names as its own.
fn sandbox_of(pid: i32, mark: &[u8]) -> Option<PathBuf> {
    if pid == std::process::id().cast_signed() {
        return None;
    }
    let all = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let path = all.split(|byte| *byte == 0).find_map(|one| one.strip_prefix(mark))?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}
