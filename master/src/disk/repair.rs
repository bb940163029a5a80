//! The way out of a damaged directory.

use std::fs;
use std::path::{Path, PathBuf};

use libactor::journal::{make_directory, sync_directory};

use super::error::{DiskError, While};
use super::store::{Opened, take_lock};
use crate::registry::{ClusterId, DiskId, MemberId};
use crate::replication::Recovered;

/// Moves a replica's directory aside, and makes a fresh one: a newcomer of that cluster with the same number and another disk. What
/// the others have it fetches from them, once one of them has replaced the old disk by the new one. `date` is for the name of
/// what is kept, `2026-11-21T10-00-00`. Tells where that is; `None`: there was nothing.
///
/// # Errors
/// A process has the directory, or the system refuses something. Then nothing is lost: the damaged directory is where it was,
/// or already under its new name.
pub fn repair(
    directory: &Path,
    id: MemberId,
    disk: DiskId,
    cluster: ClusterId,
    date: &str,
) -> Result<Option<PathBuf>, DiskError> {
    let kept = if directory.is_dir() { Some(move_aside(directory, date)?) } else { None };
    // What it begins with is durable when it is open.
    Opened::open(directory, || Recovered::newcomer(id, disk, Some(cluster)))?;
    Ok(kept)
}

fn move_aside(directory: &Path, date: &str) -> Result<PathBuf, DiskError> {
    let lock = take_lock(directory)?;
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_directory(parent)?;
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let names = (1..).map(|number| match number {
        1 => format!("{name}.damaged-{date}"),
        _ => format!("{name}.damaged-{date}-{number}"),
    });
    let free = names.map(|name| parent.join(name)).find(|path| !path.exists()).expect("names do not end");
    fs::rename(directory, &free).while_doing("move aside", directory)?;
    sync_directory(parent).while_doing("sync", parent)?;
    drop(lock);
    Ok(free)
}
