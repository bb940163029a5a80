//! The process that copies itself for each container.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, RecvMsg, recvmsg, send};

use crate::containerizer::syscalls;
use crate::os;

/// What has come of it.
pub(super) enum Served {
    /// The agent is gone.
    Over,
    /// This is the first process of a container.
    Child {
        /// Where the agent speaks.
        stream: UnixStream,
        /// `/dev/null`.
        null: File,
    },
}

/// One request.
struct Request {
    flags: u64,
    stream: OwnedFd,
    cgroup: Option<OwnedFd>,
}

/// Serves until the agent is gone; returns in each process that it makes, too.
///
/// # Errors
/// The standard input is no such socket, or there is more than one thread.
pub(super) fn serve() -> io::Result<Served> {
    if std::fs::read_dir("/proc/self/task")?.count() > 1 {
        return Err(io::Error::other("a process with several threads can't be copied"));
    }
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    // Nothing that runs in a container may find the socket where it looks first.
    os::replace_input(&null)?;
    // Signals that a terminal sends to the agent are not for this one.
    os::new_session()?;
    // Where randomness comes from is found out once, and known to all copies.
    let _ = libactor::entropy();
    while let Some(request) = receive(&control)? {
        let made = syscalls::clone_process(request.flags, request.cgroup.as_ref().map(AsFd::as_fd));
        let answer = match made {
            Ok(None) => return Ok(Served::Child { stream: request.stream.into(), null }),
            Ok(Some(pid)) => pid,
            Err(error) => -error.raw_os_error().unwrap_or(nix::errno::Errno::EIO as i32),
        };
        if send(control.as_raw_fd(), &answer.to_le_bytes(), MsgFlags::MSG_NOSIGNAL).is_err() {
            break;
        }
    }
    Ok(Served::Over)
}

/// The next request; `None`: the agent is gone.
fn receive(control: &OwnedFd) -> io::Result<Option<Request>> {
    let mut words = [0; 8];
    let mut rights = nix::cmsg_space!([i32; 2]);
    let mut parts = [IoSliceMut::new(&mut words)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message: RecvMsg<'_, '_, ()> = recvmsg(control.as_raw_fd(), &mut parts, Some(&mut rights), flags)?;
    if message.bytes == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = part {
            descriptors.extend(received.into_iter().map(syscalls::received));
        }
    }
    let whole = message.bytes == 8;
    let mut descriptors = descriptors.into_iter();
    match descriptors.next() {
        Some(stream) if whole => {
            Ok(Some(Request { flags: u64::from_le_bytes(words), stream, cgroup: descriptors.next() }))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
