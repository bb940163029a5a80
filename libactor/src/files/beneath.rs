//! Finds what lies beneath a root, and nothing else.
//!
//! The kernel is asked to find the way (`openat2`, `RESOLVE_BENEATH`): one step, with no gap between looking and opening. It
//! refuses every absolute symbolic link, also one that points beneath the root, and old kernels and some sandboxes have no
//! such call. So there is a second way: name by name, each opened without following it, with the directories above held
//! open, so that `..` in a link's target is answered from what was passed and never by the file system.
//!
//! What comes out is a handle that can't be read (`O_PATH`): a FIFO does not block on it, a device is not touched. Only after
//! its type is known is the very same file opened, through the handle.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use super::limits::{DEPTH, LINKS, RETRIES};

const HANDLE: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// How the way is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By the kernel where it can, else name by name.
    Kernel,
    /// Name by name: what tests ask for, on every kernel.
    Names,
}

/// A root, open for as long as one request needs it.
#[derive(Debug)]
pub(super) struct Root {
    handle: OwnedFd,
    path: Arc<Path>,
    way: Way,
}

impl Root {
    /// Opens a root. Its path had no symbolic link when it was attached: if it has one now, somebody has exchanged it.
    pub(super) fn open(path: Arc<Path>, way: Way) -> Result<Self, Errno> {
        let how = OpenHow::new()
            .flags(HANDLE)
            .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let found = match way {
            Way::Kernel => openat2(AT_FDCWD, &*path, how),
            Way::Names => Err(Errno::ENOSYS),
        };
        let handle = match found {
            Err(Errno::ENOSYS | Errno::EPERM) => {
                let top = open("/", HANDLE, Mode::empty())?;
                walk(&top, Path::new("/"), &path, Links::Refused)?
            }
            other => other?,
        };
        Ok(Self { handle, path, way })
    }

    /// A handle of what is at a path below; empty: of the root itself. It is never a symbolic link. What leads out gives
    /// `EXDEV` or `ELOOP`.
    pub(super) fn find(&self, rest: &Path) -> Result<OwnedFd, Errno> {
        if self.way == Way::Names || rest.as_os_str().is_empty() {
            return walk(&self.handle, &self.path, rest, Links::Beneath);
        }
        let how = OpenHow::new()
            .flags(HANDLE)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        for _ in 0..RETRIES {
            match openat2(&self.handle, rest, how) {
                // Something was renamed on the way.
                Err(Errno::EAGAIN) => {}
                // It may be an absolute link that leads beneath the root; or there is no such call.
                Err(Errno::EXDEV | Errno::ENOSYS | Errno::EPERM) => break,
                other => return other,
            }
        }
        walk(&self.handle, &self.path, rest, Links::Beneath)
    }
}

/// What to do with symbolic links.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Refused,
    /// They are followed as long as they lead beneath.
    Beneath,
}

/// Goes from `base`, whose real path is `at`, name by name.
fn walk(base: &OwnedFd, at: &Path, rest: &Path, links: Links) -> Result<OwnedFd, Errno> {
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut ahead = names_backwards(rest);
    let mut followed = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            passed.pop().ok_or(Errno::EXDEV)?;
            continue;
        }
        let here = passed.last().unwrap_or(base);
        let next = openat(here, name.as_os_str(), HANDLE | OFlag::O_NOFOLLOW, Mode::empty())?;
        let kind = kind(&fstat(&next)?);
        if kind == SFlag::S_IFLNK {
            followed += 1;
            if links == Links::Refused || followed > LINKS {
                return Err(Errno::ELOOP);
            }
            // A magic link is taken by its text too, and so leads nowhere else.
            let target = readlinkat(&next, "")?;
            let mut target = Path::new(&target);
            if target.is_absolute() {
                target = target.strip_prefix(at).map_err(|_| Errno::EXDEV)?;
                passed.clear();
            }
            ahead.extend(names_backwards(target));
        } else if kind != SFlag::S_IFDIR && !ahead.is_empty() {
            return Err(Errno::ENOTDIR);
        } else if passed.len() >= DEPTH {
            return Err(Errno::ENAMETOOLONG);
        } else {
            passed.push(next);
        }
    }
    passed.pop().map_or_else(|| base.try_clone().map_err(system), Ok)
}

/// The names of a path, the last first.
fn names_backwards(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    names.collect()
}

/// What kind of thing it is.
pub(super) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// Opens the regular file of a handle for reading.
pub(super) fn open_file(handle: &OwnedFd) -> Result<File, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    // The one way to open what a handle stands for, and not what is at its path by now.
    Ok(open(format!("/proc/self/fd/{}", handle.as_raw_fd()).as_str(), flags, Mode::empty())?.into())
}

/// Opens the directory of a handle for listing.
pub(super) fn open_directory(handle: &OwnedFd) -> Result<OwnedFd, Errno> {
    openat(handle, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY, Mode::empty())
}

/// The number of an error of the standard library.
pub(super) fn system(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
