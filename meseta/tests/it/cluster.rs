//! A master, an agent and `meseta run`, each a process of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::support::{Meseta, PATIENCE, TwoDaemons, start_agent, start_master, wait_until_gone};

fn run(address: &str, words: &[&str]) -> Meseta {
    let master = format!("--master={address}");
    Meseta::start(&[&["run", &master, "--resources=cpus:0.1;mem:32"], words].concat())
}

#[test]
fn a_job_of_several_tasks_runs_and_its_failure_is_the_exit_status() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = TwoDaemons::start(directory.path());
    let (status, stdout, stderr) =
        run(&cluster.address, &["--instances=5", "--name=many", "--", "true"]).end();
    assert_eq!(status.code(), Some(0), "{stdout:?} {stderr:?}");
    for index in 0..5 {
        let finished = format!("many-{index} TASK_FINISHED");
        assert!(stdout.iter().any(|line| line.contains(&finished)), "{stdout:?}");
    }
    let (status, stdout, _) = run(&cluster.address, &["--command=exit 7"]).end();
    assert_eq!(status.code(), Some(7), "{stdout:?}");
    assert!(
        stdout.iter().any(|line| line.contains("TASK_FAILED") && line.contains("exited with status 7")),
        "{stdout:?}"
    );
    let (status, _, _) =
        run(&cluster.address, &["--env=GREETING=hello", "--command=test $GREETING = hello"]).end();
    assert_eq!(status.code(), Some(0));
}

/// A container takes several descriptors of its agent, which must not run out of them; programs that use `select` can't have many.
#[test]
fn daemons_open_as_many_files_as_they_may_and_tasks_what_their_agent_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let work_dir = |name: &str| format!("--work_dir={}", directory.path().join(name).display());
    let mut master =
        Meseta::start_with_few_files(&["master", &work_dir("master"), "--ip=127.0.0.1", "--port=0"], 300);
    let address = master.wait_for("listening on ").split_once('@').expect("a pid").1.to_owned();
    let words = ["agent", &work_dir("agent"), &format!("--master={address}"), "--ip=127.0.0.1", "--port=0"];
    let mut agent = Meseta::start_with_few_files(&words, 300);
    agent.wait_for("core::registration: registered");
    for daemon in [&master, &agent] {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let [soft, hard, _] = line.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(soft == hard && soft != "300", "{line}");
    }
    let (status, stdout, stderr) = run(&address, &["--command=test $(ulimit -Sn) = 300"]).end();
    assert_eq!(status.code(), Some(0), "{stdout:?} {stderr:?}");
}

#[test]
fn a_job_that_fits_no_offer_says_what_was_offered_and_can_be_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = TwoDaemons::start(directory.path());
    let master = format!("--master={}", cluster.address);
    let mut job = Meseta::start(&["run", &master, "--resources=cpus:64;mem:32", "--", "true"]);
    job.wait_for("each needs cpus:64;mem:32; the biggest offer so far is cpus:4;");
    job.signal(Signal::SIGINT);
    let (status, stdout, stderr) = job.end();
    assert_eq!(status.code(), Some(130), "{stdout:?} {stderr:?}");
}

#[test]
fn an_interrupted_run_kills_its_task_even_one_that_ignores_it_and_hides() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = TwoDaemons::start(directory.path());
    let script = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' &) ; while :; do sleep 1; done";
    let mark = "--env=MESETA_TEST_MARK=interrupted-run-551";
    let mut job = run(&cluster.address, &[mark, "--kill_grace_period=100ms", &format!("--command={script}")]);
    job.wait_for("TASK_RUNNING");
    job.signal(Signal::SIGINT);
    job.wait_for("TASK_KILLED");
    let (status, ..) = job.end();
    assert_eq!(status.code(), Some(130));
    wait_until_gone("MESETA_TEST_MARK=interrupted-run-551");
}

#[test]
fn a_job_goes_on_when_its_agent_is_killed_with_9_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = TwoDaemons::start(directory.path());
    let mark = format!("MESETA_TEST_MARK=killed-agent-{}", std::process::id());
    let mut job = run(&cluster.address, &[&format!("--env={mark}"), "--command=sleep 1000"]);
    job.wait_for("TASK_RUNNING");
    cluster.agent.signal(Signal::SIGKILL);
    cluster.agent.end();
    let _agent = start_agent(directory.path(), &cluster.address);
    let (status, stdout, _) = run(&cluster.address, &["--", "true"]).end();
    assert_eq!(status.code(), Some(0), "{stdout:?}");
    job.signal(Signal::SIGINT);
    job.wait_for("TASK_KILLED");
    let (status, stdout, _) = job.end();
    assert_eq!(status.code(), Some(130), "{stdout:?}");
    wait_until_gone(&mark);
}

#[test]
fn daemons_end_cleanly_when_told_to_and_take_their_tasks_along() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = TwoDaemons::start(directory.path());
    let mark = "--env=MESETA_TEST_MARK=clean-end-17";
    let mut job = run(&cluster.address, &[mark, "--command=sleep 1000"]);
    job.wait_for("TASK_RUNNING");
    cluster.agent.signal(Signal::SIGUSR1);
    let (status, _, stderr) = cluster.agent.end();
    assert_eq!(status.code(), Some(0), "{stderr:?}");
    wait_until_gone("MESETA_TEST_MARK=clean-end-17");
    cluster.master.signal(Signal::SIGTERM);
    let (status, _, stderr) = cluster.master.end();
    assert_eq!(status.code(), Some(0), "{stderr:?}");
}

#[test]
fn garbage_on_the_port_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = TwoDaemons::start(directory.path());
    let noise: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (beginning, rest) in [
        (&b""[..], &noise[..]),
        (b"GET / HT", &noise),
        (b"POST /master/x HTTP/1.1\r\n", &noise),
        (b"\0\0\0\0", &[]),
    ] {
        let mut socket = TcpStream::connect(&cluster.address).unwrap();
        socket.write_all(beginning).unwrap();
        // The node may close while we write: that is its right.
        socket.write_all(rest).ok();
    }
    let (status, stdout, _) = run(&cluster.address, &["--", "true"]).end();
    assert_eq!(status.code(), Some(0), "{stdout:?}");
}

#[test]
fn a_master_that_is_gone_is_told_once_to_who_runs_a_job() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = TwoDaemons::start(directory.path());
    let mark = "MESETA_TEST_MARK=left-alone-83";
    let mut job = run(&cluster.address, &[&format!("--env={mark}"), "--command=sleep 1000"]);
    job.wait_for("TASK_RUNNING");
    cluster.master.signal(Signal::SIGKILL);
    job.wait_for("the master is away; looking for it");
    job.wait_for("no master answers as the leader");
    job.signal(Signal::SIGINT);
    job.signal(Signal::SIGTERM);
    let (status, _, stderr) = job.end();
    assert!(matches!(status.code(), Some(130 | 143)), "{status:?}");
    assert_eq!(stderr.len(), 2, "{stderr:#?}");
    // Nobody could have its task killed; killed itself it would leave it, to wait for the next life.
    cluster.agent.signal(Signal::SIGUSR1);
    cluster.agent.end();
    wait_until_gone(mark);
}

/// Both are given a list; the first of it is nobody.
#[test]
fn an_agent_and_a_job_find_the_master_of_a_list_and_find_it_again_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let (master, address) = start_master(directory.path());
    let list = format!("127.0.0.1:1,master@{address}");
    let mut agent = start_agent(directory.path(), &list);
    let mut job = run(&list, &["--command=sleep 1000"]);
    job.wait_for("TASK_RUNNING");
    master.signal(Signal::SIGKILL);
    master.end();
    job.wait_for("the master is away; looking for it");
    agent.wait_for("no leader is known any more");
    let work_dir = format!("--work_dir={}", directory.path().join("master").display());
    let port = format!("--port={}", address.rsplit_once(':').unwrap().1);
    let _again = Meseta::start(&["master", &work_dir, "--ip=127.0.0.1", &port]);
    agent.wait_for("registered again agent_id=");
    // It is subscribed again: it can kill its task.
    job.signal(Signal::SIGINT);
    job.wait_for("TASK_KILLED");
    let (status, ..) = job.end();
    assert_eq!(status.code(), Some(130));
}

#[test]
fn the_logs_tell_each_event_once_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = TwoDaemons::start(directory.path());
    let (status, ..) = run(&cluster.address, &["--name=bad", "--command=exit 3"]).end();
    assert_eq!(status.code(), Some(3));
    let (status, ..) = run(&cluster.address, &["--name=nobody", "--user=no-such-user", "--", "true"]).end();
    assert_eq!(status.code(), Some(1));
    cluster.agent.signal(Signal::SIGUSR1);
    let (.., agent) = cluster.agent.end();
    // Not before it is in the registry.
    cluster.master.wait_for("the agent is lost agent_id=");
    cluster.master.signal(Signal::SIGTERM);
    let (.., master) = cluster.master.end();
    for (log, text, times) in [
        (&master, "the agent is registered agent_id=", 1),
        (&master, "the framework is subscribed framework_id=", 2),
        (&master, "the framework is removed framework_id=", 2),
        (&master, "task_id=bad agent_id=", 1),
        (&master, "task_id=nobody agent_id=", 1),
        (&master, "the agent is lost agent_id=", 1),
        (&master, "ending signal=15", 1),
        (&agent, "registered agent_id=", 1),
        (&agent, "launching an executor executor_id=bad ", 1),
        (&agent, "the executor is gone executor_id=bad ", 1),
        (&agent, "the executor can't be launched executor_id=nobody ", 1),
        (&agent, "there is no user 'no-such-user' on this agent", 1),
    ] {
        let found = log.iter().filter(|line| line.contains(text)).count();
        assert_eq!(found, times, "'{text}' in {log:#?}");
    }
}

fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn operators_can_look_at_the_master_over_http() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = TwoDaemons::start(directory.path());
    for (path, expected) in [
        ("/health", ""),
        ("/master/health", ""),
        ("/state", "\"slaves\""),
        ("/master/state", "\"frameworks\""),
        ("/version", "\"version\""),
        ("/metrics/snapshot", "\"master/"),
        ("/metrics", "# TYPE"),
        ("/__processes__", "master"),
        ("/help", "/state"),
    ] {
        let answer = get(&cluster.address, path);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert!(answer.contains(expected), "{path}: {answer}");
    }
    assert!(get(&cluster.address, "/nonexistent").starts_with("HTTP/1.1 404 "));
    assert!(get(&cluster.address, "/master/../etc/passwd").starts_with("HTTP/1.1 404 "));
}
