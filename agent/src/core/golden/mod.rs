//! Golden scripts: lines that begin with `>` are inputs, what follows each is what the machine asks for.
//! `UPDATE_GOLDEN=1 cargo test -p agent golden` writes the traces anew; read the difference before committing it.
//!
//! Names stand for what is not readable: `M` and `N` are masters, `e1` .. actors of executors, `c1` .. containers in
//! the order of their launch, `#1` .. uuids in the order of their appearance (an executor's own are `#a`, `#b` ..).
//! A framework whose name begins with `P` is partition-aware, one with `C` checkpoints. `h1` .. are streams of executors
//! that speak HTTP: `call ASK FRAMEWORK EXECUTOR STREAM ...`.

mod parse;
mod print;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use libactor::{Machine, Pid, Time};
use protocol::{AgentInfo, ContainerId, Uuid};

use super::{Agent, AgentConfig, Input, Output};

struct World {
    agent: Agent,
    now: Time,
    containers: Vec<ContainerId>,
    uuids: BTreeMap<Uuid, String>,
    trace: String,
}

impl World {
    fn new() -> Self {
        let pid: Pid = "slave(1)@10.0.0.9:5051".parse().unwrap();
        let info = AgentInfo {
            hostname: "host".into(),
            port: 5051,
            resources: "cpus:4;mem:2048".parse().unwrap(),
            attributes: Default::default(),
            id: None,
        };
        let agent = Agent::new(AgentConfig::new(pid, info, "0.1.0"), 1, Time::default());
        Self {
            agent,
            now: Time::default(),
            containers: Vec::new(),
            uuids: BTreeMap::new(),
            trace: String::new(),
        }
    }

    fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.agent.handle(self.now, input, &mut out);
        self.agent.check();
        self.print(out, None);
    }

    /// Lets time pass, timer by timer.
    fn advance(&mut self, duration: Duration) {
        let start = self.now;
        let until = start + duration;
        while let Some(due) = self.agent.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let mut out = Vec::new();
            self.agent.tick(self.now, &mut out);
            self.agent.check();
            let after = self.now.since(start);
            self.print(out, Some(after));
        }
        self.now = until;
    }

    fn note(&mut self, text: &str) {
        writeln!(self.trace, "{text}").unwrap();
    }

    fn print(&mut self, out: Vec<Output>, after: Option<Duration>) {
        for output in out {
            if let Output::Launch(spec) = &output {
                self.containers.push(spec.container_id.clone());
            }
            let text = print::output(self, &output);
            match after {
                Some(after) => writeln!(self.trace, "+{:.3}s {text}", after.as_secs_f64()).unwrap(),
                None => writeln!(self.trace, "{text}").unwrap(),
            }
        }
    }
}

fn run(script: &str) -> String {
    let mut world = World::new();
    for line in script.lines() {
        if let Some(input) = line.strip_prefix("> ") {
            writeln!(world.trace, "{line}").unwrap();
            parse::command(&mut world, input);
        } else if line.is_empty() || line.starts_with("//") {
            writeln!(world.trace, "{line}").unwrap();
        }
    }
    world.trace
}

#[test]
fn golden_scripts() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/core/golden");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    names.sort();
    assert!(names.len() >= 12, "the scripts are there");
    for path in names {
        let script = std::fs::read_to_string(&path).unwrap();
        let trace = run(&script);
        if update {
            std::fs::write(&path, trace).unwrap();
        } else {
            assert_eq!(trace, script, "{}: UPDATE_GOLDEN=1 writes it anew", path.display());
        }
    }
}
