//! Several masters, each a process, and `meseta masters`.

use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Meseta, PATIENCE};

/// Masters on ports that were free; on a busy machine a short silence is no dead leader.
struct Group {
    directory: tempfile::TempDir,
    ports: Vec<u16>,
    running: Vec<Option<Meseta>>,
}

impl Group {
    /// Three, which found a cluster, and room for one more.
    fn start() -> Self {
        let free: Vec<_> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = free.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(free);
        let directory = tempfile::tempdir().unwrap();
        let mut group = Self { directory, ports, running: (0..4).map(|_| None).collect() };
        let peers: Vec<_> = (1..=3).map(|id| format!("{id}={}", group.address(id))).collect();
        let peers = format!("--peers={}", peers.join(","));
        (1..=3).for_each(|id| group.launch(id, &[&peers]));
        (1..=3).for_each(|id| group.joined(id));
        group
    }

    fn address(&self, id: usize) -> String {
        format!("127.0.0.1:{}", self.ports[id - 1])
    }

    fn work_dir(&self, id: usize) -> String {
        format!("--work_dir={}", self.directory.path().join(id.to_string()).display())
    }

    fn words(&self, id: usize) -> Vec<String> {
        let port = format!("--port={}", self.ports[id - 1]);
        let rest = ["--ip=127.0.0.1", "--election_timeout=1secs"].map(ToOwned::to_owned);
        [["master".to_owned(), format!("--id={id}"), self.work_dir(id), port].to_vec(), rest.to_vec()]
            .concat()
    }

    fn launch(&mut self, id: usize, more: &[&str]) {
        let words = self.words(id);
        let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.running[id - 1] = Some(Meseta::start(&words));
    }

    fn process(&mut self, id: usize) -> &mut Meseta {
        self.running[id - 1].as_mut().expect("it runs")
    }

    fn joined(&mut self, id: usize) {
        self.process(id).wait_for("in touch with the cluster");
    }

    fn kill(&mut self, id: usize) {
        drop(self.running[id - 1].take());
    }

    /// Runs `meseta masters`, asking all; gives its exit code, its output, and its last line of complaint.
    fn ask(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let all: Vec<_> = (1..=4).map(|id| self.address(id)).collect();
        let master = format!("--master={}", all.join(","));
        let (status, stdout, stderr) = Meseta::start(&[&["masters", &master], words].concat()).end();
        (status.code(), stdout.join("\n"), stderr.last().cloned().unwrap_or_default())
    }

    fn must(&self, words: &[&str]) -> String {
        let (code, stdout, stderr) = self.ask(words);
        assert_eq!(code, Some(0), "{words:?}: {stdout} {stderr}");
        stdout
    }

    /// The status, once it is as wanted.
    fn status(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let (_, stdout, stderr) = self.ask(&["--json"]);
            let status: Value = serde_json::from_str(&stdout).unwrap_or_default();
            if wanted(&status) {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "{status:#} {stderr}");
        }
    }

    fn leader(&self) -> usize {
        let status = self.status(|status| status["leader"].is_u64());
        status["leader"].as_u64().expect("it was waited for") as usize
    }

    fn is_voter(status: &Value, id: usize) -> bool {
        let masters = status["masters"].as_array();
        let mut masters = masters.into_iter().flatten().filter(|one| one["id"] == id);
        masters.any(|one| one["role"] != "learner" && one["answers"] == true)
    }
}

#[test]
fn masters_come_and_go_while_one_leads() {
    let mut group = Group::start();
    let join = format!("--join={}", group.address(1));
    group.launch(4, &[&join]);
    group.process(4).wait_for("waiting to be taken in: 'meseta masters --master=");
    let said = group.must(&["add", &format!("4={}", group.address(4))]);
    assert!(said.contains("is taken in"), "{said}");
    // Again: it is so.
    group.must(&["add", &format!("4={}", group.address(4))]);
    let first = group.leader();
    assert_eq!(group.must(&["remove", &first.to_string()]), format!("master {first} is let go"));
    let (status, _, stderr) = group.running[first - 1].take().expect("it runs").end();
    assert_eq!(status.code(), Some(0), "{stderr:?}");
    assert!(stderr.iter().any(|line| line.contains("was removed from the cluster")), "{stderr:?}");
    let second = group.leader();
    assert_ne!(second, first);
    let text = group.must(&[]);
    assert_eq!(text.lines().count(), 5, "heads, three masters, the cluster: {text}");
    // One that is killed is missed, and comes back to what its work directory says.
    group.kill(second);
    let status = group.status(|status| status["leader"].as_u64().is_some_and(|id| id as usize != second));
    assert!(!Group::is_voter(&status, second), "{status:#}");
    group.launch(second, &[]);
    group.joined(second);
    group.status(|status| Group::is_voter(status, second));
    let third = group.leader();
    group.must(&["transfer", &second.to_string()]);
    assert_eq!(group.leader(), second);
    // One that is told to end hands over.
    group.process(second).signal(Signal::SIGTERM);
    let (status, ..) = group.running[second - 1].take().expect("it runs").end();
    assert_eq!(status.code(), Some(0));
    assert_ne!(group.leader(), second);
    let (code, _, said) = group.ask(&["remove", "9"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no master 9"), "{said} {third}");
}

#[test]
fn a_damaged_work_directory_is_refused_with_the_way_out_that_leads_out() {
    let mut group = Group::start();
    let leader = group.leader();
    let (hurt, peer) = (1 + leader % 3, group.address(leader));
    group.kill(hurt);
    let replica = group.directory.path().join(hurt.to_string()).join("replica");
    ruin(&replica.join("journal"));
    group.launch(hurt, &[]);
    let (status, _, stderr) = group.running[hurt - 1].take().expect("it was started").end();
    assert_eq!(status.code(), Some(1), "{stderr:?}");
    let said = stderr.last().expect("it says why");
    assert!(said.contains("is damaged") && said.contains("meseta masters repair --work_dir="), "{said}");
    let said = group.must(&["repair", &group.work_dir(hurt), &format!("--from-peer={peer}")]);
    assert!(said.contains("what was there is kept in") && said.contains("start it now"), "{said}");
    group.launch(hurt, &[]);
    group.joined(hurt);
    group.status(|status| Group::is_voter(status, hurt));
}

fn ruin(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::write(&path, vec![0xa5; 4096]).unwrap();
        }
    }
}

#[test]
fn who_is_not_one_of_them_is_told_so_and_they_go_on() {
    let mut group = Group::start();
    let leader = group.leader();
    // A copy of a work directory.
    let copied = 1 + leader % 3;
    group.kill(copied);
    let path = |name: &str| group.directory.path().join(name).display().to_string();
    let output = std::process::Command::new("cp")
        .args(["-r", &path(&copied.to_string()), &path("copy")])
        .output()
        .unwrap();
    assert!(output.status.success());
    let (work_dir, port) = (format!("--work_dir={}", path("copy")), format!("--port={}", group.ports[3]));
    group.launch(copied, &[]);
    group.joined(copied);
    let words = ["master", &work_dir, &port, "--ip=127.0.0.1"];
    let (status, _, stderr) = Meseta::start(&words).end();
    assert_eq!(status.code(), Some(1));
    let said = stderr.last().expect("it says why");
    assert!(said.contains(&format!("master {copied} runs already, at {}", group.address(copied))), "{said}");
    // Another number than the directory's.
    let (status, _, stderr) = Meseta::start(&[&words[..], &["--id=9"]].concat()).end();
    assert_eq!(status.code(), Some(1));
    assert!(stderr.last().is_some_and(|said| said.contains(&format!("is master {copied}'s"))), "{stderr:?}");
    // An empty work directory in the place of one that was lost.
    group.kill(copied);
    std::fs::remove_dir_all(group.directory.path().join(copied.to_string())).unwrap();
    let peers: Vec<_> = (1..=3).map(|id| format!("{id}={}", group.address(id))).collect();
    group.launch(copied, &[&format!("--peers={}", peers.join(","))]);
    let (status, _, stderr) = group.running[copied - 1].take().expect("it was started").end();
    assert_eq!(status.code(), Some(1), "{stderr:?}");
    let way_out = format!("replace {copied} {copied}={}", group.address(copied));
    assert!(stderr.iter().any(|said| said.contains(&way_out)), "{stderr:?}");
    assert_eq!(group.leader(), leader, "the others go on");
}
