//! What a command's URIs name is put into the sandbox before its first process starts.
//!
//! | module | what it holds |
//! |---|---|
//! | [`uri`] | what a URI says: where from, under which name, whether it is an archive, its checksum |
//! | [`job`] | one piece of work for the fetcher's process, and that process seen from the agent |
//! | [`index`] | what the cache holds and what it gives up next: decisions alone |
//! | [`cache`] | the cache's files; downloads of one thing are one download |
//! | [`process`] | the fetcher's process: `meseta fetch` |
//!
//! Each URI is fetched by a short-lived process that becomes the task's user first: it reads what that user may read and
//! makes what belongs to that user. Archives come from strangers, so their parsers live there too, with an end to their
//! memory and to the size of their files; the agent only waits, and ends the process when the launch is given up.

mod cache;
mod index;
mod job;
pub mod process;
mod uri;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use libactor::Metrics;
use protocol::{FrameworkId, Uri};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use cache::{Cache, Cached};
use job::{Bounds, Content, Job, JobError, Target};
use uri::{Item, Source};

/// Most processes that fetch for one framework at one moment. Ours: more of them share one network card and one disk.
const MAX_FETCHING: usize = 8;
/// Most for all frameworks together. Ours: a slow server holds up whoever asks it, and not everybody.
const MAX_FETCHING_ALL: usize = 8 * MAX_FETCHING;

/// Settings of the fetcher, with the defaults of their flags.
#[derive(Clone, Debug)]
pub struct FetcherSettings {
    /// What fetches, program first: `meseta fetch`, or whatever calls [`process::main`].
    pub program: Vec<OsString>,
    /// `--fetcher_cache_dir`; absent: `fetch` below the work directory.
    pub cache_dir: Option<PathBuf>,
    /// `--fetcher_cache_size`, bytes; 0: nothing is kept.
    pub cache_bytes: u64,
    /// `--fetcher_stall_timeout`: a transfer of which nothing comes for so long has failed.
    pub stall_timeout: Duration,
    /// `--fetcher_max_unpacked_size`: most bytes that the URIs of one container may make in its sandbox.
    pub max_bytes: u64,
    /// `--frameworks_home`: where relative paths begin.
    pub frameworks_home: Option<PathBuf>,
}

impl FetcherSettings {
    /// With a program of one's own.
    pub fn new(program: Vec<OsString>) -> Self {
        Self {
            program,
            cache_dir: None,
            cache_bytes: 2 << 30,
            stall_timeout: Duration::from_secs(60),
            max_bytes: 10 << 30,
            frameworks_home: None,
        }
    }
}

impl Default for FetcherSettings {
    /// This program's own `fetch` command.
    fn default() -> Self {
        // A program that can't be found is said when something is fetched.
        let own = std::env::current_exe().unwrap_or_default();
        Self::new(vec![own.into_os_string(), "fetch".into()])
    }
}

/// What to fetch for one container.
#[derive(Clone, Copy, Debug)]
pub struct FetchRequest<'a> {
    /// Whose: each framework has turns of its own.
    pub framework_id: &'a FrameworkId,
    /// In order.
    pub uris: &'a [Uri],
    /// The sandbox: absolute, exists.
    pub sandbox: &'a Path,
    /// Who the task is; absent: who the agent is.
    pub user: Option<&'a str>,
    /// Most bytes that may be made, where the container's disk is limited.
    pub disk_limit: Option<u64>,
}

/// Why something could not be fetched, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("can't fetch '{uri}': {why}")]
pub struct FetchError {
    /// As the framework said it, without a password.
    uri: String,
    why: String,
}

/// Fetches. Clones are the same fetcher.
#[derive(Clone, Debug)]
pub struct Fetcher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: FetcherSettings,
    cache: Cache,
    turns: Turns,
}

/// Who may fetch now.
#[derive(Debug)]
struct Turns {
    all: Semaphore,
    /// Of frameworks that fetch, or wait for it.
    own: Mutex<BTreeMap<FrameworkId, Weak<Semaphore>>>,
}

/// Held while one fetches.
struct Turn<'a> {
    _own: OwnedSemaphorePermit,
    _all: SemaphorePermit<'a>,
}

impl Turns {
    fn new() -> Self {
        Self { all: Semaphore::new(MAX_FETCHING_ALL), own: Mutex::default() }
    }

    async fn take(&self, framework_id: &FrameworkId) -> Turn<'_> {
        let own = self.of(framework_id).acquire_owned().await.expect("the semaphore is never closed");
        let all = self.all.acquire().await.expect("the semaphore is never closed");
        Turn { _own: own, _all: all }
    }

    fn of(&self, framework_id: &FrameworkId) -> Arc<Semaphore> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.retain(|_, turns| turns.strong_count() > 0);
        let known = own.get(framework_id).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let turns = Arc::new(Semaphore::new(MAX_FETCHING));
            own.insert(framework_id.clone(), Arc::downgrade(&turns));
            turns
        })
    }
}

impl Fetcher {
    /// A fetcher whose cache is empty: what an earlier life has kept is taken away, since nobody knows whether it is whole.
    ///
    /// # Errors
    /// The cache's directory can't be made or emptied.
    pub fn new(settings: FetcherSettings, work_dir: &Path) -> io::Result<Self> {
        let cache_dir = settings.cache_dir.clone().unwrap_or_else(|| work_dir.join("fetch"));
        let cache = Cache::open(&cache_dir, settings.cache_bytes)?;
        Ok(Self(Arc::new(Shared { settings, cache, turns: Turns::new() })))
    }

    /// Shows what is counted on a node, under Mesos's names.
    pub fn show(&self, metrics: &Metrics) {
        self.0.cache.show(metrics);
    }

    /// Fetches all URIs into the sandbox, which is given to the task's user. Does nothing without URIs.
    ///
    /// # Errors
    /// Of the first that can't be fetched. What others have made stays in the sandbox.
    ///
    /// # Cancel safety
    /// Dropped, it ends what it has started.
    pub async fn fetch(&self, request: FetchRequest<'_>) -> Result<(), FetchError> {
        if request.uris.is_empty() {
            return Ok(());
        }
        let fetched = self.fetch_all(&request).await;
        self.0.cache.count(fetched.is_ok());
        fetched
    }

    async fn fetch_all(&self, request: &FetchRequest<'_>) -> Result<(), FetchError> {
        let settings = &self.0.settings;
        let mut left = settings.max_bytes.min(request.disk_limit.unwrap_or(u64::MAX));
        for uri in request.uris {
            let failed = |why: String| FetchError { uri: uri::shown(&uri.value), why };
            let item = Item::of(uri, settings.frameworks_home.as_deref()).map_err(failed)?;
            let made =
                self.fetch_one(request, &item, left).await.map_err(|error| failed(error.to_string()))?;
            left = left.saturating_sub(made);
        }
        Ok(())
    }

    /// Fetches one; how many bytes it has made in the sandbox.
    async fn fetch_one(&self, request: &FetchRequest<'_>, item: &Item, left: u64) -> Result<u64, JobError> {
        let cached = if item.cache { self.cached(request, item).await? } else { None };
        let content = match &cached {
            Some(cached) => Content::Input(cached.file()?),
            None => Content::Source(&item.source),
        };
        let target = Target::Sandbox {
            directory: request.sandbox.to_owned(),
            name: item.name.clone(),
            handling: item.handling,
        };
        // What is in the cache has been compared when it came.
        let sha256 = cached.is_none().then(|| item.sha256.clone()).flatten();
        let job = self.job(request, target, sha256, left);
        let _turn = self.0.turns.take(request.framework_id).await;
        job.run(&self.0.settings.program, content).await
    }

    /// What the cache holds of it, fetched now if need be; `None`: it does not fit.
    async fn cached(&self, request: &FetchRequest<'_>, item: &Item) -> Result<Option<Cached>, JobError> {
        let key = (request.user.map(str::to_owned), item.source.clone(), item.sha256.clone());
        let fill = async |file: std::fs::File, room: u64| {
            let job = self.job(request, Target::Output, item.sha256.clone(), room);
            let _turn = self.0.turns.take(request.framework_id).await;
            job.run(&self.0.settings.program, Content::Into(&item.source, file)).await
        };
        self.0.cache.get(key, fill).await
    }

    fn job(&self, request: &FetchRequest<'_>, target: Target, sha256: Option<String>, max_bytes: u64) -> Job {
        let stall_timeout = self.0.settings.stall_timeout;
        let bounds = Bounds { max_bytes, stall_timeout };
        Job { user: request.user.map(str::to_owned), source: None, target, sha256, bounds }
    }
}

impl Source {
    /// The variables that say which proxy to use for it, as curl takes them: one for its scheme, else that for all.
    fn proxies(&self) -> Vec<(&'static str, OsString)> {
        let Self::Http(url) = self else { return Vec::new() };
        let secure = url.starts_with("https:");
        let names: &[&str] = match secure {
            true => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
            false => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        };
        let first =
            |names: &[&str]| names.iter().find_map(std::env::var_os).filter(|value| !value.is_empty());
        let proxy = first(names).map(|value| ("ALL_PROXY", value));
        let without = first(&["no_proxy", "NO_PROXY"]).map(|value| ("NO_PROXY", value));
        let trusted = first(&[process::TRUSTED]).map(|value| (process::TRUSTED, value));
        [proxy, without, trusted].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_framework_that_waits_for_slow_servers_keeps_nobody_else_waiting() {
        let turns = Turns::new();
        let [slow, other] = ["slow", "other"].map(FrameworkId::from);
        let mut held = Vec::new();
        for _ in 0..MAX_FETCHING {
            held.push(turns.take(&slow).await);
        }
        let mut next = Box::pin(turns.take(&slow));
        tokio::select! {
            biased;
            _ = &mut next => panic!("it has all its turns"),
            turn = turns.take(&other) => drop(turn),
        }
        held.pop();
        held.push(next.await);
        drop(held);
        drop(turns.take(&other).await);
        assert_eq!(turns.own.lock().unwrap().len(), 1, "who does not fetch is forgotten");
    }
}
