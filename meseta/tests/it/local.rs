//! `meseta local`.

use nix::sys::signal::Signal;

use crate::support::{Meseta, wait_until_gone};

#[test]
fn the_readme_command_prints_what_the_task_says_and_exits_with_its_status() {
    let (status, stdout, stderr) = Meseta::start(&["local", "--run", "echo hello from $MESOS_TASK_ID"]).end();
    assert_eq!(status.code(), Some(0), "{stderr:?}");
    assert_eq!(stdout.len(), 1, "{stdout:?}");
    assert!(stdout[0].starts_with("hello from ") && stdout[0].len() > "hello from ".len(), "{stdout:?}");
}

#[test]
fn standard_error_and_failures_come_through() {
    let (status, stdout, stderr) =
        Meseta::start(&["local", "--run", "echo out; echo err >&2; exit 42"]).end();
    assert_eq!(status.code(), Some(42), "{stderr:?}");
    assert_eq!(stdout, ["out"]);
    assert!(stderr.iter().any(|line| line == "err"), "{stderr:?}");
}

#[test]
fn a_task_that_a_signal_ended_gives_128_and_its_number() {
    let (status, _, _) = Meseta::start(&["local", "--run", "kill -9 $$"]).end();
    assert_eq!(status.code(), Some(137));
}

#[test]
fn much_output_comes_through_whole() {
    let (status, stdout, _) = Meseta::start(&["local", "--run", "seq 1 50000"]).end();
    assert_eq!(status.code(), Some(0));
    assert_eq!(stdout.len(), 50_000);
    assert!(stdout.iter().enumerate().all(|(index, line)| *line == (index + 1).to_string()));
}

#[test]
fn an_interrupt_ends_the_cluster_and_leaves_no_process_behind() {
    let script = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let environment = [("MESETA_TEST_MARK", "interrupt-local-7321")];
    let mut local = Meseta::start_with(&["local", "--run", script], &environment);
    local.wait_for("ready");
    local.signal(Signal::SIGINT);
    let (status, _, stderr) = local.end();
    assert_eq!(status.code(), Some(130), "{stderr:?}");
    wait_until_gone("MESETA_TEST_MARK=interrupt-local-7321");
}

#[test]
fn without_a_job_it_serves_until_it_is_told_to_end() {
    let mut local = Meseta::start(&["local", "--port=0", "--agents=3"]);
    let pid = local.wait_for("listening on ");
    for _ in 0..3 {
        local.wait_for("registered agent_id=");
    }
    let address = pid.split_once('@').unwrap().1.to_owned();
    let master = format!("--master={address}");
    let (status, stdout, stderr) =
        Meseta::start(&["run", &master, "--resources=cpus:0.1;mem:32", "--", "true"]).end();
    assert_eq!(status.code(), Some(0), "{stdout:?} {stderr:?}");
    local.signal(Signal::SIGTERM);
    let (status, _, stderr) = local.end();
    assert_eq!(status.code(), Some(0), "{stderr:?}");
}
