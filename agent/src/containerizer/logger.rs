//! Bounds what a container's processes write to their standard output and error: `--container_logger`.
//!
//! `stdout` and `stderr` are plain files that the processes append to themselves: nobody stands between, and they write on
//! while the agent is away. One thread looks at their sizes. From a file that has grown to its limit the oldest part is taken
//! away: it is copied to `stdout.1`, the older of which become `stdout.2` and so on, and then cut out of the file's beginning
//! (`FALLOC_FL_COLLAPSE_RANGE`: ext4, xfs), so that nothing that is written meanwhile is lost. Where the file system can't, the
//! file is made empty.
//!
//! A sandbox belongs to a stranger: nothing is followed, and only files that are its user's alone are touched.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FallocateFlags, OFlag, fallocate, openat, renameat};
use nix::sys::stat::{Mode, fchmod, lstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use protocol::ContainerId;

/// How often sizes are looked at: for all files together, and more for each of them. Ours.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_PER_FILE: Duration = Duration::from_micros(500);
/// How soon after a file was found to be too large, or to grow fast, it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How much is copied at once, bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// Least limit, bytes: a part of a file is cut out in whole blocks.
const MIN_BYTES: u64 = 64 << 10;

/// Settings of the logger, with the defaults of their flags.
#[derive(Clone, Copy, Debug)]
pub struct LoggerSettings {
    /// `--container_logger`: whether sizes are bounded.
    pub bounded: bool,
    /// `--max_stdout_size`, bytes.
    pub stdout_bytes: u64,
    /// `--max_stderr_size`, bytes.
    pub stderr_bytes: u64,
    /// `--max_log_files`: how many older parts are kept beside each.
    pub older: u64,
}

impl Default for LoggerSettings {
    fn default() -> Self {
        Self { bounded: true, stdout_bytes: 10 << 20, stderr_bytes: 10 << 20, older: 1 }
    }
}

/// Watches the output of containers until it is dropped.
#[derive(Debug)]
pub struct Logger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: LoggerSettings,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    sandboxes: BTreeMap<ContainerId, PathBuf>,
    /// Those that are looked at once more.
    over: Vec<PathBuf>,
    ended: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.sandboxes.is_empty() && self.over.is_empty()
    }
}

impl Logger {
    /// Begins.
    ///
    /// # Errors
    /// There can be no thread for it.
    pub fn new(settings: LoggerSettings) -> io::Result<Self> {
        let shared = Arc::new(Shared { settings, state: Mutex::default(), changed: Condvar::new() });
        if settings.bounded {
            let shared = shared.clone();
            std::thread::Builder::new().name("logger".into()).spawn(move || shared.watch())?;
        }
        Ok(Self(shared))
    }

    /// A container writes into this sandbox from now on.
    pub fn watch(&self, container_id: &ContainerId, sandbox: &Path) {
        if self.0.settings.bounded {
            let mut state = self.0.lock();
            let idle = state.is_idle();
            state.sandboxes.insert(container_id.clone(), sandbox.to_owned());
            // A thread that has others to look at comes by in its time: many starts must not make it look at all for each.
            if idle {
                self.0.changed.notify_one();
            }
        }
    }

    /// It is over.
    pub fn leave(&self, container_id: &ContainerId) {
        let mut state = self.0.lock();
        if let Some(sandbox) = state.sandboxes.remove(container_id) {
            state.over.push(sandbox);
        }
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut hot = false;
        let mut before: BTreeMap<PathBuf, i64> = BTreeMap::new();
        loop {
            let idle = |state: &mut State| !state.ended && state.is_idle();
            let mut state =
                self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            let files = u32::try_from(2 * state.sandboxes.len()).unwrap_or(u32::MAX);
            let pause = if hot { LOOK_AGAIN } else { LOOK.max(LOOK_PER_FILE * files) };
            let waited = self.changed.wait_timeout_while(state, pause, |state| !state.ended);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.ended {
                return;
            }
            let mut sandboxes = std::mem::take(&mut state.over);
            sandboxes.extend(state.sandboxes.values().cloned());
            drop(state);
            hot = false;
            let mut sizes = BTreeMap::new();
            for sandbox in sandboxes {
                let seen = sandbox.clone();
                sizes.extend(
                    ["stdout", "stderr"].iter().filter_map(|name| before.remove_entry(&seen.join(name))),
                );
                hot |= self.look(&sandbox, &mut sizes);
            }
            before = sizes;
        }
    }

    /// Whether one of its files is too large, or may soon be.
    fn look(&self, sandbox: &Path, sizes: &mut BTreeMap<PathBuf, i64>) -> bool {
        let settings = &self.settings;
        let mut any = false;
        for (name, most) in [("stdout", settings.stdout_bytes), ("stderr", settings.stderr_bytes)] {
            let most = most.max(MIN_BYTES);
            let path = sandbox.join(name);
            // One that is not there has not been made yet, or is the task's to remove.
            let Ok(about) = lstat(&path) else { continue };
            let most_size = i64::try_from(most).unwrap_or(i64::MAX);
            let before = sizes.insert(path.clone(), about.st_size).unwrap_or_default();
            // One that grows fast is looked at soon, before it is too large.
            any |= about.st_size - before > most_size / 16;
            if about.st_size > most_size {
                any = true;
                if let Err(error) = bound(sandbox, name, most, settings.older) {
                    tracing::debug!(path = %path.display(), %error, "a container's output can't be bounded");
                }
            }
        }
        any
    }
}

/// Takes the oldest part of a file away.
fn bound(sandbox: &Path, name: &str, most: u64, older: u64) -> io::Result<()> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = openat(AT_FDCWD, sandbox, flags, Mode::empty())?;
    let owner = File::from(directory.try_clone()?).metadata()?.uid();
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = File::from(openat(&directory, name, flags, Mode::empty())?);
    let about = file.metadata()?;
    // Another name of somebody else's file is not the task's output.
    if !about.is_file() || about.nlink() != 1 || about.uid() != owner {
        return Err(io::Error::other("it is not the sandbox's own file"));
    }
    let block = about.blksize().max(4096);
    // What is cut out must end before the end of the file.
    let cut = about.len().saturating_sub(1) / block * block;
    if older > 0
        && let Err(error) = keep(&directory, name, &file, (cut.saturating_sub(most), cut), older)
    {
        // What a task has put in the way, or a full disk, takes the older part; the bound holds all the same.
        tracing::debug!(sandbox = %sandbox.display(), name, %error, "the older part of a container's output is not kept");
    }
    let (flags, cut) = (FallocateFlags::FALLOC_FL_COLLAPSE_RANGE, i64::try_from(cut).unwrap_or(i64::MAX));
    match fallocate(file.as_fd(), flags, 0, cut) {
        Ok(()) => Ok(()),
        Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS) => file.set_len(0),
        Err(error) => Err(error.into()),
    }
}

/// Makes a part of the file, from the first to the second offset, the newest of the older ones.
fn keep(directory: &OwnedFd, name: &str, file: &File, part: (u64, u64), older: u64) -> io::Result<()> {
    let nth = |number: u64| format!("{name}.{number}");
    for number in (1..older).rev() {
        match renameat(directory, nth(number).as_str(), directory, nth(number + 1).as_str()) {
            // What a task has put there is its own affair.
            Ok(()) | Err(Errno::ENOENT | Errno::EISDIR | Errno::ENOTDIR | Errno::ENOTEMPTY) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let newest = nth(1);
    match unlinkat(directory, newest.as_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let copy = File::from(openat(directory, newest.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    let about = file.metadata()?;
    fchown(&copy, Some(about.uid()), Some(about.gid()))?;
    fchmod(&copy, Mode::from_bits_truncate(about.mode() & 0o777))?;
    let (mut at, end) = part;
    let (begin, mut chunk) = (at, vec![0; CHUNK_BYTES]);
    while at < end {
        let wanted = CHUNK_BYTES.min(usize::try_from(end - at).unwrap_or(CHUNK_BYTES));
        let count = file.read_at(&mut chunk[..wanted], at)?;
        if count == 0 {
            break;
        }
        copy.write_all_at(&chunk[..count], at - begin)?;
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    fn settings(bytes: u64, older: u64) -> LoggerSettings {
        LoggerSettings { bounded: true, stdout_bytes: bytes, stderr_bytes: bytes, older }
    }

    fn appending(path: &Path) -> File {
        OpenOptions::new().append(true).create(true).open(path).unwrap()
    }

    #[test]
    fn what_is_kept_is_the_newest_and_nothing_is_lost_between() {
        let sandbox = tempfile::tempdir().unwrap();
        let path = sandbox.path().join("stdout");
        let mut file = appending(&path);
        let mut lines = 0;
        for _ in 0..3 {
            while file.metadata().unwrap().len() <= MIN_BYTES {
                writeln!(file, "line {lines}").unwrap();
                lines += 1;
            }
            bound(sandbox.path(), "stdout", MIN_BYTES, 2).unwrap();
            assert!(file.metadata().unwrap().len() <= 4096);
        }
        writeln!(file, "the end").unwrap();
        let read = |name: &str| fs::read_to_string(sandbox.path().join(name)).unwrap();
        let all = [read("stdout.2"), read("stdout.1"), read("stdout")].concat();
        let kept: Vec<&str> = all.lines().skip(1).collect();
        assert_eq!(*kept.last().unwrap(), "the end");
        assert!(kept.len() > 1000);
        let first: usize = kept[0].strip_prefix("line ").unwrap().parse().unwrap();
        for (number, line) in (first..).zip(&kept[..kept.len() - 1]) {
            assert_eq!(*line, format!("line {number}"));
        }
        assert!(!sandbox.path().join("stdout.3").exists());
    }

    #[test]
    fn a_writer_at_full_speed_is_bounded() {
        let sandbox = tempfile::tempdir().unwrap();
        let most = 1 << 20;
        let logger = Logger::new(settings(most, 1)).unwrap();
        logger.watch(&"c".into(), sandbox.path());
        let (mut file, chunk) = (appending(&sandbox.path().join("stdout")), vec![b'x'; 64 << 10]);
        let (mut written, mut largest) = (0u64, 0);
        while written < 256 << 20 {
            file.write_all(&chunk).unwrap();
            written += chunk.len() as u64;
            largest = largest.max(file.metadata().unwrap().len());
        }
        println!(
            "{} MB written, the file was at most {} KB beyond its limit",
            written >> 20,
            (largest - most) >> 10
        );
        logger.leave(&"c".into());
        let size = |name: &str| fs::metadata(sandbox.path().join(name)).unwrap().len();
        for _ in 0..1000 {
            if size("stdout") <= most {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        assert!(
            size("stdout") <= most && size("stdout.1") <= most,
            "{} {}",
            size("stdout"),
            size("stdout.1")
        );
    }

    #[test]
    fn what_is_not_the_sandboxs_own_file_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let sandbox = place.path().join("sandbox");
        fs::create_dir(&sandbox).unwrap();
        let secret = place.path().join("secret");
        fs::write(&secret, vec![b'x'; 1 << 20]).unwrap();
        symlink(&secret, sandbox.join("stdout")).unwrap();
        assert!(bound(&sandbox, "stdout", MIN_BYTES, 1).is_err());
        fs::hard_link(&secret, sandbox.join("stderr")).unwrap();
        assert!(bound(&sandbox, "stderr", MIN_BYTES, 1).is_err());
        assert_eq!(fs::metadata(&secret).unwrap().len(), 1 << 20);
        // A link in the place of an older part is replaced, not followed.
        fs::remove_file(sandbox.join("stdout")).unwrap();
        fs::write(sandbox.join("stdout"), vec![b'y'; 1 << 20]).unwrap();
        symlink(&secret, sandbox.join("stdout.1")).unwrap();
        bound(&sandbox, "stdout", MIN_BYTES, 1).unwrap();
        assert!(!sandbox.join("stdout.1").is_symlink());
        assert!(fs::read(&secret).unwrap().iter().all(|byte| *byte == b'x'));
    }

    #[test]
    fn what_is_in_the_way_of_an_older_part_does_not_lift_the_bound() {
        let sandbox = tempfile::tempdir().unwrap();
        fs::create_dir(sandbox.path().join("stdout.1")).unwrap();
        fs::write(sandbox.path().join("stdout"), vec![b'y'; 1 << 20]).unwrap();
        bound(sandbox.path(), "stdout", MIN_BYTES, 1).unwrap();
        assert!(sandbox.path().join("stdout.1").is_dir());
        assert!(fs::metadata(sandbox.path().join("stdout")).unwrap().len() <= 4096);
    }

    #[test]
    fn nothing_older_is_kept_where_none_is_wanted() {
        let sandbox = tempfile::tempdir().unwrap();
        fs::write(sandbox.path().join("stdout"), vec![b'y'; 1 << 20]).unwrap();
        bound(sandbox.path(), "stdout", MIN_BYTES, 0).unwrap();
        assert_eq!(fs::read_dir(sandbox.path()).unwrap().count(), 1);
        assert!(fs::metadata(sandbox.path().join("stdout")).unwrap().len() <= 4096);
    }
}
