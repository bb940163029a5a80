//! Sandboxes of runs that are over are kept for a while, and then removed: sooner on a fuller disk, as in Mesos.
//!
//! | module | what it holds |
//! |---|---|
//! | `policy` | which sandbox, and when: decisions alone |
//! | `remove` | removing a tree that a stranger has made |

mod policy;
mod remove;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use libactor::{Clock, Metrics, Time};
use nix::fcntl::OFlag;
use protocol::ContainerId;
use tokio::sync::Notify;

use crate::os;
use policy::{Millionths, Policy};

/// Settings of the collection, with the defaults of their flags.
#[derive(Clone, Copy, Debug)]
pub struct SandboxGcSettings {
    /// `--gc_delay`: how long a sandbox is kept at most.
    pub delay: Duration,
    /// `--gc_disk_headroom`: the part of the disk that should stay free, in millionths.
    pub headroom_millionths: u64,
    /// `--disk_watch_interval`: how often the disk is looked at.
    pub interval: Duration,
}

impl Default for SandboxGcSettings {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(7 * 24 * 3600),
            headroom_millionths: 100_000,
            interval: Duration::from_secs(60),
        }
    }
}

/// Collects sandboxes until it is dropped.
#[derive(Debug)]
pub struct Collector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    work_dir: PathBuf,
    clock: Clock,
    /// The part of the disk that is used.
    usage: fn(&Path) -> Millionths,
    settings: SandboxGcSettings,
    policy: Mutex<Policy>,
    /// Whether there may be sandboxes that nobody knows.
    unknown: AtomicBool,
    /// Runs that are over, and since when: to be noted in their sandboxes. While there are any, a thread does it.
    over: Mutex<Vec<(PathBuf, Time)>>,
    wake: Notify,
    ended: AtomicBool,
    succeeded: AtomicU64,
    failed: AtomicU64,
    max_age_secs: AtomicU64,
}

impl Collector {
    /// Nothing is collected before [`Collector::recovered`] has said what runs.
    pub fn new(settings: SandboxGcSettings, work_dir: PathBuf, clock: Clock) -> Self {
        Self::with_usage(settings, work_dir, clock, usage)
    }

    fn with_usage(
        settings: SandboxGcSettings,
        work_dir: PathBuf,
        clock: Clock,
        usage: fn(&Path) -> Millionths,
    ) -> Self {
        let policy = Policy::new(settings.delay, settings.headroom_millionths);
        Self(Arc::new(Shared {
            work_dir,
            clock,
            usage,
            settings,
            max_age_secs: AtomicU64::new(policy.max_age(0).as_secs()),
            policy: Mutex::new(policy),
            unknown: AtomicBool::new(true),
            over: Mutex::default(),
            wake: Notify::new(),
            ended: AtomicBool::new(false),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }))
    }

    /// Shows what is counted, under Mesos's names.
    pub fn show(&self, metrics: &Metrics) {
        type Read = fn(&Shared) -> u64;
        let shown: [(&str, Read); 4] = [
            ("gc/path_removals_succeeded", |shared| shared.succeeded.load(Ordering::Relaxed)),
            ("gc/path_removals_failed", |shared| shared.failed.load(Ordering::Relaxed)),
            ("gc/path_removals_pending", |shared| shared.policy().pending() as u64),
            ("slave/executor_directory_max_allowed_age_secs", |shared| {
                shared.max_age_secs.load(Ordering::Relaxed)
            }),
        ];
        for (name, read) in shown {
            let shared = self.0.clone();
            metrics.pulled(name, move || read(&shared) as f64);
        }
    }

    /// These containers of an earlier life may still run; all other sandboxes are of runs that are over. The work begins.
    /// Must be called on a tokio runtime.
    pub fn recovered(&self, running: &[ContainerId]) {
        let mut policy = self.0.policy();
        running.iter().for_each(|container_id| policy.begin(container_id.clone(), None));
        drop(policy);
        tokio::spawn(collect(self.0.clone()));
    }

    /// A run begins: its sandbox, relative to the work directory, is made after this.
    pub fn begin(&self, container_id: &ContainerId, sandbox: &Path) {
        let sandbox = self.0.work_dir.join(sandbox);
        self.0.policy().begin(container_id.clone(), Some(sandbox));
    }

    /// Nothing of a run is left but its sandbox. Must be called on a tokio runtime.
    pub fn end(&self, container_id: &ContainerId) {
        let now = self.0.clock.now();
        match self.0.policy().end(container_id.clone(), now) {
            // What another life of the agent will take for its end.
            Some(sandbox) => {
                let mut over = self.0.over();
                over.push((sandbox, now));
                // One thread for all that end at about one time.
                if over.len() == 1 {
                    let shared = self.0.clone();
                    drop(tokio::task::spawn_blocking(move || shared.touch_all()));
                }
            }
            None => self.0.unknown.store(true, Ordering::Relaxed),
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
        self.0.wake.notify_one();
    }
}

impl Shared {
    fn policy(&self) -> MutexGuard<'_, Policy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) -> MutexGuard<'_, Vec<(PathBuf, Time)>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes all ends that are to be noted.
    fn touch_all(&self) {
        let mut done = 0;
        loop {
            let mut over = self.over();
            over.drain(..done);
            if over.is_empty() {
                return;
            }
            let next = over.clone();
            drop(over);
            next.iter().for_each(|(sandbox, at)| touch(sandbox, *at));
            done = next.len();
        }
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// Looks at the disk again and again. What takes time is done on threads that may wait, one sandbox after the other.
async fn collect(shared: Arc<Shared>) {
    while !shared.ended() {
        let other = shared.clone();
        if tokio::task::spawn_blocking(move || look(&other)).await.is_err() {
            tracing::error!("sandboxes are not collected any more");
            return;
        }
        tokio::select! {
            () = shared.clock.sleep(shared.settings.interval) => {}
            () = shared.wake.notified() => {}
        }
    }
}

/// One look: removes all that is older than it may be.
fn look(shared: &Shared) {
    if shared.unknown.swap(false, Ordering::Relaxed) {
        find(shared);
    }
    let mut failed = BTreeSet::new();
    while !shared.ended() {
        let usage = (shared.usage)(&shared.work_dir);
        let now = shared.clock.now();
        let policy = shared.policy();
        shared.max_age_secs.store(policy.max_age(usage).as_secs(), Ordering::Relaxed);
        let due = policy.due(now, usage);
        drop(policy);
        // One that can't be removed waits for the next look, however full the disk is.
        let Some((container_id, sandbox)) = due.filter(|(container_id, _)| !failed.contains(container_id))
        else {
            return;
        };
        match remove::remove(&sandbox, &mut || !shared.ended()) {
            Ok(()) => {
                tracing::info!(sandbox = %sandbox.display(), "a sandbox is removed: its time is over");
                shared.succeeded.fetch_add(1, Ordering::Relaxed);
                shared.policy().removed(&container_id);
                sandbox.parent().into_iter().for_each(|runs| prune(shared, runs));
            }
            Err(_) if shared.ended() => return,
            Err(error) => {
                tracing::warn!(sandbox = %sandbox.display(), %error, "a sandbox can't be removed");
                shared.failed.fetch_add(1, Ordering::Relaxed);
                shared.policy().kept(&container_id, now);
                failed.insert(container_id);
            }
        }
    }
}

/// The part of the disk that is used.
fn usage(work_dir: &Path) -> Millionths {
    match os::disk_space(work_dir) {
        Ok((free, total)) if total > 0 => {
            let free = u128::from(free.min(total)) * 1_000_000 / u128::from(total);
            1_000_000 - Millionths::try_from(free).unwrap_or_default()
        }
        Ok(_) => 0,
        Err(error) => {
            tracing::warn!(%error, "can't tell how full the disk is");
            0
        }
    }
}

/// Finds the sandboxes that are there: `slaves/*/frameworks/*/executors/*/runs/*`.
fn find(shared: &Shared) {
    let agents = directories(&shared.work_dir.join("slaves"));
    let frameworks = agents.flat_map(|agent| directories(&agent.join("frameworks")));
    let executors = frameworks.flat_map(|framework| directories(&framework.join("executors")));
    for executor in executors {
        let runs = executor.join("runs");
        let mut any = false;
        for run in directories(&runs) {
            let Some(name) = run.file_name().and_then(|name| name.to_str()) else { continue };
            any = true;
            let changed = fs::symlink_metadata(&run).and_then(|about| about.modified());
            let since = changed.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
            shared.policy().found(name.into(), run.clone(), Time::default() + since);
        }
        if !any {
            prune(shared, &runs);
        }
    }
}

fn directories(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// Removes a directory of runs that has none any more, with all above it that are empty then.
fn prune(shared: &Shared, runs: &Path) {
    // Held while directories go: none is taken away from a run that begins.
    let policy = shared.policy();
    let latest = runs.join("latest");
    if !policy.in_use(runs) && latest.is_symlink() && !latest.exists() {
        // If it stays, so does its directory.
        let _ = fs::remove_file(latest);
    }
    let slaves = shared.work_dir.join("slaves");
    for directory in runs.ancestors().take_while(|directory| **directory != slaves) {
        // One that is not empty is not removed.
        if policy.in_use(directory) || fs::remove_dir(directory).is_err() {
            return;
        }
    }
}

fn touch(sandbox: &Path, now: Time) {
    let flags = (OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits();
    let opened = fs::File::options().read(true).custom_flags(flags).open(sandbox);
    let at = UNIX_EPOCH + Duration::from_nanos(now.as_nanos());
    match opened.and_then(|directory| directory.set_modified(at)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::debug!(sandbox = %sandbox.display(), %error, "the end of a run is not noted in its sandbox");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    struct Place {
        directory: tempfile::TempDir,
        clock: Clock,
        collector: Collector,
        metrics: Metrics,
    }

    impl Place {
        /// The collection where the disk does not count.
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let clock = Clock::manual(Clock::real().now());
            let collector = Self::collector(&directory, &clock);
            let metrics = Metrics::default();
            collector.show(&metrics);
            Self { directory, clock, collector, metrics }
        }

        fn collector(directory: &tempfile::TempDir, clock: &Clock) -> Collector {
            let settings = SandboxGcSettings { delay: 20 * HOUR, headroom_millionths: 0, interval: HOUR };
            // Half of the disk is used: what is over is kept for ten hours.
            Collector::with_usage(settings, directory.path().to_owned(), clock.clone(), |_| 500_000)
        }

        fn run(&self, executor: &str, run: &str) -> PathBuf {
            let relative = PathBuf::from(format!("slaves/S/frameworks/F/executors/{executor}/runs/{run}"));
            let sandbox = self.directory.path().join(&relative);
            fs::create_dir_all(&sandbox).unwrap();
            fs::write(sandbox.join("stdout"), "said").unwrap();
            let latest = sandbox.with_file_name("latest");
            let _ = fs::remove_file(&latest);
            std::os::unix::fs::symlink(run, latest).unwrap();
            relative
        }

        fn is_there(&self, relative: &str) -> bool {
            self.directory.path().join("slaves/S/frameworks/F/executors").join(relative).exists()
        }

        fn shows(&self, name: &str) -> f64 {
            self.metrics.snapshot()[name]
        }

        /// Lets time go by, an hour a look.
        async fn until(&self, what: impl Fn() -> bool) {
            let passes = async {
                while !what() {
                    self.clock.advance(HOUR);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), passes).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_over_goes_and_what_runs_stays() {
        let place = Place::new();
        place.run("old", "a");
        place.run("old", "b");
        let long_ago = place.clock.now();
        place.clock.advance(5 * HOUR);
        let running = place.run("new", "c");
        touch(&place.directory.path().join(&running), long_ago);
        place.collector.begin(&"c".into(), &running);
        let recovered = place.run("new", "d");
        touch(&place.directory.path().join(&recovered), long_ago);
        place.collector.recovered(&["d".into()]);
        place.until(|| place.shows("gc/path_removals_succeeded") == 2.0).await;
        place.until(|| !place.is_there("old")).await;
        assert!(place.is_there("new/runs/c/stdout") && place.is_there("new/runs/d"));
        place.collector.end(&"c".into());
        place.collector.end(&"d".into());
        assert_eq!(place.shows("gc/path_removals_pending"), 2.0);
        place.until(|| !place.directory.path().join("slaves/S").exists()).await;
        assert_eq!(
            (place.shows("gc/path_removals_succeeded"), place.shows("gc/path_removals_failed")),
            (4.0, 0.0)
        );
    }

    #[tokio::test]
    async fn the_end_of_a_run_is_known_to_the_next_life() {
        let place = Place::new();
        let run = place.run("e", "a");
        let sandbox = place.directory.path().join(&run);
        place.clock.advance(9 * HOUR);
        place.collector.begin(&"a".into(), &run);
        place.collector.end(&"a".into());
        let ended = UNIX_EPOCH + Duration::from_nanos(place.clock.now().as_nanos());
        place.until(|| fs::metadata(&sandbox).unwrap().modified().unwrap() == ended).await;
    }

    #[test]
    fn a_directory_is_not_taken_from_a_run_that_begins() {
        let place = Place::new();
        let runs = place.directory.path().join("slaves/S/frameworks/F/executors/e/runs");
        fs::create_dir_all(&runs).unwrap();
        place.collector.begin(&"a".into(), Path::new("slaves/S/frameworks/F/executors/e/runs/a"));
        prune(&place.collector.0, &runs);
        assert!(runs.exists());
        let policy = place.collector.0.policy().end("a".into(), place.clock.now());
        assert!(policy.is_some());
        prune(&place.collector.0, &runs);
        assert!(
            !place.directory.path().join("slaves/S").exists()
                && place.directory.path().join("slaves").exists()
        );
    }
}
