//! A master, and an agent that is killed and started again.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use libactor::Clock;
use nix::sys::signal::Signal;

use crate::daemons::{Daemon, Ended};
use crate::http::PATIENCE;

/// The variable by which processes of a site's tasks are found.
pub(crate) const MARK: &str = "MESETA_TEST_SITE";

/// A master, and the place of an agent.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    /// Tells this site's tasks and cgroups from all others.
    pub(crate) name: String,
    root: tempfile::TempDir,
    agent: Option<Daemon>,
    _master: Daemon,
}

impl Site {
    /// Starts a master, and an agent.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a master, and an agent with these flags.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        static SITES: AtomicU32 = AtomicU32::new(0);
        let number = SITES.fetch_add(1, Ordering::Relaxed);
        let root = tempfile::tempdir().unwrap();
        let work_dir = format!("--work_dir={}", root.path().join("master").display());
        let mut master = Daemon::start(&[
            "master",
            &work_dir,
            "--ip=127.0.0.1",
            "--port=0",
            "--allocation_interval=100ms",
        ]);
        let address = master.address();
        let name = format!("meseta-site-{}-{number}", std::process::id());
        let mut site = Self { address, name, root, agent: None, _master: master };
        site.start_agent(flags, &[]);
        site
    }

    /// Where tasks leave what they have to say.
    pub(crate) fn notes(&self) -> PathBuf {
        let notes = self.root.path().join("notes");
        fs::create_dir_all(&notes).unwrap();
        notes
    }

    pub(crate) fn work_dir(&self) -> PathBuf {
        self.root.path().join("agent")
    }

    /// Starts the agent with more flags, which replace those that it has anyway, and waits until it is registered.
    pub(crate) fn start_agent(&mut self, flags: &[&str], environment: &[(&str, &str)]) {
        self.begin_agent(flags, environment);
        self.agent().wait_for("registered ");
    }

    /// Starts the agent.
    pub(crate) fn begin_agent(&mut self, flags: &[&str], environment: &[(&str, &str)]) {
        let mut words = vec![
            "agent".to_owned(),
            format!("--master={}", self.address),
            format!("--work_dir={}", self.work_dir().display()),
            format!("--cgroups_root={}", self.name),
        ];
        let usual = [
            "--ip=127.0.0.1",
            "--port=0",
            "--resources=cpus:8;mem:4096;disk:1024;ports:[31000-31100]",
            "--executor_reregistration_timeout=10secs",
            "--registration_backoff_factor=100ms",
        ];
        let name = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
        let given: BTreeSet<String> = flags.iter().map(|flag| name(flag)).collect();
        words.extend(usual.iter().filter(|flag| !given.contains(&name(flag))).map(|flag| (*flag).to_owned()));
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.agent = Some(Daemon::start_with(&words, environment));
    }

    pub(crate) fn agent(&mut self) -> &mut Daemon {
        self.agent.as_mut().expect("it was started")
    }

    /// Waits until the agent has ended.
    pub(crate) fn agent_ends(&mut self) -> Ended {
        self.agent.take().expect("it was started").end()
    }

    /// Ends the agent at once, as a crash does.
    pub(crate) fn kill_agent(&mut self) {
        self.agent().signal(Signal::SIGKILL);
        let ended = self.agent_ends();
        assert_eq!(ended.signal, Some(Signal::SIGKILL as i32), "{:#?}", ended.seen);
    }

    /// The processes of this site's tasks.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mark = format!("{MARK}={}", self.name).into_bytes();
        let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            entry.file_name().to_str()?.parse::<u32>().ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let words = fs::read(entry.path().join("cmdline")).ok()?;
            let marked = environment.split(|byte| *byte == 0).any(|variable| variable == mark);
            marked.then(|| {
                format!("{:?}: {}", entry.file_name(), String::from_utf8_lossy(&words).replace('\0', " "))
            })
        });
        processes.collect()
    }

    /// What executors have said on their way to an end that was not theirs.
    pub(crate) fn panics(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.work_dir().join("slaves")];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path);
                } else if path.ends_with("stderr") {
                    let text = fs::read_to_string(&path).unwrap_or_default();
                    found.extend(text.contains("panicked").then_some(text));
                }
            }
        }
        found
    }

    /// What is left of containers: processes, cgroups, mounts, and the agent's own notes of them.
    fn left(&self) -> Vec<String> {
        let mut left = self.processes();
        for hierarchy in hierarchies() {
            containers_below(&hierarchy.join(&self.name), &mut left);
        }
        let root = self.root.path().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(&root)).map(ToOwned::to_owned));
        if let Ok(records) = fs::read_dir(self.work_dir().join("run/containers")) {
            left.extend(records.flatten().map(|entry| entry.path().display().to_string()));
        }
        left
    }

    /// Waits until nothing is left of any container.
    pub(crate) fn is_clean(&self) {
        let clock = Clock::real();
        let begin = clock.now();
        loop {
            let left = self.left();
            if left.is_empty() {
                return;
            }
            assert!(clock.now().since(begin) < PATIENCE, "left behind: {left:#?}");
            pause();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The agent first: it takes its cgroups and tasks along.
        self.agent = None;
        for hierarchy in hierarchies() {
            remove(&hierarchy.join(&self.name));
        }
    }
}

/// Between two looks at what tells nobody of its changes.
#[expect(clippy::disallowed_methods, reason = "processes of others and cgroups are polled")]
pub(crate) fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}

/// Lets time pass: the moment of a kill is any.
#[expect(clippy::disallowed_methods, reason = "nothing is waited for")]
pub(crate) fn wait(duration: std::time::Duration) {
    std::thread::sleep(duration);
}

fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let cgroups = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (place, kind) = (words.nth(1)?, words.next()?);
        kind.starts_with("cgroup").then(|| PathBuf::from(place))
    });
    cgroups.collect()
}

/// Directories that are named as containers are.
fn containers_below(directory: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.len() == 36 && name.matches('-').count() == 4 {
            found.push(path.display().to_string());
        }
        containers_below(&path, found);
    }
}

/// Removes cgroups that nobody is in.
fn remove(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).for_each(|path| remove(&path));
    // One that is in use shows up in the test that left it so.
    let _ = fs::remove_dir(directory);
}
