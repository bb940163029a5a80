//! Removes a tree that a stranger has made: no link is followed, nothing that is mounted is entered, and neither its depth
//! nor its breadth needs memory. What lies deep is moved up, into a directory beside the tree, and removed from there. An agent
//! that is not root unlocks directories that their task has locked: they belong to the same user.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::NixPath;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, renameat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::os;

/// How deep a tree is gone down before what lies below is moved up. Ours: each level holds a descriptor.
const MAX_DEPTH: usize = 24;
/// How many names are removed between two looks whether to go on.
const SLICE: usize = 1000;
const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Removes a directory with all in it; one that is not there is no error. `go_on` is asked now and then.
///
/// # Errors
/// Something stays: the first error, after all else has been removed; or it was told to stop.
pub(super) fn remove(path: &Path, go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
    let root = match unlocked(AT_FDCWD, path, || openat(AT_FDCWD, path, DIRECTORY, Mode::empty())) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    let device = fstat(&root)?.st_dev;
    let mut remover = Remover { root, device, go_on, left: SLICE, moved: 0, failed: None };
    loop {
        let moved = remover.moved;
        let top = remover.root.try_clone()?;
        remover.empty(top, 0)?;
        if remover.moved == moved {
            break;
        }
    }
    match remover.failed {
        Some(error) => Err(error.into()),
        None => Ok(std::fs::remove_dir(path)?),
    }
}

struct Remover<'a> {
    root: OwnedFd,
    device: u64,
    go_on: &'a mut dyn FnMut() -> bool,
    left: usize,
    /// How many directories were moved up.
    moved: u64,
    failed: Option<Errno>,
}

impl Remover<'_> {
    /// Removes what is in a directory, as far as it can be.
    fn empty(&mut self, directory: OwnedFd, depth: usize) -> io::Result<()> {
        // The listing has a descriptor of its own: the position in it is not shared.
        let mut listing = Dir::from_fd(openat(&directory, ".", DIRECTORY, Mode::empty())?)?;
        for entry in listing.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.look()?;
            let is_directory = match entry.file_type() {
                Some(kind) => kind == Type::Directory,
                None => fstatat(&directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| is_directory(&stat)),
            };
            if !is_directory {
                self.note(unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir));
            } else if depth < MAX_DEPTH {
                match self.enter(&directory, name) {
                    Ok(below) => {
                        self.empty(below, depth + 1)?;
                        // What is not empty has been noted.
                        match unlinkat(&directory, name, UnlinkatFlags::RemoveDir) {
                            Err(Errno::ENOTEMPTY) if self.failed.is_some() => {}
                            other => self.note(other),
                        }
                    }
                    Err(error) => self.note(Err(error)),
                }
            } else {
                let up = format!(".meseta-removed-{}", self.moved);
                self.moved += 1;
                let outcome =
                    unlocked(directory.as_fd(), name, || renameat(&directory, name, &self.root, up.as_str()));
                if outcome.is_err() {
                    // Else it would be tried again without end.
                    self.moved -= 1;
                }
                self.note(outcome);
            }
        }
        Ok(())
    }

    /// Opens a directory of this file system; a bind mount is none, where the kernel can tell.
    fn enter(&self, above: &OwnedFd, name: &std::ffi::CStr) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let how = OpenHow::new().flags(DIRECTORY).resolve(resolve);
        let below = unlocked(above.as_fd(), name, || match openat2(above, name, how) {
            Err(Errno::ENOSYS | Errno::EPERM) => openat(above, name, DIRECTORY, Mode::empty()),
            other => other,
        })?;
        if fstat(&below)?.st_dev == self.device { Ok(below) } else { Err(Errno::EXDEV) }
    }

    fn look(&mut self) -> io::Result<()> {
        if self.left == 0 {
            self.left = SLICE;
            if !(self.go_on)() {
                return Err(io::Error::other("the agent ends"));
            }
        }
        self.left -= 1;
        Ok(())
    }

    fn note(&mut self, outcome: Result<(), Errno>) {
        match outcome {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => self.failed = self.failed.or(Some(error)),
        }
    }
}

/// Does something with a directory, which is unlocked where that is in the way; and so that what is in it can be removed.
fn unlocked<T, P: NixPath + ?Sized>(
    above: BorrowedFd<'_>,
    name: &P,
    work: impl Fn() -> Result<T, Errno>,
) -> Result<T, Errno> {
    let about = fstatat(above, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let locked = is_directory(&about) && about.st_mode & Mode::S_IRWXU.bits() != Mode::S_IRWXU.bits();
    if locked && !os::is_root() {
        fchmodat(above, name, Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)?;
    }
    work()
}

fn is_directory(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    fn place() -> (tempfile::TempDir, std::path::PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("run");
        fs::create_dir(&run).unwrap();
        (place, run)
    }

    #[test]
    fn a_tree_is_removed_and_what_its_links_lead_to_stays() {
        let (place, run) = place();
        fs::create_dir(place.path().join("beside")).unwrap();
        fs::write(place.path().join("beside/file"), "").unwrap();
        symlink("../beside", run.join("link")).unwrap();
        symlink("/nowhere", run.join("dangling")).unwrap();
        fs::create_dir_all(run.join("a/b/c")).unwrap();
        for number in 0..3000 {
            fs::write(run.join(format!("a/b/{number}")), "").unwrap();
        }
        let mut looks = 0;
        remove(&run, &mut || {
            looks += 1;
            true
        })
        .unwrap();
        assert!(!run.exists() && place.path().join("beside/file").exists());
        assert!(looks >= 3);
        remove(&run, &mut || true).unwrap();
    }

    #[test]
    fn depth_needs_neither_descriptors_nor_a_stack() {
        let (_place, run) = place();
        let mut here = openat(AT_FDCWD, &run, DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..2_000 {
            nix::sys::stat::mkdirat(&here, "d", Mode::S_IRWXU).unwrap();
            here = openat(&here, "d", DIRECTORY, Mode::empty()).unwrap();
        }
        remove(&run, &mut || true).unwrap();
        assert!(!run.exists());
    }

    /// As root it is done over again as another user, for root is let in everywhere.
    #[test]
    fn what_a_task_has_locked_is_removed_by_an_agent_that_is_not_root() {
        use std::os::unix::process::CommandExt;

        if os::is_root() {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args([
                "--exact",
                "sandbox_gc::remove::tests::what_a_task_has_locked_is_removed_by_an_agent_that_is_not_root",
            ]);
            match command.current_dir("/").env("TMPDIR", "/tmp").uid(65534).gid(65534).output() {
                Err(error) => println!("SKIPPED: another user can't run this test: {error}"),
                Ok(output) => {
                    let said = String::from_utf8_lossy(&output.stdout);
                    assert!(output.status.success() && said.contains("1 passed"), "{said}");
                }
            }
            return;
        }
        let (_place, run) = place();
        let deep: String = "d/".repeat(2 * MAX_DEPTH);
        fs::create_dir_all(run.join("closed/below")).unwrap();
        fs::create_dir_all(run.join(&deep)).unwrap();
        fs::write(run.join("closed/below/file"), "").unwrap();
        let lock = |name: &str, mode| {
            fs::set_permissions(run.join(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        lock("closed/below", 0o555);
        lock("closed", 0);
        for depth in (1..=2 * MAX_DEPTH).rev() {
            lock(&"d/".repeat(depth), 0o555);
        }
        lock("", 0);
        remove(&run, &mut || true).unwrap();
        assert!(!run.exists());
    }

    #[test]
    fn it_stops_when_told_to_and_goes_on_later() {
        let (_place, run) = place();
        for number in 0..2500 {
            fs::write(run.join(number.to_string()), "").unwrap();
        }
        assert!(remove(&run, &mut || false).is_err());
        assert!(run.exists());
        remove(&run, &mut || true).unwrap();
        assert!(!run.exists());
    }

    #[test]
    fn what_is_mounted_inside_stays_as_it_is() {
        let (place, run) = place();
        fs::create_dir(place.path().join("beside")).unwrap();
        fs::write(place.path().join("beside/file"), "").unwrap();
        fs::create_dir(run.join("mounted")).unwrap();
        fs::write(run.join("other"), "").unwrap();
        let mount = |what: &[&str]| {
            Command::new(what[0]).args(&what[1..]).status().is_ok_and(|status| status.success())
        };
        let (from, to) = (place.path().join("beside"), run.join("mounted"));
        if !mount(&["mount", "--bind", from.to_str().unwrap(), to.to_str().unwrap()]) {
            println!("SKIPPED: mounting needs root");
            return;
        }
        let outcome = remove(&run, &mut || true);
        assert!(mount(&["umount", to.to_str().unwrap()]));
        assert!(outcome.is_err());
        assert!(from.join("file").exists() && !run.join("other").exists());
        remove(&run, &mut || true).unwrap();
    }

    #[test]
    fn what_can_not_be_removed_is_an_error_and_the_rest_is_removed() {
        let (_place, run) = place();
        fs::create_dir_all(run.join("d/e")).unwrap();
        fs::write(run.join("d/stays"), "").unwrap();
        fs::write(run.join("d/e/goes"), "").unwrap();
        let change = |how: &str| {
            Command::new("chattr")
                .arg(how)
                .arg(run.join("d/stays"))
                .status()
                .is_ok_and(|status| status.success())
        };
        if !change("+i") {
            println!("SKIPPED: chattr needs root and a file system that has it");
            return;
        }
        let outcome = remove(&run, &mut || true);
        assert!(change("-i"));
        assert_eq!(outcome.unwrap_err().raw_os_error(), Some(Errno::EPERM as i32));
        assert!(!run.join("d/e").exists());
        remove(&run, &mut || true).unwrap();
    }
}
