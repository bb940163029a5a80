//! Work on a sled that may be damaged: it may fail, panic, or never come back.

use std::any::Any;
use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Once};
use std::thread;

use super::error::{DiskError, Fault, While};
use super::limits::{LOCK_PAUSE, LOCK_TRIES, STALL};

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

/// Does something with the sled of this replica, on a thread of its own: a panic there, or standing still, is damage.
pub(super) fn guarded<T: Send + 'static>(
    replica: &Path,
    work: impl FnOnce(&Progress) -> Result<T, sled::Error> + Send + 'static,
) -> Result<T, DiskError> {
    let progress = Progress::default();
    let (sender, receiver) = mpsc::sync_channel(1);
    let (steps, directory) = (progress.clone(), replica.to_owned());
    let opener = move || {
        let done = caught(&directory, AssertUnwindSafe(|| work(&steps)));
        // Nobody listens any more when this took too long.
        let _ = sender.send(done);
    };
    thread::Builder::new().name("disk-open".to_owned()).spawn(opener).while_doing("open", replica)?;
    let mut seen = 0;
    loop {
        match receiver.recv_timeout(STALL) {
            Ok(Ok(Ok(done))) => return Ok(done),
            Ok(Ok(Err(error))) => return Err(refused(error, replica)),
            Ok(Err(panic)) => return Err(Fault::Damaged(format!("sled panics on it: {panic}")).at(replica)),
            Err(RecvTimeoutError::Timeout) if progress.steps() > seen => seen = progress.steps(),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let what =
                    format!("sled does not come to an end with it; after {seen} values it stands still");
                return Err(Fault::Damaged(what).at(replica));
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

/// sled has no error of its own for it.
fn is_locked(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

fn refused(error: sled::Error, replica: &Path) -> DiskError {
    match error {
        sled::Error::Io(error) if is_locked(&error) => DiskError::InUse { directory: replica.to_owned() },
        sled::Error::Io(source)
            if !matches!(source.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) =>
        {
            DiskError::Io { doing: "open the journal in", path: replica.to_owned(), source }
        }
        other => Fault::Damaged(format!("sled can't read it: {other}")).at(replica),
    }
}

thread_local! {
    /// The replica's directory that this thread works on within [`caught`].
    static GUARDED: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// Does something that may panic, and tells with which words. Where panics abort the process (release builds), the sentence
/// with the way out is logged before that.
pub(super) fn caught<T>(replica: &Path, work: impl FnOnce() -> T + panic::UnwindSafe) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let directory = GUARDED.with(|guarded| guarded.borrow().clone());
            match directory {
                Some(directory) if cfg!(panic = "abort") => {
                    let fault = Fault::Damaged(format!("sled panics on it: {info}"));
                    tracing::error!("{}", fault.at(&directory));
                }
                Some(_) => {}
                None => others(info),
            }
        }));
    });
    GUARDED.with(|guarded| *guarded.borrow_mut() = Some(replica.to_owned()));
    let done = panic::catch_unwind(work);
    GUARDED.with(|guarded| *guarded.borrow_mut() = None);
    done.map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    if let Some(words) = panic.downcast_ref::<&str>() {
        (*words).to_owned()
    } else if let Some(words) = panic.downcast_ref::<String>() {
        words.clone()
    } else {
        "without a word".to_owned()
    }
}
