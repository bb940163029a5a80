//! The program itself, as processes: a master and an agent on free ports.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::SystemTime;

use libactor::Clock;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::http::PATIENCE;

/// A daemon that runs; ended with its scope.
pub(crate) struct Daemon {
    child: Child,
    /// An agent leaves its executors running unless it is asked to leave.
    is_agent: bool,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// How a daemon has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    /// All that it has said.
    pub(crate) seen: Vec<String>,
}

/// A master and an agent.
pub(crate) struct Daemons {
    pub(crate) address: SocketAddr,
    _master: Daemon,
    _agent: Daemon,
}

impl Daemons {
    pub(crate) fn start(directory: &Path) -> Self {
        let folder = |name: &str| format!("--work_dir={}", directory.join(name).display());
        let mut master = Daemon::start(&["master", &folder("master"), "--ip=127.0.0.1", "--port=0"]);
        let address = master.address();
        let asked = format!("--master={address}");
        let resources = "--resources=cpus:4;mem:2048;disk:1024";
        let mut agent =
            Daemon::start(&["agent", &folder("agent"), &asked, "--ip=127.0.0.1", "--port=0", resources]);
        agent.wait_for("registered agent_id=");
        Self { address, _master: master, _agent: agent }
    }
}

impl Daemon {
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::start_with(words, &[])
    }

    pub(crate) fn start_with(words: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program());
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MESOS_")) {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied());
        let mut child = command.spawn().expect("the program starts");
        let output = child.stderr.take().expect("it is piped");
        let (sender, lines) = sync_channel(100_000);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let is_agent = words.first() == Some(&"agent");
        Self { child, is_agent, lines, seen: Vec::new() }
    }

    /// Waits for a line that has a text in it, and gives what follows the text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no '{text}'; seen: {:#?}", self.seen)
            };
            let found = line.split_once(text).map(|(_, rest)| rest.to_owned());
            self.seen.push(line);
            if let Some(rest) = found {
                return rest;
            }
        }
    }

    /// All that it has said until now.
    pub(crate) fn said(&mut self) -> &[String] {
        self.seen.extend(self.lines.try_iter());
        &self.seen
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id is small"));
        kill(pid, signal).expect("it runs");
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let clock = Clock::real();
        let begin = clock.now();
        // The lines end with the process.
        loop {
            match self.lines.recv_timeout(PATIENCE.saturating_sub(clock.now().since(begin))) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; seen: {:#?}", self.seen),
            }
        }
        let status = self.child.wait().expect("it was started here");
        Ended { code: status.code(), signal: status.signal(), seen: std::mem::take(&mut self.seen) }
    }

    pub(crate) fn address(&mut self) -> SocketAddr {
        let pid = self.wait_for("listening on ");
        let address = pid.split_whitespace().next().and_then(|pid| pid.split_once('@'));
        address
            .and_then(|(_, address)| address.parse().ok())
            .unwrap_or_else(|| panic!("'{pid}' is no address"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_agent && !self.is_over() {
            // The second time it does not wait for its executors.
            self.signal(Signal::SIGUSR1);
            self.signal(Signal::SIGUSR1);
            while self.lines.recv_timeout(PATIENCE).is_ok() {}
        }
        // One that has ended needs no ending.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where build products are: this test's program lies in `deps` below it.
pub(crate) fn target() -> PathBuf {
    let own = std::env::current_exe().expect("a test is a program");
    own.ancestors().nth(2).expect("it lies in target/PROFILE/deps").to_owned()
}

/// The program. Tests of the whole workspace have built it; where it is older than its source, it is built now.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = target().join("meseta");
        let built = std::fs::metadata(&path).and_then(|data| data.modified()).ok();
        if built.is_none_or(|built| newest_source() > built) {
            let release = target().ends_with("release");
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["build", "--package", "meseta"]).args(release.then_some("--release"));
            assert!(cargo.status().expect("cargo runs").success(), "the program can't be built");
        }
        path
    })
}

fn newest_source() -> SystemTime {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = ["protocol", "libactor", "master", "agent", "executor", "scheduler-driver", "meseta"];
    let mut folders: Vec<PathBuf> = crates.iter().map(|name| root.join(name).join("src")).collect();
    let mut newest = SystemTime::UNIX_EPOCH;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a crate has sources").flatten() {
            let Ok(data) = entry.metadata() else { continue };
            if data.is_dir() {
                folders.push(entry.path());
            } else if let Ok(modified) = data.modified() {
                newest = newest.max(modified);
            }
        }
    }
    newest
}
