//! The cache's files. Whoever asks first for something that is not there fetches it, the others wait for that; they fail with
//! it too. One that gives up while it fetches leaves the work to the next.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libactor::Metrics;

use super::index::Index;
use super::job::JobError;
use super::uri::Source;

/// Whose, what, with which sum.
pub(super) type Key = (Option<String>, Source, Option<String>);

/// The beginning of the names of the cache's files; nothing else in its directory is touched.
const PREFIX: &str = "meseta-fetched-";

/// The cache.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
    inner: Arc<Inner>,
    numbers: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    capacity: u64,
    index: Mutex<Index<Key>>,
    /// Fetches that are under way.
    coming: Mutex<BTreeMap<Key, Arc<Coming>>>,
    succeeded: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Coming {
    /// Held by the one that fetches. `Some`: it has come to something.
    outcome: tokio::sync::Mutex<Option<Result<(), String>>>,
}

/// A file of the cache that is in use.
#[derive(Debug)]
pub(super) struct Cached {
    path: PathBuf,
    key: Key,
    inner: Arc<Inner>,
}

impl Cached {
    /// Opens it to read.
    pub(super) fn file(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

impl Drop for Cached {
    fn drop(&mut self) {
        lock(&self.inner.index).release(&self.key);
    }
}

impl Cache {
    /// An empty one.
    pub(super) fn open(directory: &Path, capacity: u64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
                fs::remove_file(entry.path())?;
            }
        }
        let inner = Inner {
            capacity,
            index: Mutex::new(Index::new(capacity)),
            coming: Mutex::default(),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        Ok(Self { directory: directory.to_owned(), inner: Arc::new(inner), numbers: AtomicU64::new(0) })
    }

    /// Counts what a container's fetching has come to.
    pub(super) fn count(&self, succeeded: bool) {
        let counter = if succeeded { &self.inner.succeeded } else { &self.inner.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows what is counted.
    pub(super) fn show(&self, metrics: &Metrics) {
        type Read = fn(&Inner) -> u64;
        let shown: [(&str, Read); 4] = [
            ("cache_size_total_bytes", |inner| inner.capacity),
            ("cache_size_used_bytes", |inner| lock(&inner.index).used()),
            ("task_fetches_succeeded", |inner| inner.succeeded.load(Ordering::Relaxed)),
            ("task_fetches_failed", |inner| inner.failed.load(Ordering::Relaxed)),
        ];
        for (name, read) in shown {
            let inner = self.inner.clone();
            metrics.pulled(&format!("containerizer/fetcher/{name}"), move || read(&inner) as f64);
        }
    }

    /// What is kept under a key; what is not there is fetched by `fill` into the file that it is given, of no more than so
    /// many bytes. `None`: it can't be kept.
    pub(super) async fn get(
        &self,
        key: Key,
        fill: impl AsyncFnOnce(File, u64) -> Result<u64, JobError>,
    ) -> Result<Option<Cached>, JobError> {
        if let Some(cached) = self.take(&key) {
            return Ok(Some(cached));
        }
        let coming = lock(&self.inner.coming).entry(key.clone()).or_default().clone();
        let asking = Asking { inner: &self.inner, key: &key, coming };
        let mut outcome = asking.coming.outcome.lock().await;
        if outcome.is_none() {
            // It may have come between the two looks above.
            if self.take(&key).is_none() {
                let filled = self.fill(&key, fill).await;
                *outcome = Some(match &filled {
                    Ok(()) | Err(JobError::NoRoom) => Ok(()),
                    Err(error) => Err(error.to_string()),
                });
            }
            asking.done();
        }
        match &*outcome {
            Some(Err(why)) => Err(JobError::Said(why.clone())),
            _ => Ok(self.take(&key)),
        }
    }

    fn take(&self, key: &Key) -> Option<Cached> {
        let number = lock(&self.inner.index).take(key)?;
        let cached = Cached { path: self.path(number), key: key.clone(), inner: self.inner.clone() };
        if cached.path.is_file() {
            return Some(cached);
        }
        // Somebody has tidied up: it is fetched anew.
        lock(&self.inner.index).forget(key);
        None
    }

    async fn fill(
        &self,
        key: &Key,
        fill: impl AsyncFnOnce(File, u64) -> Result<u64, JobError>,
    ) -> Result<(), JobError> {
        let room = lock(&self.inner.index).room();
        if room == 0 {
            return Err(JobError::NoRoom);
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let unfinished = Unfinished(Some(self.path(number)));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(number))?;
        let ours = file.try_clone()?;
        fill(file, room).await?;
        let bytes = ours.metadata()?.len();
        let gone = lock(&self.inner.index).admit(key.clone(), number, bytes).ok_or(JobError::NoRoom)?;
        unfinished.keep();
        for number in gone {
            let path = self.path(number);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "a file of the fetcher's cache stays");
            }
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{PREFIX}{number}"))
    }
}

/// One that asks for what is coming.
struct Asking<'a> {
    inner: &'a Inner,
    key: &'a Key,
    coming: Arc<Coming>,
}

impl Asking<'_> {
    /// Who asks from now on begins anew.
    fn done(&self) {
        let mut all = lock(&self.inner.coming);
        if all.get(self.key).is_some_and(|other| Arc::ptr_eq(other, &self.coming)) {
            all.remove(self.key);
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        // The other one is in the table: nobody waits any more.
        if Arc::strong_count(&self.coming) <= 2 {
            self.done();
        }
    }
}

/// Removes a file that did not become one of the cache.
struct Unfinished(Option<PathBuf>);

impl Unfinished {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a file of the fetcher's cache stays");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
