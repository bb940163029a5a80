//! The agent dies at each named moment of a launch.

use libactor::Clock;
use nix::sys::signal::Signal;
use protocol::{Reason, TaskState};

use super::site::{Site, pause};
use super::work::{Heard, Work};
use crate::http::PATIENCE;

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

/// Attempts at one step: now and then the agent comes to it by what is left of the attempt before, and the task to an agent
/// that is away.
const ATTEMPTS: usize = 4;

/// Launches a task for an agent that does not outlive it, starts the agent again, and tells what became of the task. `None`: it
/// never came to the agent.
fn dies(site: &mut Site, work: &Work, step: &str, id: &str) -> Option<Heard> {
    site.is_clean();
    site.agent().signal(Signal::SIGTERM);
    assert_eq!(site.agent_ends().code, Some(0));
    site.start_agent(&[], &[("MESETA_DIE_AT", step)]);
    work.launch(id, "sleep 0.2; exit 0");
    let of_no_offer = |heard: &Heard| {
        heard.statuses.last().is_some_and(|status| status.reason == Some(Reason::InvalidOffers))
    };
    let clock = Clock::real();
    let begin = clock.now();
    while !site.agent().is_over() {
        let heard = work.heard(id);
        if of_no_offer(&heard) {
            return None;
        }
        assert!(clock.now().since(begin) < PATIENCE, "{step}: it does not die of {heard:#?}");
        pause();
    }
    let ended = site.agent_ends();
    assert_eq!(ended.signal, Some(Signal::SIGKILL as i32), "{step}: {:#?}", ended.seen);
    site.start_agent(&[], &[]);
    Some(work.wait_over(id)).filter(|_| EARLY.contains(&step) || work.runs(id) > 0)
}

#[test]
fn a_task_runs_once_at_whichever_step_of_its_launch_the_agent_dies() {
    if !can_die() {
        return;
    }
    let mut site = Site::start();
    let work = Work::start(&site, "steps", true);
    for step in agent::steps::ALL.iter().filter(|step| !STARTS.contains(step)) {
        let ids = (0..ATTEMPTS).map(|attempt| format!("{step}-{attempt}"));
        let mut attempts = ids.map(|id| (dies(&mut site, &work, step, &id), id));
        let begun = attempts.find_map(|(heard, id)| Some((heard?, id)));
        let (heard, id) = begun.unwrap_or_else(|| panic!("{step}: no task came through"));
        if EARLY.contains(step) && work.runs(&id) == 0 {
            let states = heard.states();
            assert!(
                matches!(states.last(), Some(TaskState::Lost | TaskState::Dropped)),
                "{step}: {heard:#?}"
            );
        } else {
            ran_once_and_finished(&work, &id, &heard);
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
