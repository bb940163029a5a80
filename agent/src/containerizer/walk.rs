//! Following a path below a directory name by name, and never through a symbolic link: what lies there is a container's,
//! and who follows may be root.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};

/// What is made where something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Make {
    /// Nothing.
    Nothing,
    /// Directories.
    Directory,
    /// An empty file, and the directories above it.
    File,
}

/// Opens what a path leads to from a directory; for its place only, not for what is in it.
///
/// # Errors
/// It is missing and not made, or a link is on the way, or at its end.
pub(super) fn below(base: &OwnedFd, path: &Path, make: Make) -> io::Result<OwnedFd> {
    let mut here = base.try_clone()?;
    let mut names = path.components().peekable();
    while let Some(name) = names.next() {
        let Component::Normal(name) = name else { return Err(io::ErrorKind::InvalidInput.into()) };
        let last = names.peek().is_none();
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let flags = if last { flags } else { flags | OFlag::O_DIRECTORY };
        let next = match (openat(&here, name, flags, Mode::empty()), make) {
            (Err(nix::Error::ENOENT), Make::Directory | Make::File) => {
                if make == Make::Directory || !last {
                    mkdirat(&here, name, Mode::from_bits_truncate(0o755))?;
                } else {
                    let new = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
                    openat(&here, name, new, Mode::from_bits_truncate(0o644))?;
                }
                openat(&here, name, flags, Mode::empty())?
            }
            (found, _) => found?,
        };
        here = next;
    }
    match File::from(here.try_clone()?).metadata()?.is_symlink() {
        true => Err(nix::Error::ELOOP.into()),
        false => Ok(here),
    }
}

/// Opens a place anywhere; links are followed.
///
/// # Errors
/// There is none.
pub(super) fn place(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Opens a directory anywhere; links are followed.
///
/// # Errors
/// There is none.
pub(super) fn directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_missing_is_made_and_links_lead_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let [inside, outside] = ["inside", "outside"].map(|name| place.path().join(name));
        for directory in [&inside, &outside] {
            fs::create_dir(directory).unwrap();
        }
        symlink(&outside, inside.join("link")).unwrap();
        symlink("/no/such/place", inside.join("dangling")).unwrap();
        let base = directory(&inside).unwrap();
        below(&base, Path::new("a/b"), Make::Directory).unwrap();
        below(&base, Path::new("c/file"), Make::File).unwrap();
        assert!(inside.join("a/b").is_dir() && inside.join("c/file").is_file());
        for path in ["link", "link/x", "dangling", "dangling/x", "a/../../outside", "/etc"] {
            assert!(below(&base, Path::new(path), Make::Directory).is_err(), "{path}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        let missing = below(&base, Path::new("no"), Make::Nothing).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
