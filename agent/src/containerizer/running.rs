//! The first process of a container, as long as it runs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::identity;
use super::records::ContainerRecord;
use super::syscalls;
use crate::os::{self, Child};

/// A first process, by its descriptor: nothing is ever done to another one that has got its id.
#[derive(Debug)]
pub(super) struct Running {
    /// What is kept of it.
    pub(super) record: ContainerRecord,
    process: AsyncFd<OwnedFd>,
}

impl Running {
    /// Opens the process that a record is about. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// There is none any more.
    pub(super) fn open(record: ContainerRecord) -> io::Result<Self> {
        let process = syscalls::open_process(record.pid)?;
        #[allow(
            deprecated,
            reason = "its successor is unsafe for the sake of types that lie about their descriptor"
        )]
        let process = AsyncFd::with_interest(process, Interest::READABLE)?;
        Ok(Self { record, process })
    }

    pub(super) fn pid(&self) -> i32 {
        self.record.pid
    }

    /// Kills it; one that has ended needs none.
    pub(super) fn kill(&self) {
        syscalls::kill_process(self.process.get_ref().as_fd());
    }

    /// Waits for its end: its exit status, or 128 + signal; `None`: nobody can tell any more. Cancel safe.
    pub(super) async fn wait(&mut self) -> io::Result<Option<i32>> {
        loop {
            let mut ready = self.process.readable().await?;
            match os::reap_status(self.record.pid)? {
                Child::Ended(status) => return Ok(Some(status)),
                Child::Stranger => return Ok(self.status_of_stranger()),
                Child::Lives => ready.clear_ready(),
            }
        }
    }

    /// How it has ended, where its parent was an earlier life of the agent.
    fn status_of_stranger(&self) -> Option<i32> {
        let ContainerRecord { pid, began, .. } = self.record;
        // Who has adopted it may reap it at any moment; from then on its descriptor tells.
        let unreaped = os::is_root().then(|| identity::unreaped(pid, began)).flatten();
        let status = unreaped.or_else(|| syscalls::exit_of(self.process.get_ref().as_fd()));
        status.map(identity::exit_status)
    }
}
