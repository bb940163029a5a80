//! The agent's golden scripts. `UPDATE_GOLDEN=1 cargo test -p agent golden` writes the traces anew; read the difference before
//! committing it.
//!
//! Names stand for what is not readable: `M` and `N` are masters, `e1` .. actors of executors, `c1` .. containers in
//! the order of their launch, `#1` .. uuids in the order of their appearance (an executor's own are `#a`, `#b` ..).
//! A framework whose name begins with `P` is partition-aware, one with `C` checkpoints, one with `Q` does both.
//! Checkpoints are durable at once, and not shown; after `hold` they are shown, and durable when `durable N` says so, until
//! `release`. `crash` ends the machine; `recover WHAT=VALUE ..` begins another one with what was durable, and `found c1=100
//! c2=ended` tells it of containers. `h1` .. are streams of executors
//! that speak HTTP: `call ASK FRAMEWORK EXECUTOR STREAM ...`.

mod parse;
mod print;
#[path = "../../../../libactor/tests/support/golden.rs"]
mod scripts;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use libactor::{Machine, Pid, Time};
use protocol::{AgentInfo, ContainerId, Uuid};

use super::checkpoint::{Batch, Records};
use super::{Agent, AgentConfig, Input, Output};

struct World {
    agent: Agent,
    /// What is durable.
    records: Records,
    /// What is not yet.
    batches: Vec<Batch>,
    holds: bool,
    lives: u64,
    now: Time,
    containers: Vec<ContainerId>,
    uuids: BTreeMap<Uuid, String>,
    trace: String,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            agent: Agent::new(config(), 1, Time::default()),
            records: Records::default(),
            batches: Vec::new(),
            holds: false,
            lives: 1,
            now: Time::default(),
            containers: Vec::new(),
            uuids: BTreeMap::new(),
            trace: String::new(),
        };
        world.feed(Input::Begin);
        world.trace.clear();
        world.feed(Input::Recovered { containers: BTreeMap::new() });
        world
    }

    fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.agent.handle(self.now, input, &mut out);
        self.agent.check();
        self.print(out, None);
    }

    /// A batch is durable, with all before it.
    fn durable(&mut self, number: u64, after: Option<Duration>) {
        let done = self.batches.iter().take_while(|batch| batch.number <= number).count();
        for batch in self.batches.drain(..done) {
            batch.changes.into_iter().for_each(|change| self.records.change(change));
        }
        let mut out = Vec::new();
        self.agent.handle(self.now, Input::Checkpointed { number }, &mut out);
        self.agent.check();
        self.print(out, after);
    }

    /// Another life, with what was durable.
    fn recover(&mut self, config: AgentConfig) {
        self.batches.clear();
        self.lives += 1;
        match Agent::recover(config, self.lives, self.now, self.records.clone()) {
            Ok(agent) => {
                self.agent = agent;
                self.feed(Input::Begin);
            }
            Err(why) => self.note(&format!("incompatible: {why}")),
        }
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
            if let Output::Checkpoint(batch) = &output {
                let number = batch.number;
                self.batches.push(batch.clone());
                if !self.holds {
                    self.durable(number, after);
                    continue;
                }
            }
            let text = print::output(self, &output);
            match after {
                Some(after) => writeln!(self.trace, "+{:.3}s {text}", after.as_secs_f64()).unwrap(),
                None => writeln!(self.trace, "{text}").unwrap(),
            }
        }
    }
}

fn config() -> AgentConfig {
    let pid: Pid = "slave(1)@10.0.0.9:5051".parse().unwrap();
    let info = AgentInfo {
        hostname: "host".into(),
        port: 5051,
        resources: "cpus:4;mem:2048".parse().unwrap(),
        attributes: Default::default(),
        id: None,
    };
    AgentConfig { boot_id: "first".into(), ..AgentConfig::new(pid, info, "0.1.0") }
}

#[test]
fn golden_scripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core/golden");
    scripts::scripts(&folder, 12, |_| {
        let mut world = World::new();
        assert_eq!(world.trace, "", "nothing is said before the first input");
        move |input| {
            parse::command(&mut world, input);
            std::mem::take(&mut world.trace).lines().map(str::to_owned).collect()
        }
    });
}
