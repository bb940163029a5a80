//! Copies what a task writes into its sandbox to this process's own output, as it comes.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// How much is copied at a time, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Follows the two files of a sandbox on a thread of its own, which sleeps while nothing is written.
#[derive(Debug)]
pub struct Follower {
    /// Closed when nothing more will be written.
    open: PipeWriter,
    thread: JoinHandle<io::Result<()>>,
}

impl Follower {
    /// Begins at the beginning of `stdout` and `stderr` of a sandbox.
    ///
    /// # Errors
    /// The files aren't there or can't be watched, or there is no thread to be had.
    pub fn start(sandbox: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let watched = |name: &str| {
            let path = sandbox.join(name);
            inotify.add_watch(&path, AddWatchFlags::IN_MODIFY)?;
            File::open(path)
        };
        let files = [watched("stdout")?, watched("stderr")?];
        let (closed, open) = io::pipe()?;
        let thread = std::thread::Builder::new()
            .name("output".into())
            .spawn(move || follow(&inotify, &closed, files))?;
        Ok(Self { open, thread })
    }

    /// Copies what is left, now that nothing more will be written.
    ///
    /// # Errors
    /// A file can't be read, or this process's output is closed.
    pub fn finish(self) -> io::Result<()> {
        drop(self.open);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that copies output has panicked")))
    }
}

fn follow(inotify: &Inotify, closed: &PipeReader, [mut stdout, mut stderr]: [File; 2]) -> io::Result<()> {
    let mut ended = false;
    loop {
        copy_rest(&mut stdout, &mut io::stdout().lock())?;
        copy_rest(&mut stderr, &mut io::stderr().lock())?;
        if ended {
            return Ok(());
        }
        let mut waited =
            [PollFd::new(inotify.as_fd(), PollFlags::POLLIN), PollFd::new(closed.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waited, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        ended = waited[1].revents().is_some_and(|events| !events.is_empty());
        // What has changed does not matter: both files are read to their ends.
        match inotify.read_events() {
            Ok(_) | Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn copy_rest(file: &mut File, to: &mut impl Write) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            return to.flush();
        }
        to.write_all(&chunk[..length])?;
    }
}
