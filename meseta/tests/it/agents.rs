//! `meseta agents`, against processes.

use std::path::Path;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Meseta, PATIENCE, start_master, wait_until_gone};

/// A master and two agents, which have names of their own.
struct Cluster {
    directory: tempfile::TempDir,
    _master: Meseta,
    agents: Vec<Meseta>,
    address: String,
}

fn start_agent(directory: &Path, address: &str, name: &str) -> Meseta {
    let words = [
        "agent".to_owned(),
        format!("--work_dir={}", directory.join(name).display()),
        format!("--master={address}"),
        format!("--hostname={name}"),
        format!("--attributes=rack:{name}"),
        "--ip=127.0.0.1".to_owned(),
        "--port=0".to_owned(),
        "--resources=cpus:4;mem:1024;disk:1024".to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut agent = Meseta::start(&words);
    // Or: again.
    agent.wait_for("core::registration: registered");
    agent
}

impl Cluster {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (master, address) = start_master(directory.path());
        let agents = ["one", "two"].map(|name| start_agent(directory.path(), &address, name)).into();
        Self { directory, _master: master, agents, address }
    }

    /// Runs `meseta agents`; gives its exit code, its output, and what it complains of.
    fn ask(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let master = format!("--master={}", self.address);
        // Masters are not asked through a proxy; nobody is there.
        let proxy = [("http_proxy", "http://127.0.0.1:1"), ("ALL_PROXY", "http://127.0.0.1:1")];
        let asking = Meseta::start_with(&[&["agents", &master], words].concat(), &proxy);
        let (status, stdout, stderr) = asking.end();
        (status.code(), stdout.join("\n"), stderr.join("\n"))
    }

    fn must(&self, words: &[&str]) -> String {
        let (code, stdout, stderr) = self.ask(words);
        assert_eq!(code, Some(0), "{words:?}: {stdout} {stderr}");
        stdout
    }

    /// It fails, and says so.
    fn fails(&self, words: &[&str], saying: &str) {
        let (code, stdout, stderr) = self.ask(words);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{words:?}: {stderr}");
        assert!(stderr.contains(saying), "{words:?}: {stderr}");
    }

    /// The agent on that host, once it is as wanted.
    fn agent(&self, host: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let list: Value = serde_json::from_str(&self.must(&["--json"])).unwrap();
            let agents = list.as_array().expect("a list");
            if let Some(agent) = agents.iter().find(|agent| agent["hostname"] == host && wanted(agent)) {
                return agent.clone();
            }
            assert!(begin.elapsed() < PATIENCE, "{list:#}");
        }
    }
}

#[test]
fn agents_are_listed_and_changed() {
    let mut cluster = Cluster::start();
    let table = cluster.must(&[]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("ID ") && lines[0].ends_with("ATTRIBUTES"), "{table}");
    assert!(lines.len() == 3 && lines[1].contains("  active "), "{table}");
    assert!(lines[1].contains(" 0/4 ") && lines[1].ends_with("rack:one"), "{table}");

    // By the end of the id, by the host.
    let said = cluster.must(&["deactivate", "S0"]);
    assert!(said.ends_with("-S0 on one gets no offers; what runs there goes on"), "{said}");
    assert_eq!(cluster.agent("one", |_| true)["state"], "deactivated");
    assert!(cluster.must(&["reactivate", "one"]).ends_with("on one gets offers again"));
    assert!(cluster.must(&["reactivate", "one"]).ends_with("on one gets offers already"));
    cluster
        .fails(&["drain", "three"], "there is no agent 'three'; 'meseta agents' lists those that there are");
    cluster.fails(&["drain"], "'meseta agents drain' takes agents: ids");
    cluster.fails(&["empty"], "there is no 'meseta agents empty'");
    cluster.fails(&["gone", "one", "--wait"], "it is for 'meseta agents drain'");
    cluster.fails(&["drain", "one", "--max_grace_period=soon"], "max_grace_period");

    // Both at a time.
    let said = cluster.must(&["drain", "one", "two", "--wait", "--max_grace_period=5secs"]);
    assert_eq!(said.matches("is being drained").count(), 2, "{said}");
    assert_eq!(said.matches(" is drained").count(), 2, "{said}");
    let one = cluster.agent("one", |_| true);
    assert_eq!(one["drain"]["max_grace_period_seconds"], 5.0);
    assert_eq!(one["state"], "drained");
    cluster.must(&["reactivate", "one", "two"]);

    // One that is emptied for good, and one that is given up.
    let said = cluster.must(&["drain", "one", "--mark_gone", "--wait"]);
    assert!(said.ends_with("on one is gone"), "{said}");
    let (status, _, stderr) = cluster.agents.remove(0).end();
    assert!(stderr.iter().any(|line| line.contains("Agent has been marked gone")), "{status} {stderr:?}");
    let id = cluster.agent("two", |_| true)["id"].as_str().expect("an id").to_owned();
    let said = cluster.must(&["gone", "two"]);
    assert!(said.contains("on two is gone: what ran there is lost"), "{said}");
    assert_eq!(cluster.must(&["gone", &id]), format!("agent {id} is gone already"));
    cluster.fails(&["reactivate", &id], "is gone for good: its machine can only join as a new agent");
    assert_eq!(cluster.must(&["list"]).lines().count(), 1);
}

impl Cluster {
    /// A job whose task runs, and pays no heed to TERM.
    fn job(&self, mark: &str) -> Meseta {
        let (master, mark) = (format!("--master={}", self.address), format!("--env=MESETA_TEST_MARK={mark}"));
        let stubborn = "--command=trap '' TERM; while :; do sleep 1; done";
        let words =
            ["run", &master, &mark, "--resources=cpus:0.1;mem:32", "--kill_grace_period=1hrs", stubborn];
        let mut job = Meseta::start(&words);
        job.wait_for("TASK_RUNNING");
        job
    }
}

#[test]
fn a_drain_ends_what_runs_there_and_nothing_else_begins() {
    let mut cluster = Cluster::start();
    cluster.must(&["deactivate", "two"]);
    let mut job = cluster.job("drained-771");
    let said = cluster.must(&["drain", "one", "--max_grace_period=200ms", "--wait"]);
    assert!(said.contains("it ends 1 task") && said.ends_with("on one is drained"), "{said}");
    job.wait_for("TASK_KILLED");
    let (_, stdout, stderr) = job.end();
    assert!(stdout.iter().any(|line| line.contains("AGENT_DRAINING")), "{stdout:?} {stderr:?}");
    wait_until_gone("MESETA_TEST_MARK=drained-771");
    // What comes now waits until somebody may have it.
    let master = format!("--master={}", cluster.address);
    let mut next = Meseta::start(&["run", &master, "--resources=cpus:0.1;mem:32", "--", "true"]);
    assert_eq!(cluster.agent("one", |_| true)["tasks"], 0);
    cluster.must(&["reactivate", "one"]);
    next.wait_for("TASK_FINISHED");
    drop(cluster.agents.remove(1));
}

#[test]
fn a_drain_waits_for_an_agent_that_is_away() {
    let mut cluster = Cluster::start();
    cluster.must(&["deactivate", "two"]);
    let mut job = cluster.job("drained-away-772");
    // Its task goes on without it.
    cluster.agents.remove(0).signal(Signal::SIGKILL);
    cluster.agent("one", |agent| agent["state"] == "disconnected");
    let said = cluster.must(&["drain", "one", "--max_grace_period=200ms"]);
    assert!(said.contains("it ends 1 task"), "{said}");
    let (code, _, stderr) =
        cluster.ask(&["drain", "one", "--max_grace_period=200ms", "--wait", "--timeout=1secs"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("is not drained yet (1 task left): it goes on without us"), "{stderr}");
    let (code, _, stderr) = cluster.ask(&["reactivate", "one"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("is being drained, which can't be taken back before its end"), "{stderr}");
    let back = start_agent(cluster.directory.path(), &cluster.address, "one");
    cluster.agents.push(back);
    let said = cluster.must(&["drain", "one", "--max_grace_period=200ms", "--wait"]);
    assert!(said.ends_with("on one is drained"), "{said}");
    job.wait_for("TASK_KILLED");
    wait_until_gone("MESETA_TEST_MARK=drained-away-772");
}

#[test]
fn where_no_master_is_the_command_says_so() {
    let (status, _, stderr) = Meseta::start(&["agents", "--master=127.0.0.1:1", "--timeout=1secs"]).end();
    assert_eq!(status.code(), Some(1));
    let said = stderr.last().expect("it says why");
    assert!(said.contains("no master answers that leads (127.0.0.1:1: Connection refused"), "{said}");
    assert!(said.contains("name another with --master"), "{said}");
}
