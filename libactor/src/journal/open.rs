//! Work with a sled that may be damaged: it may fail, panic, or never come back.

use std::any::Any;
use std::cell::RefCell;
use std::env;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Once};
use std::thread;
use std::time::Duration;

use super::error::{Fault, JournalError, While};

/// A damaged sled may go round in circles: so long may one step of reading the journal take.
const STALL: Duration = Duration::from_secs(300);

/// How often sled's lock is tried, and how long after one another: 5 s in all.
const LOCK_TRIES: u32 = 500;

/// How often any other lock is.
const FILE_LOCK_TRIES: u32 = 100;

/// As above.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The sentence for an operator to whom a directory turns out to be damaged, with the way out.
pub type Words = Arc<dyn Fn(&Fault) -> String + Send + Sync>;

/// Counts steps, so that standing still is seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    pub(super) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn steps(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Does something with the sled of this directory, on a thread of its own: a panic there, or standing still, is damage.
pub(super) fn guarded<T: Send + 'static>(
    home: &Path,
    words: &Words,
    work: impl FnOnce(&Progress) -> Result<T, sled::Error> + Send + 'static,
) -> Result<T, JournalError> {
    let progress = Progress::default();
    let (sender, receiver) = mpsc::sync_channel(1);
    let (steps, words) = (progress.clone(), words.clone());
    let opener = move || {
        let done = caught(&words, AssertUnwindSafe(|| work(&steps)));
        // Nobody listens any more when this took too long.
        let _ = sender.send(done);
    };
    thread::Builder::new().name("disk-open".to_owned()).spawn(opener).while_doing("open", home)?;
    let mut seen = 0;
    loop {
        match receiver.recv_timeout(STALL) {
            Ok(Ok(Ok(done))) => return Ok(done),
            Ok(Ok(Err(error))) => return Err(refused(error, home)),
            Ok(Err(panic)) => return Err(Fault::Damaged(format!("sled panics on it: {panic}")).at(home)),
            Err(RecvTimeoutError::Timeout) if progress.steps() > seen => seen = progress.steps(),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let what =
                    format!("sled does not come to an end with it; after {seen} values it stands still");
                return Err(Fault::Damaged(what).at(home));
            }
        }
    }
}

/// Opens a sled of which we know that nobody else uses it: its lock is let go of a moment after its last user is gone, since its
/// own threads hold it.
pub(super) fn patiently(open: impl Fn() -> Result<sled::Db, sled::Error>) -> Result<sled::Db, sled::Error> {
    for _ in 0..LOCK_TRIES {
        match open() {
            Err(sled::Error::Io(error)) if is_locked(&error) => thread::park_timeout(LOCK_PAUSE),
            done => return done,
        }
    }
    open()
}

/// Locks a file for this process. One that is just ending, or was begun a moment ago and is not yet its own program, holds what
/// another has let go of: it is waited for, a second at most.
///
/// # Errors
/// Another process has it, or the system refuses.
pub fn lock(file: &File) -> Result<(), TryLockError> {
    for _ in 0..FILE_LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::park_timeout(LOCK_PAUSE),
            done => return done,
        }
    }
    file.try_lock()
}

/// sled has no error of its own for it.
fn is_locked(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn refused(error: sled::Error, home: &Path) -> JournalError {
    match error {
        sled::Error::Io(error) if is_locked(&error) => JournalError::InUse { directory: home.to_owned() },
        sled::Error::Io(source)
            if !matches!(source.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) =>
        {
            JournalError::Io { doing: "open the journal in", path: home.to_owned(), source }
        }
        other => Fault::Damaged(format!("sled can't read it: {other}")).at(home),
    }
}

thread_local! {
    /// What is to be said of damage that this thread comes upon within [`caught`].
    static GUARDED: RefCell<Option<Words>> = const { RefCell::new(None) };
}

/// Does something that may panic, and tells with which words. Where panics abort the process (release builds), the sentence
/// with the way out is logged before that.
///
/// # Errors
/// It has panicked.
pub fn caught<T>(words: &Words, work: impl FnOnce() -> T + panic::UnwindSafe) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let guarded = GUARDED.with(|guarded| guarded.borrow().clone());
            match guarded {
                Some(words) if aborts() => {
                    tracing::error!("{}", words(&Fault::Damaged(format!("sled panics on it: {info}"))));
                }
                Some(_) => {}
                None => others(info),
            }
            if aborts() {
                process::abort();
            }
        }));
    });
    GUARDED.with(|guarded| *guarded.borrow_mut() = Some(words.clone()));
    let done = panic::catch_unwind(work);
    GUARDED.with(|guarded| *guarded.borrow_mut() = None);
    done.map_err(|panic| said(&*panic))
}

/// Whether a panic ends the process. Tests have debug builds behave as release builds do, by `MESETA_PANIC=abort`.
fn aborts() -> bool {
    cfg!(panic = "abort") || (cfg!(debug_assertions) && env::var_os("MESETA_PANIC").is_some())
}

fn said(panic: &(dyn Any + Send)) -> String {
    if let Some(words) = panic.downcast_ref::<&str>() {
        (*words).to_owned()
    } else if let Some(words) = panic.downcast_ref::<String>() {
        words.clone()
    } else {
        "without a word".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_about_to_be_let_go_of_is_waited_for_and_another_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let holder = File::open(file.path()).unwrap();
        holder.try_lock().unwrap();
        let other = File::open(file.path()).unwrap();
        assert!(matches!(lock(&other), Err(TryLockError::WouldBlock)));
        let (begun, begins) = mpsc::sync_channel(1);
        let waiting = thread::spawn(move || {
            begun.send(()).unwrap();
            lock(&other).map(|()| other)
        });
        begins.recv().unwrap();
        drop(holder);
        waiting.join().unwrap().unwrap();
    }
}
