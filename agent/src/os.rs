//! What the system alone can tell or do, for all of this crate: who this is, its children, its disk, its name.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::signal::{self, Signal};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{self, Pid, SysconfVar};

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

/// Puts a file in the place of the standard input.
pub(crate) fn replace_input(input: impl AsFd) -> io::Result<()> {
    unistd::dup2_stdin(input)?;
    Ok(())
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

/// Waits for the next child that ends; which, and its exit status, or 128 + signal.
pub(crate) fn reap_next() -> io::Result<(i32, i32)> {
    loop {
        match waitpid(None, None)? {
            WaitStatus::Exited(pid, status) => return Ok((pid.as_raw(), status)),
            WaitStatus::Signaled(pid, signal, _) => return Ok((pid.as_raw(), 128 + signal as i32)),
            _ => {}
        }
    }
}

/// Reaps a child if it has ended.
pub(crate) fn reap_status(pid: i32) -> io::Result<Child> {
    match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, status)) => Ok(Child::Ended(status)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Child::Ended(128 + signal as i32)),
        Ok(_) => Ok(Child::Lives),
        Err(nix::Error::ECHILD) => Ok(Child::Stranger),
        Err(error) => Err(error.into()),
    }
}

/// What a process is to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Child {
    /// It has ended with an exit status, or 128 + signal.
    Ended(i32),
    /// It has not ended.
    Lives,
    /// It is none of its children, or was one.
    Stranger,
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
