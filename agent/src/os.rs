//! The door to the operating system: the one file that imports `nix`.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::signal::{self, Signal};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{self, Gid, Pid, SysconfVar, Uid, User};

/// Whether this process may do what root may.
pub(crate) fn is_root() -> bool {
    unistd::geteuid().is_root()
}

/// Makes the calling process the leader of a new session.
pub(crate) fn new_session() -> io::Result<()> {
    unistd::setsid()?;
    Ok(())
}

/// Puts files in the place of the three standard streams.
pub(crate) fn replace_streams(input: impl AsFd, output: impl AsFd, error: impl AsFd) -> io::Result<()> {
    unistd::dup2_stdin(input)?;
    unistd::dup2_stdout(output)?;
    unistd::dup2_stderr(error)?;
    Ok(())
}

/// A user of this machine.
pub(crate) struct Account {
    name: CString,
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// Looks a user up by name.
    pub(crate) fn find(name: &str) -> io::Result<Option<Self>> {
        let Some(user) = User::from_name(name)? else { return Ok(None) };
        let name = CString::new(name)?;
        Ok(Some(Self { name, uid: user.uid, gid: user.gid }))
    }

    /// Whether the calling process runs as this user already.
    pub(crate) fn is_current(&self) -> bool {
        unistd::geteuid() == self.uid
    }

    /// Gives a file to the user.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        unistd::chown(path, Some(self.uid), Some(self.gid))?;
        Ok(())
    }

    /// Becomes this user, for good.
    pub(crate) fn become_it(&self) -> io::Result<()> {
        unistd::initgroups(&self.name, self.gid)?;
        unistd::setgid(self.gid)?;
        unistd::setuid(self.uid)?;
        Ok(())
    }
}

/// Asks that processes whose parent ends become children of this one.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    Ok(())
}

/// Sends SIGSTOP; a process that is gone needs none.
pub(crate) fn stop(pid: i32) {
    let _ = signal::kill(Pid::from_raw(pid), Signal::SIGSTOP);
}

/// Sends SIGKILL; a process that is gone needs none.
pub(crate) fn kill(pid: i32) {
    let _ = signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// A child that has ended and waits to be reaped, if there is one.
pub(crate) fn ended_child() -> Option<i32> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, flags) {
        Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => Some(pid.as_raw()),
        _ => None,
    }
}

/// Reaps a child that has ended.
pub(crate) fn reap(pid: i32) {
    let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
}

/// Bytes that an unprivileged user may still write to the file system of a path, and its whole size.
pub(crate) fn disk_space(path: &Path) -> io::Result<(u64, u64)> {
    let disk = nix::sys::statvfs::statvfs(path)?;
    let block = disk.fragment_size();
    Ok((disk.blocks_available() * block, disk.blocks() * block))
}

/// The name of this machine.
pub(crate) fn hostname() -> io::Result<String> {
    let name = unistd::gethostname()?;
    Ok(name.to_string_lossy().into_owned())
}

/// How many clock ticks of `/proc` make a second.
pub(crate) fn ticks_per_second() -> u64 {
    setting(SysconfVar::CLK_TCK, 100)
}

/// Bytes of a page of memory.
pub(crate) fn page_bytes() -> u64 {
    setting(SysconfVar::PAGE_SIZE, 4096)
}

fn setting(name: SysconfVar, usual: u64) -> u64 {
    let said = unistd::sysconf(name).ok().flatten();
    said.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(usual)
}
