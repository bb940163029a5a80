//! What an agent that was killed has left running: its next life in the same work directory ends it.
//!
//! Executors end by themselves when their agent is gone; one that hangs, or whose framework asked it to wait, does
//! not. The master was told that its tasks are lost, so nobody will ever ask for it again. (Recovery of agents will
//! take over those that wait.) The work directory's lock says that no other agent lives there.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::posix;
use crate::os;

/// The variable that names a process's sandbox.
pub(crate) const SANDBOX: &str = "MESOS_SANDBOX";
/// How often the processes are looked through until none of the leftovers is found. Ours: a killed process is gone
/// after a few looks, unless the kernel holds it.
const LOOKS: usize = 1000;

/// Kills the processes that name a sandbox below the work directory as theirs; says how many.
pub(super) fn kill_processes(work_dir: &Path) -> usize {
    let has_sandboxes = fs::read_dir(work_dir).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
    });
    if !has_sandboxes {
        return 0;
    }
    let mark = [SANDBOX.as_bytes(), b"=", work_dir.as_os_str().as_bytes(), b"/"].concat();
    let mut killed = std::collections::BTreeSet::new();
    for _ in 0..LOOKS {
        let found: Vec<i32> = posix::all_processes().filter(|pid| has_variable(*pid, &mark)).collect();
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

fn has_variable(pid: i32, beginning: &[u8]) -> bool {
    let own = std::process::id() as i32;
    pid != own
        && fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one.starts_with(beginning)))
}
