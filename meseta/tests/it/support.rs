//! Running the program and reading what it says.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take on a loaded machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A line of output, by where it came from.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) from_stderr: bool,
    pub(crate) text: String,
}

/// The program, running; killed when it goes out of scope.
pub(crate) struct Meseta {
    child: Child,
    lines: Receiver<Line>,
    seen: Vec<Line>,
}

impl Meseta {
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::start_with(words, &[])
    }

    pub(crate) fn start_with(words: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_as(Command::new(env!("CARGO_BIN_EXE_meseta")), words, environment)
    }

    /// With so many files that it may open, unless it asks for more.
    pub(crate) fn start_with_few_files(words: &[&str], files: u32) -> Self {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!("ulimit -Sn {files}; exec \"$0\" \"$@\""),
            env!("CARGO_BIN_EXE_meseta"),
        ]);
        Self::start_as(command, words, &[])
    }

    fn start_as(mut command: Command, words: &[&str], environment: &[(&str, &str)]) -> Self {
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MESOS_")) {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = sync_channel(100_000);
        let outputs: [(bool, Box<dyn Read + Send>); 2] =
            [(false, Box::new(child.stdout.take().unwrap())), (true, Box::new(child.stderr.take().unwrap()))];
        for (from_stderr, output) in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines() {
                    let Ok(text) = line else { return };
                    if sender.send(Line { from_stderr, text }).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for a line that has a text in it, and gives the first word after the text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let found = line.text.split_once(text).map(|(_, rest)| rest.to_owned());
                    self.seen.push(line);
                    if let Some(rest) = found {
                        return rest.split_whitespace().next().unwrap_or_default().to_owned();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no '{text}' in {PATIENCE:?}; seen: {:#?}", self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without '{text}'; seen: {:#?}", self.seen)
                }
            }
        }
    }

    /// Waits for the end, and gives the status and all lines of standard output and of standard error.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("does not end; seen: {:#?}", self.seen),
            }
        }
        let status = self.child.wait().unwrap();
        let seen = std::mem::take(&mut self.seen);
        let (stderr, stdout): (Vec<_>, Vec<_>) = seen.into_iter().partition(|line| line.from_stderr);
        let texts = |lines: Vec<Line>| lines.into_iter().map(|line| line.text).collect();
        (status, texts(stdout), texts(stderr))
    }
}

impl Drop for Meseta {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The processes whose environment has a text in it, but not this one.
pub(crate) fn processes_with(text: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let has = environment.windows(text.len()).any(|window| window == text.as_bytes());
        if has && pid != std::process::id() as i32 && !is_zombie(pid) {
            found.push(pid);
        }
    }
    found
}

fn is_zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

/// Waits until no process has a text in its environment: that is the kernel's to finish, not a program's that could tell.
pub(crate) fn wait_until_gone(text: &str) {
    let begin = std::time::Instant::now();
    loop {
        let left = processes_with(text);
        if left.is_empty() {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "processes are left: {left:?}");
        std::thread::yield_now();
    }
}

/// A master and an agent as processes, on free ports.
pub(crate) struct TwoDaemons {
    pub(crate) master: Meseta,
    pub(crate) agent: Meseta,
    pub(crate) address: String,
}

pub(crate) fn start_master(directory: &Path) -> (Meseta, String) {
    let work_dir = format!("--work_dir={}", directory.join("master").display());
    let mut master = Meseta::start(&["master", &work_dir, "--ip=127.0.0.1", "--port=0"]);
    let pid = master.wait_for("listening on ");
    let address = pid.split_once('@').expect("a pid").1.to_owned();
    (master, address)
}

pub(crate) fn start_agent(directory: &Path, address: &str) -> Meseta {
    let work_dir = format!("--work_dir={}", directory.join("agent").display());
    let master = format!("--master={address}");
    let words =
        ["agent", &work_dir, &master, "--ip=127.0.0.1", "--port=0", "--resources=cpus:4;mem:1024;disk:1024"];
    let mut agent = Meseta::start(&words);
    // Or: again.
    agent.wait_for("core::registration: registered");
    agent
}

impl TwoDaemons {
    pub(crate) fn start(directory: &Path) -> Self {
        let (master, address) = start_master(directory);
        let agent = start_agent(directory, &address);
        Self { master, agent, address }
    }
}
