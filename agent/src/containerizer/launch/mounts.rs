//! The mounts of a container, in a namespace of their own: nothing of them reaches the rest of the machine.
//!
//! Within the sandbox a path is followed name by name and never through a symbolic link: what lies there is the
//! container's, and the process that mounts may be root.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use crate::containerizer::isolation::LaunchPlan;
use crate::containerizer::isolation::plan::Mount;
use crate::containerizer::syscalls;
use crate::containerizer::walk::{self, Make};

/// Why a mount can't be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum MountError {
    #[error("can't have mounts of its own: {0}")]
    Own(io::Error),
    #[error("can't mount a /proc of its own: {0}")]
    Proc(io::Error),
    #[error("can't find '{path}' to mount it: {source}")]
    Source { path: PathBuf, source: io::Error },
    #[error("can't mount at '{path}': {source}")]
    Target { path: PathBuf, source: io::Error },
}

/// Directories below which a path is followed without symbolic links.
struct Bases(Vec<(PathBuf, OwnedFd)>);

/// Carries out the part of the plan that is about mounts.
pub(super) fn make(plan: &LaunchPlan, sandbox: &Path) -> Result<(), MountError> {
    if !plan.has_mounts() {
        return Ok(());
    }
    // What the machine unmounts later goes here too; nothing goes the other way.
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SLAVE, nothing)
        .map_err(|error| MountError::Own(error.into()))?;
    if plan.namespaces.pid {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("proc"), "/proc", Some("proc"), flags, nothing)
            .map_err(|error| MountError::Proc(error.into()))?;
    }
    if plan.mounts.is_empty() {
        return Ok(());
    }
    let at_sandbox = |source| MountError::Source { path: sandbox.to_owned(), source };
    let base = walk::directory(sandbox).map_err(at_sandbox)?;
    let mut bases = Bases(vec![(sandbox.to_owned(), base)]);
    // All sources are found before a mount can hide one.
    let mut copies = Vec::with_capacity(plan.mounts.len());
    for wanted in &plan.mounts {
        copies.push(source(wanted, &bases)?);
    }
    for (wanted, copy) in plan.mounts.iter().zip(copies) {
        let failed = |source| MountError::Target { path: wanted.target.clone(), source };
        match copy {
            Some(copy) => {
                let make = if is_directory(&copy).map_err(failed)? { Make::Directory } else { Make::File };
                let place = bases.open(&wanted.target, make).map_err(failed)?;
                syscalls::attach_mount(copy.as_fd(), place.as_fd()).map_err(failed)?;
                bases.0.push((wanted.target.clone(), copy));
            }
            None => of_kind(wanted, &bases).map_err(failed)?,
        }
    }
    Ok(())
}

/// A copy of what is to be mounted; nothing where that is no path.
fn source(wanted: &Mount, bases: &Bases) -> Result<Option<OwnedFd>, MountError> {
    let (None, Some(path)) = (&wanted.kind, &wanted.source) else { return Ok(None) };
    let copy = || {
        let place = bases.open(path, Make::Nothing)?;
        let copy = syscalls::copy_of_mount(place.as_fd())?;
        let (flags, _) = options(wanted);
        let attributes = attributes(flags);
        if attributes != 0 {
            syscalls::set_mount_attributes(copy.as_fd(), attributes)?;
        }
        Ok(copy)
    };
    copy().map(Some).map_err(|source| MountError::Source { path: path.clone(), source })
}

/// Mounts a file system that has a kind of its own.
fn of_kind(wanted: &Mount, bases: &Bases) -> io::Result<()> {
    let place = bases.open(&wanted.target, Make::Directory)?;
    let (flags, data) = options(wanted);
    let at = format!("/proc/self/fd/{}", place.as_raw_fd());
    let name = wanted.source.as_deref().unwrap_or(Path::new("none"));
    Ok(mount(Some(name), at.as_str(), wanted.kind.as_deref(), flags, Some(data.as_str()))?)
}

/// Options as flags, and the rest of them.
fn options(wanted: &Mount) -> (MsFlags, String) {
    let mut flags = if wanted.read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
    let mut rest = Vec::new();
    for option in wanted.options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => flags |= MsFlags::MS_RDONLY,
            "nosuid" => flags |= MsFlags::MS_NOSUID,
            "nodev" => flags |= MsFlags::MS_NODEV,
            "noexec" => flags |= MsFlags::MS_NOEXEC,
            "rw" | "bind" | "rbind" => {}
            other => rest.push(other),
        }
    }
    (flags, rest.join(","))
}

fn attributes(flags: MsFlags) -> u64 {
    let pairs = [
        (MsFlags::MS_RDONLY, syscalls::MOUNT_READ_ONLY),
        (MsFlags::MS_NOSUID, syscalls::MOUNT_NOSUID),
        (MsFlags::MS_NODEV, syscalls::MOUNT_NODEV),
        (MsFlags::MS_NOEXEC, syscalls::MOUNT_NOEXEC),
    ];
    pairs.iter().filter(|(flag, _)| flags.contains(*flag)).fold(0, |all, (_, attribute)| all | attribute)
}

impl Bases {
    /// Opens a place. Below one of these no link is followed, and what is missing may be made; elsewhere it must be there.
    fn open(&self, path: &Path, make: Make) -> io::Result<OwnedFd> {
        // The newest mount hides those before it.
        match self.0.iter().rev().find_map(|(base, fd)| Some((fd, path.strip_prefix(base).ok()?))) {
            Some((base, rest)) => walk::below(base, rest, make),
            None => walk::place(path),
        }
    }
}

fn is_directory(mount: &OwnedFd) -> io::Result<bool> {
    Ok(File::from(mount.try_clone()?).metadata()?.is_dir())
}
