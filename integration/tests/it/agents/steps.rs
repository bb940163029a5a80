//! The agent dies at each named moment of a launch.

use nix::sys::signal::Signal;
use protocol::TaskState;

use super::site::Site;
use super::work::{Heard, Work};

/// Moments of the start: the agent is killed while a task runs, and once more on its way back.
const STARTS: &[&str] = &["store-opened", "recovery-asked", "recovered", "subscribing", "subscribed"];

/// Moments before what was asked for is durable: the task may be lost, but it must not have run.
const EARLY: &[&str] = &["checkpoint-asked", "checkpoint-written"];

/// The agent is told where to die only in debug builds.
fn can_die() -> bool {
    if !cfg!(debug_assertions) {
        println!("SKIPPED: named moments are only in debug builds");
    }
    cfg!(debug_assertions)
}

fn ran_once_and_finished(work: &Work, id: &str, heard: &Heard) {
    let states = heard.states();
    assert_eq!(states.last(), Some(&TaskState::Finished), "{id}: {heard:#?}");
    assert_eq!(work.runs(id), 1, "{id}: {heard:#?}");
}

#[test]
fn a_task_runs_once_at_whichever_step_of_its_launch_the_agent_dies() {
    if !can_die() {
        return;
    }
    let mut site = Site::start();
    let work = Work::start(&site, "steps", true);
    for step in agent::steps::ALL.iter().filter(|step| !STARTS.contains(step)) {
        site.agent().signal(Signal::SIGTERM);
        assert_eq!(site.agent_ends().code, Some(0));
        site.start_agent(&[], &[("MESETA_DIE_AT", step)]);
        work.launch(step, "sleep 0.2; exit 0");
        let ended = site.agent_ends();
        assert_eq!(ended.signal, Some(Signal::SIGKILL as i32), "{step}: {:#?}", ended.seen);
        site.start_agent(&[], &[]);
        let heard = work.wait_over(step);
        if EARLY.contains(step) && work.runs(step) == 0 {
            let states = heard.states();
            assert!(
                matches!(states.last(), Some(TaskState::Lost | TaskState::Dropped | TaskState::Finished)),
                "{step}: {heard:#?}"
            );
        } else {
            ran_once_and_finished(&work, step, &heard);
        }
        assert!(work.wrong().is_empty(), "{step}: {:#?}", work.wrong());
    }
    site.is_clean();
}

#[test]
fn a_running_task_goes_on_at_whichever_step_of_its_return_the_agent_dies() {
    if !can_die() {
        return;
    }
    let mut site = Site::start();
    let work = Work::start(&site, "returns", true);
    for step in STARTS {
        let go = site.notes().join(format!("go-{step}"));
        work.launch(step, &format!("while [ ! -e {} ]; do sleep 0.05; done; exit 0", go.display()));
        work.wait_running(step);
        site.kill_agent();
        site.begin_agent(&[], &[("MESETA_DIE_AT", step)]);
        let ended = site.agent_ends();
        assert_eq!(ended.signal, Some(Signal::SIGKILL as i32), "{step}: {:#?}", ended.seen);
        site.start_agent(&[], &[]);
        std::fs::write(&go, "").unwrap();
        ran_once_and_finished(&work, step, &work.wait_over(step));
        assert!(work.wrong().is_empty(), "{step}: {:#?}", work.wrong());
    }
    site.is_clean();
}
