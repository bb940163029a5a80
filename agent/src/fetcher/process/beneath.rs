//! Makes files in a sandbox, and nowhere else: names are gone through one by one from the sandbox's own directory, which is
//! held open, and no symbolic link is followed on the way. What is in the way of a file is taken away first, never written
//! through.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

use crate::fetcher::uri::RESERVED;

/// Longest name with all its parts, bytes. Source: Linux `PATH_MAX`.
const MAX_NAME_BYTES: usize = 4096;
/// What remains of an entry's mode: setuid, setgid and sticky bits never do.
const MODE: u32 = 0o777;

/// A name below a sandbox, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Vec<Vec<u8>>);

impl Name {
    /// Reads one with `/` between its parts. Without any part it is the sandbox itself.
    pub(super) fn of(name: &[u8]) -> Result<Self, &'static str> {
        if name.len() > MAX_NAME_BYTES {
            return Err("the name is too long");
        }
        if name.contains(&0) {
            return Err("the name holds a NUL");
        }
        if name.starts_with(b"/") {
            return Err("the name is absolute");
        }
        let parts: Vec<Vec<u8>> = name
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty() && *part != b".")
            .map(<[u8]>::to_vec)
            .collect();
        if parts.iter().any(|part| part == b"..") {
            return Err("the name leads up with '..'");
        }
        if parts.len() == 1 && RESERVED.iter().any(|reserved| reserved.as_bytes() == parts[0]) {
            return Err("that file is the task's output");
        }
        Ok(Self(parts))
    }

    /// Whether it is the sandbox itself.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same without the end of its last part.
    pub(super) fn without(&self, ending: usize) -> Option<Self> {
        let mut parts = self.0.clone();
        let last = parts.last_mut()?;
        last.truncate(last.len().saturating_sub(ending));
        Self::of(&parts.join(&b'/')).ok().filter(|name| name.0.len() == parts.len())
    }
}

/// A sandbox, open.
#[derive(Debug)]
pub(super) struct Sandbox {
    root: OwnedFd,
}

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

impl Sandbox {
    /// Opens it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { root: openat(AT_FDCWD, path, DIRECTORY, Mode::empty())? })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// A new file in the place of what is there, with the directories above it.
    pub(super) fn create(&self, name: &Name, mode: u32) -> io::Result<File> {
        let (parent, last) = self.parent(name, true)?;
        clear(&parent, last)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&parent, last, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        fchmod(&file, Mode::from_bits_truncate(mode & MODE))?;
        Ok(file.into())
    }

    /// Opens a regular file to read.
    pub(super) fn read(&self, name: &Name) -> io::Result<File> {
        let (parent, last) = self.parent(name, false)?;
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        Ok(openat(&parent, last, flags, Mode::empty())?.into())
    }

    /// Removes a file that is of no use. One that stays is found in a sandbox of a failed launch.
    pub(super) fn remove(&self, name: &Name) {
        if let Ok((parent, last)) = self.parent(name, false) {
            let _ = unlinkat(&parent, last, UnlinkatFlags::NoRemoveDir);
        }
    }

    /// A directory, with those above it; its owner can always use it.
    pub(super) fn directory(&self, name: &Name, mode: u32) -> io::Result<()> {
        if name.is_empty() {
            return Ok(());
        }
        let (parent, last) = self.parent(name, true)?;
        let directory = enter(&parent, last, true)?;
        fchmod(&directory, Mode::from_bits_truncate((mode & MODE) | 0o700))?;
        Ok(())
    }

    /// A symbolic link, whatever it says: nothing here follows it.
    pub(super) fn symbolic_link(&self, name: &Name, target: &[u8]) -> io::Result<()> {
        let (parent, last) = self.parent(name, true)?;
        clear(&parent, last)?;
        symlinkat(OsStr::from_bytes(target), &parent, last)?;
        Ok(())
    }

    /// Another name of a regular file of the sandbox.
    pub(super) fn hard_link(&self, name: &Name, target: &Name) -> io::Result<()> {
        let (from, from_last) = self.parent(target, false)?;
        let stat = fstatat(&from, from_last, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
            return Err(io::Error::other("it is a link to what is no regular file"));
        }
        let (parent, last) = self.parent(name, true)?;
        if name != target {
            clear(&parent, last)?;
            linkat(&from, from_last, &parent, last, AtFlags::empty())?;
        }
        Ok(())
    }

    /// The directory of a name, and its last part.
    fn parent<'n>(&self, name: &'n Name, make: bool) -> io::Result<(OwnedFd, &'n [u8])> {
        let (last, above) = name.0.split_last().ok_or(Errno::EISDIR)?;
        let mut here = self.root.try_clone()?;
        for part in above {
            here = enter(&here, part, make)?;
        }
        Ok((here, last))
    }
}

/// Opens a directory in a directory.
fn enter(above: &OwnedFd, part: &[u8], make: bool) -> io::Result<OwnedFd> {
    match openat(above, part, DIRECTORY, Mode::empty()) {
        Err(Errno::ENOENT) if make => {
            mkdirat(above, part, Mode::from_bits_truncate(0o755))?;
            Ok(openat(above, part, DIRECTORY, Mode::empty())?)
        }
        // How the kernel says it depends on its version.
        Err(Errno::ELOOP | Errno::ENOTDIR) => {
            Err(io::Error::other("something that is no directory is in the way"))
        }
        other => Ok(other?),
    }
}

/// Takes away what is in the place of a file, unless it is a directory.
fn clear(parent: &OwnedFd, last: &[u8]) -> io::Result<()> {
    match unlinkat(parent, last, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(Errno::EISDIR | Errno::EPERM) => Err(io::Error::other("a directory is in the way")),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_beneath() {
        let parts = |name: &str| Name::of(name.as_bytes()).map(|name| name.0.len());
        assert_eq!(parts("./a//b/./c/"), Ok(3));
        assert_eq!(parts("./"), Ok(0));
        for name in ["/a", "../a", "a/../b", "a\0b", "stdout", "./stderr"] {
            assert!(parts(name).is_err(), "{name}");
        }
        assert_eq!(parts("a/stdout"), Ok(2));
        assert!(parts(&"a/".repeat(3000)).is_err());
    }

    #[test]
    fn the_end_of_a_name_is_taken_away() {
        let name = Name::of(b"a/b.gz").unwrap();
        assert_eq!(name.without(3), Name::of(b"a/b").ok());
        assert_eq!(Name::of(b"a/.gz").unwrap().without(3), None);
        assert_eq!(Name::of(b"stdout.gz").unwrap().without(3), None);
    }
}
