//! The agent's side of the process that makes the containers' first processes: see [`super::launch`].
//!
//! It is started with the containerizer and ends with it. Where it has been killed the next launch starts it again.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, sendmsg, setsockopt, socketpair,
    sockopt::ReceiveTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::isolation::LaunchPlan;
use super::posix;
use super::syscalls::{CLONE_NEWIPC, CLONE_NEWNS, CLONE_NEWPID, CLONE_PARENT};

/// How long an answer may take before the launcher counts as stopped by somebody. Ours: it takes a millisecond.
const PATIENCE_SECONDS: i64 = 10;

/// Why there is no new process.
#[derive(Debug, thiserror::Error)]
pub(super) enum ZygoteError {
    #[error("can't start the launcher '{program}': {source}")]
    Start { program: String, source: io::Error },
    #[error("can't speak with the launcher: {0}")]
    Speak(io::Error),
    #[error("can't open the container's cgroup: {0}")]
    Cgroup(io::Error),
    #[error("can't make the container's process: {0}")]
    Clone(io::Error),
}

/// Makes first processes of containers, one after another.
#[derive(Debug)]
pub(super) struct Zygote {
    launcher: Vec<OsString>,
    /// Absent: it is to be started.
    live: Mutex<Option<Live>>,
}

#[derive(Debug)]
struct Live {
    /// Each request is one message, and so is each answer.
    socket: OwnedFd,
    child: Child,
}

impl Drop for Live {
    fn drop(&mut self) {
        // It has nothing to put in order, and may have been stopped. One that has ended needs none.
        let _ = self.child.kill();
        let _ = self.child.wait();
        posix::leave(self.child.id().cast_signed());
    }
}

impl Zygote {
    /// Starts it; where that fails the first launch says why.
    pub(super) fn new(launcher: Vec<OsString>) -> Self {
        let live = Live::start(&launcher).ok();
        Self { launcher, live: Mutex::new(live) }
    }

    /// Makes a process, a child of this one, that is told through `stream` what to be. May block.
    pub(super) fn make(
        &self,
        plan: &LaunchPlan,
        tree: Option<&Path>,
        stream: &UnixStream,
    ) -> Result<i32, ZygoteError> {
        let cgroup = tree.map(File::open).transpose().map_err(ZygoteError::Cgroup)?;
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = live.as_ref() {
            match known.ask(flags(plan), cgroup.as_ref(), stream) {
                // Whatever went wrong between the two: an answer that comes late must not be taken for the next one's.
                Err(ZygoteError::Speak(_)) => drop(live.take()),
                outcome => return outcome,
            }
        }
        let new = live.insert(Live::start(&self.launcher)?);
        new.ask(flags(plan), cgroup.as_ref(), stream)
    }
}

/// Calls until no signal has come between: a socket with a timeout is not called again by the system.
fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> Result<T, ZygoteError> {
    loop {
        match call() {
            Err(nix::Error::EINTR) => {}
            outcome => return outcome.map_err(|error| ZygoteError::Speak(error.into())),
        }
    }
}

/// What the new process has of its own.
fn flags(plan: &LaunchPlan) -> u64 {
    let wanted = plan.namespaces;
    let flag = |wanted: bool, flag: u64| if wanted { flag } else { 0 };
    CLONE_PARENT
        | flag(wanted.pid, CLONE_NEWPID)
        | flag(wanted.ipc, CLONE_NEWIPC)
        | flag(plan.has_mounts(), CLONE_NEWNS)
}

impl Live {
    fn start(launcher: &[OsString]) -> Result<Self, ZygoteError> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (own, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)
            .map_err(|error| ZygoteError::Speak(error.into()))?;
        let patience = TimeVal::seconds(PATIENCE_SECONDS);
        setsockopt(&own, ReceiveTimeout, &patience).map_err(|error| ZygoteError::Speak(error.into()))?;
        let mut command = Command::new(&launcher[0]);
        // Nothing of the agent's environment is for containers.
        command.args(&launcher[1..]).env_clear().stdin(its).stdout(Stdio::null());
        let program = || launcher[0].to_string_lossy().into_owned();
        let child = posix::launching(|| {
            let child = command.spawn()?;
            let pid = child.id().cast_signed();
            Ok((child, pid))
        })
        .map_err(|source| ZygoteError::Start { program: program(), source })?;
        Ok(Self { socket: own, child })
    }

    fn ask(&self, flags: u64, cgroup: Option<&File>, stream: &UnixStream) -> Result<i32, ZygoteError> {
        let mut descriptors = vec![stream.as_raw_fd()];
        descriptors.extend(cgroup.map(AsRawFd::as_raw_fd));
        let words = flags.to_le_bytes();
        let parts = [IoSlice::new(&words)];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let socket = self.socket.as_fd().as_raw_fd();
        posix::launching(|| {
            uninterrupted(|| sendmsg::<()>(socket, &parts, &rights, MsgFlags::MSG_NOSIGNAL, None))?;
            let mut answer = [0; 4];
            match uninterrupted(|| recv(socket, &mut answer, MsgFlags::empty()))? {
                4 => {}
                _ => return Err(ZygoteError::Speak(io::ErrorKind::UnexpectedEof.into())),
            }
            match i32::from_le_bytes(answer) {
                pid if pid > 0 => Ok((pid, pid)),
                error => Err(ZygoteError::Clone(io::Error::from_raw_os_error(-error))),
            }
        })
    }
}
