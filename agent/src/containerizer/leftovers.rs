//! Processes of containers that nobody knows any more: found by what their environment says of their sandbox, and ended.
//! The work directory's lock says that no other agent lives there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libactor::processes::{self, Environment, Found, Look, Stat};

use crate::os;

/// The variable that names a process's sandbox.
pub(crate) const SANDBOX: &str = "MESOS_SANDBOX";
/// How often the processes are looked through until none of the leftovers is found. Ours: a killed process is gone
/// after a few looks, unless the kernel holds it.
const LOOKS: usize = 1000;

/// Kills the processes that name a sandbox below the work directory as theirs, but for those that are kept; says how
/// many. May block.
pub(super) fn kill_processes(work_dir: &Path, kept: &[PathBuf]) -> usize {
    let is_left = |environment: &Environment| {
        environment.value(SANDBOX).map(|path| Path::new(OsStr::from_bytes(path))).is_some_and(|path| {
            path.starts_with(work_dir) && path != work_dir && !kept.iter().any(|kept| path.starts_with(kept))
        })
    };
    let mut killed = BTreeSet::new();
    match kill_all(is_left, &mut killed) {
        Ok(left) if left.is_over() => {}
        Ok(left) => {
            let work_dir = work_dir.display();
            tracing::error!(%work_dir, ?left, "processes of an earlier life of this agent may not have ended");
        }
        Err(error) => {
            tracing::error!(%error, "processes of an earlier life of this agent can't be looked for")
        }
    }
    killed.len()
}

/// Kills those whose environment is meant; what could not be ended.
fn kill_all(is_left: impl Fn(&Environment) -> bool, killed: &mut BTreeSet<i32>) -> io::Result<Found> {
    let mut left = Found::default();
    for _ in 0..LOOKS {
        let mut others = BTreeMap::new();
        // A stopped process starts no other while the rest is looked for.
        left = processes::hunt(|look| found(look, &is_left, &mut others), os::stop)?;
        if left.is_over() {
            break;
        }
        left.pids.iter().copied().for_each(os::kill);
        killed.extend(&left.pids);
        std::thread::yield_now();
    }
    Ok(left)
}

/// Those whose environment is meant; whose is not is asked once.
fn found(look: &Look, is_left: impl Fn(&Environment) -> bool, others: &mut BTreeMap<i32, u64>) -> Found {
    let mut found = Found::default();
    let own = std::process::id().cast_signed();
    let unknown =
        |stat: &&Stat| stat.lives() && stat.pid != own && others.get(&stat.pid) != Some(&stat.began);
    let unknown: Vec<&Stat> = look.seen().values().filter(unknown).collect();
    for stat in unknown {
        if !found.add(stat, Environment::of(stat), &is_left) {
            others.insert(stat.pid, stat.began);
        }
    }
    found
}
