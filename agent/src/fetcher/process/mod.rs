//! The fetcher's process: it becomes the task's user, fetches one thing, and ends.
//!
//! | module | what it holds |
//! |---|---|
//! | `download` | HTTP |
//! | `beneath` | making files in a sandbox, and nowhere else |
//! | `budget` | how much may be made |
//! | `unpack` | archives |
//!
//! It ends by itself when nothing moves for too long, and when its agent is gone.

mod beneath;
mod budget;
mod download;
#[cfg(test)]
mod hostile;
mod unpack;

pub(super) use download::TRUSTED;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use ring::digest;

use super::job::{JOB, Job, NO_ROOM, Target};
use super::uri::{Handling, Source};
use crate::account::{Account, AccountError};
use beneath::{Name, Sandbox};
use budget::{Budget, Exceeded};

/// Most memory of the process, its address space, bytes. Ours: what an archive of `xz -9` takes is an eighth of it.
const MAX_MEMORY_BYTES: u64 = 512 << 20;
/// How much is read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// How often it is looked whether something moves.
const LOOK: Duration = Duration::from_secs(1);

/// Grows with all that happens.
static PROGRESS: AtomicU64 = AtomicU64::new(0);

/// Why nothing has been fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcessError {
    #[error("this is what an agent fetches with, it is not for people")]
    NoJob,
    #[error("can't understand the work: {0}")]
    Job(#[from] serde_json::Error),
    #[error("can't open the sandbox {path}: {source}")]
    Sandbox { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("can't limit the fetcher's process: {0}")]
    Limit(io::Error),
    #[error("can't read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
    #[error("{0}")]
    Http(String),
    #[error("the transfer broke off: {0}")]
    Broken(io::Error),
    #[error("can't make '{name}' in the sandbox: {source}")]
    Make { name: String, source: io::Error },
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    #[error("its SHA-256 sum is {actual}, and {expected} was expected")]
    Sum { actual: String, expected: String },
    #[error("there is no room in the cache")]
    NoRoom,
    #[error("{0}")]
    Archive(#[from] unpack::ArchiveError),
}

/// The body of `main`.
#[allow(clippy::print_stderr, clippy::print_stdout, reason = "its parent reads them")]
pub fn main() -> ExitCode {
    match run() {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(made)) => {
            println!("{made}");
            ExitCode::SUCCESS
        }
        Err(ProcessError::NoRoom) => ExitCode::from(NO_ROOM),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Does the work; the bytes that are made in a sandbox.
fn run() -> Result<Option<u64>, ProcessError> {
    let text = std::env::var(JOB).map_err(|_| ProcessError::NoJob)?;
    let job: Job = serde_json::from_str(&text)?;
    watch(job.bounds.stall_timeout);
    let account = job.user.as_deref().map(Account::find).transpose()?.flatten();
    match &job.target {
        Target::Output => {
            let output = stream(io::stdout().as_fd())?;
            become_user(account)?;
            let mut budget = Budget::new(job.bounds.max_bytes, output.as_fd());
            match bring(&job, open(&job)?, &output, &mut budget) {
                Err(ProcessError::Exceeded(Exceeded::Bytes(_))) => Err(ProcessError::NoRoom),
                other => other.map(|()| None),
            }
        }
        Target::Sandbox { directory, name, handling } => {
            let failed = |source| ProcessError::Sandbox { path: directory.clone(), source };
            let sandbox = Sandbox::open(directory).map_err(failed)?;
            if let Some(account) = &account {
                account.own_directory(directory).map_err(failed)?;
            }
            become_user(account)?;
            let mut budget = Budget::new(job.bounds.max_bytes, sandbox.as_fd());
            put(&job, &sandbox, name, *handling, &mut budget)?;
            Ok(Some(budget.used()))
        }
    }
}

/// From here on nothing can be done that the user could not do, and little that needs much memory.
fn become_user(account: Option<Account>) -> Result<(), ProcessError> {
    umask(Mode::from_bits_truncate(0o022));
    if let Some(account) = account {
        account.become_it()?;
    }
    for (limit, most) in [(Resource::RLIMIT_AS, MAX_MEMORY_BYTES), (Resource::RLIMIT_CORE, 0)] {
        setrlimit(limit, most, most).map_err(|error| ProcessError::Limit(error.into()))?;
    }
    Ok(())
}

/// Puts it into the sandbox as it is to be handled.
fn put(
    job: &Job,
    sandbox: &Sandbox,
    name: &str,
    handling: Handling,
    budget: &mut Budget<'_>,
) -> Result<(), ProcessError> {
    let failed = |source| ProcessError::Make { name: name.to_owned(), source };
    let place = Name::of(name.as_bytes()).map_err(|why| failed(io::Error::other(why)))?;
    let Handling::Unpack(archive) = handling else {
        let mode = if handling == Handling::Executable { 0o755 } else { 0o644 };
        let file = sandbox.create(&place, mode).map_err(failed)?;
        return bring(job, open(job)?, &file, budget).inspect_err(|_| sandbox.remove(&place));
    };
    let packed = if job.source.is_some() {
        let file = sandbox.create(&place, 0o644).map_err(failed)?;
        bring(job, open(job)?, &file, budget).inspect_err(|_| sandbox.remove(&place))?;
        sandbox.read(&place).map_err(failed)?
    } else {
        stream(io::stdin().as_fd())?
    };
    Ok(unpack::unpack(archive, packed, &place, sandbox, budget)?)
}

fn stream(descriptor: std::os::fd::BorrowedFd<'_>) -> Result<File, ProcessError> {
    let owned: OwnedFd = descriptor.try_clone_to_owned().map_err(ProcessError::Broken)?;
    Ok(File::from(owned))
}

/// Opens where it comes from.
fn open(job: &Job) -> Result<Box<dyn Read>, ProcessError> {
    match &job.source {
        None => Ok(Box::new(stream(io::stdin().as_fd())?)),
        Some(Source::Http(url)) => download::open(url, job.bounds.stall_timeout),
        Some(Source::File(path)) => Ok(Box::new(open_file(path)?)),
    }
}

fn open_file(path: &Path) -> Result<File, ProcessError> {
    let failed = |source| ProcessError::Read { path: path.to_owned(), source };
    // Neither a fifo nor a terminal makes this wait.
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
    match file.metadata().map_err(failed)?.is_file() {
        true => Ok(file),
        false => Err(ProcessError::NotAFile(path.to_owned())),
    }
}

/// Copies all of it, and compares its sum where one is wanted.
fn bring(
    job: &Job,
    mut from: Box<dyn Read>,
    mut to: &File,
    budget: &mut Budget<'_>,
) -> Result<(), ProcessError> {
    let mut sum = job.sha256.is_some().then(|| digest::Context::new(&digest::SHA256));
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ProcessError::Broken(error)),
        };
        moved();
        budget.take(count as u64)?;
        if let Some(sum) = &mut sum {
            sum.update(&chunk[..count]);
        }
        let failed = |source| ProcessError::Make { name: "the file".into(), source };
        to.write_all(&chunk[..count]).map_err(failed)?;
    }
    if let (Some(sum), Some(expected)) = (sum, &job.sha256) {
        let actual: String = sum.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if actual != *expected {
            return Err(ProcessError::Sum { actual, expected: expected.clone() });
        }
    }
    Ok(())
}

/// Something has happened.
fn moved() {
    PROGRESS.fetch_add(1, Ordering::Relaxed);
}

/// Ends the process when nothing happens for so long, or when nobody waits for it any more.
#[allow(clippy::print_stderr, reason = "its parent reads it")]
fn watch(stall_timeout: Duration) {
    let parent = parent_id();
    std::thread::spawn(move || {
        let (mut seen, mut still) = (0, Duration::ZERO);
        loop {
            std::thread::park_timeout(LOOK);
            if parent_id() != parent {
                std::process::exit(1);
            }
            let now = PROGRESS.load(Ordering::Relaxed);
            still = if now == seen { still + LOOK } else { Duration::ZERO };
            seen = now;
            // What the transfer itself has to say of its delay comes first.
            if still > stall_timeout + LOOK {
                eprintln!("nothing came for {} seconds", stall_timeout.as_secs());
                std::process::exit(1);
            }
        }
    });
}
