//! What an agent finds when it comes back.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use libactor::Clock;
use nix::sys::signal::Signal;
use protocol::{Reason, TaskState};

use super::site::{Site, pause};
use super::work::Work;
use crate::http::PATIENCE;

/// A task that ends when it is told to.
fn until(site: &Site, name: &str, code: u8) -> (PathBuf, String) {
    let go = site.notes().join(format!("go-{name}"));
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done; exit {code}", go.display());
    (go, script)
}

#[test]
fn a_task_that_ends_while_its_agent_is_away_is_reported_as_it_ended() {
    let mut site = Site::start();
    let work = Work::start(&site, "away", true);
    let (go, script) = until(&site, "away", 3);
    work.launch("ends", &script);
    let (stay, script) = until(&site, "stays", 0);
    work.launch("stays", &script);
    work.wait_running("ends");
    work.wait_running("stays");
    site.agent().signal(Signal::SIGTERM);
    let ended = site.agent_ends();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.seen);
    assert!(
        ended.seen.iter().any(|line| line.contains("2 executors go on without the agent")),
        "{:#?}",
        ended.seen
    );
    fs::write(go, "").unwrap();
    // Its process has ended before the agent is back.
    while site.processes().iter().any(|process| process.contains("go-away") && process.contains("sh ")) {
        pause();
    }
    site.start_agent(&[], &[]);
    let heard = work.wait_over("ends");
    assert_eq!(heard.states(), [TaskState::Starting, TaskState::Running, TaskState::Failed], "{heard:#?}");
    assert_eq!(heard.statuses[2].exit_status, Some(3));
    fs::write(stay, "").unwrap();
    let heard = work.wait_over("stays");
    assert_eq!(heard.states(), [TaskState::Starting, TaskState::Running, TaskState::Finished], "{heard:#?}");
    assert_eq!((work.runs("ends"), work.runs("stays")), (1, 1));
    assert_eq!(work.wrong(), [""; 0]);
    site.is_clean();
}

#[test]
fn an_executor_that_dies_while_its_agent_is_away_is_reported() {
    let mut site = Site::start();
    let work = Work::start(&site, "dies", true);
    work.launch("dies", "exec sleep 100000");
    work.wait_running("dies");
    site.kill_agent();
    let executors: Vec<i32> = executors_of(&site);
    assert!(!executors.is_empty(), "the executor lives on");
    for pid in executors {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    site.start_agent(&[], &[]);
    let heard = work.wait_over("dies");
    assert!(
        matches!(heard.states().last(), Some(TaskState::Failed | TaskState::Lost | TaskState::Gone)),
        "{heard:#?}"
    );
    assert_eq!(work.wrong(), [""; 0]);
    site.is_clean();
}

/// The command executors of a site's tasks: the parents of their processes.
fn executors_of(site: &Site) -> Vec<i32> {
    let pids = site.processes();
    let pids = pids.iter().filter_map(|process| process.split('"').nth(1)?.parse::<i32>().ok());
    let parents = pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    });
    let mut parents: Vec<i32> = parents.filter(|pid| *pid > 1).collect();
    parents.sort_unstable();
    parents.dedup();
    parents
}

#[test]
fn a_task_of_a_framework_that_does_not_checkpoint_ends_with_its_agent() {
    let mut site = Site::start();
    let work = Work::start(&site, "forgets", false);
    work.launch("lost", "exec sleep 100000");
    work.wait_running("lost");
    site.kill_agent();
    site.start_agent(&[], &[]);
    work.wait_over("lost");
    assert_eq!(work.wrong(), [""; 0]);
    site.is_clean();
}

#[test]
fn cleanup_ends_and_reports_what_was_left_and_the_next_start_is_a_new_agents() {
    let mut site = Site::start();
    let work = Work::start(&site, "cleanup", true);
    work.launch("left", "exec sleep 100000");
    work.wait_running("left");
    site.kill_agent();
    site.begin_agent(&["--recover=cleanup"], &[]);
    let ended = site.agent_ends();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.seen);
    let heard = work.wait_over("left");
    assert_ne!(heard.states().last(), Some(&TaskState::Finished), "{heard:#?}");
    site.is_clean();
    site.begin_agent(&[], &[]);
    site.agent().wait_for("registered agent_id=");
    work.launch("new", "exit 0");
    assert_eq!(work.wait_over("new").states().last(), Some(&TaskState::Finished));
    assert_eq!(work.wrong(), [""; 0]);
}

#[test]
fn what_was_added_is_taken_and_what_does_not_fit_is_refused_in_one_line() {
    let mut site = Site::start();
    let work = Work::start(&site, "changes", true);
    let (go, script) = until(&site, "changes", 0);
    work.launch("runs", &script);
    work.wait_running("runs");
    site.kill_agent();
    // More of it, and an attribute: the same agent.
    let more = "--resources=cpus:10;mem:4096;disk:1024;ports:[31000-31100]";
    site.begin_agent(&[more, "--attributes=rack:r1"], &[]);
    site.agent().wait_for("registered again agent_id=");
    site.kill_agent();
    // Equal is what it is now; else it says what has changed.
    site.begin_agent(&["--reconfiguration_policy=equal"], &[]);
    let refused = site.agent_ends();
    assert_eq!(refused.code, Some(1), "{:#?}", refused.seen);
    let last = refused.seen.last().cloned().unwrap_or_default();
    assert!(last.starts_with("meseta agent: ") && last.contains("reconfiguration_policy"), "{last}");
    // Less than what runs.
    site.begin_agent(&["--resources=cpus:0.01;mem:10;disk:1024"], &[]);
    let refused = site.agent_ends();
    assert_eq!(refused.code, Some(1), "{:#?}", refused.seen);
    let last = refused.seen.last().cloned().unwrap_or_default();
    assert!(last.starts_with("meseta agent: "), "{last}");
    site.start_agent(&[more], &[]);
    fs::write(go, "").unwrap();
    let heard = work.wait_over("runs");
    assert_eq!(heard.states(), [TaskState::Starting, TaskState::Running, TaskState::Finished], "{heard:#?}");
    assert_eq!(work.runs("runs"), 1);
    assert_eq!(work.wrong(), [""; 0]);
    site.is_clean();
}

#[test]
fn after_a_reboot_tasks_are_gone_and_the_agent_is_the_same() {
    if !cfg!(debug_assertions) {
        println!("SKIPPED: the machine's boot id can be given only to debug builds");
        return;
    }
    let mut site = Site::start();
    let boot_id = site.notes().join("boot-id");
    fs::write(&boot_id, "another start\n").unwrap();
    let work = Work::start(&site, "reboot", true);
    work.launch("gone", "exec sleep 100000");
    work.wait_running("gone");
    site.kill_agent();
    site.begin_agent(&[], &[("MESETA_BOOT_ID_FILE", boot_id.to_str().unwrap())]);
    site.agent().wait_for("registered again agent_id=");
    let heard = work.wait_over("gone");
    let last = heard.statuses.last().unwrap();
    assert_eq!((last.state, last.reason), (TaskState::Gone, Some(Reason::AgentRestarted)), "{heard:#?}");
    assert!(last.message.as_deref().is_some_and(|message| message.contains("rebooted")), "{heard:#?}");
    assert_eq!(work.wrong(), [""; 0]);
    site.is_clean();
}

#[test]
fn an_agent_that_leaves_takes_its_tasks_along() {
    let mut site = Site::start();
    let work = Work::start(&site, "leaves", true);
    work.launch("taken", "exec sleep 100000");
    work.wait_running("taken");
    site.agent().signal(Signal::SIGUSR1);
    let ended = site.agent_ends();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.seen);
    let heard = work.wait_over("taken");
    assert_ne!(heard.states().last(), Some(&TaskState::Finished));
    site.is_clean();
}

#[test]
fn executors_whose_agent_does_not_come_back_end_by_themselves() {
    let mut site = Site::start();
    site.kill_agent();
    site.start_agent(&["--recovery_timeout=1secs"], &[]);
    let work = Work::start(&site, "alone", true);
    work.launch("alone", "exec sleep 100000");
    work.wait_running("alone");
    site.kill_agent();
    let clock = Clock::real();
    let begin = clock.now();
    while !site.processes().is_empty() {
        assert!(clock.now().since(begin) < PATIENCE, "they live on: {:#?}", site.processes());
        pause();
    }
    site.start_agent(&[], &[]);
    work.wait_over("alone");
    assert_eq!(work.wrong(), [""; 0]);
    site.is_clean();
}

/// A small file system in the place of a directory, until the end of the scope.
struct Small(PathBuf);

impl Small {
    fn mount(place: PathBuf) -> Option<Self> {
        fs::create_dir_all(&place).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&place).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(place))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // What is left of it is seen by the test that left it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_the_agent_with_a_sentence_and_its_tasks_go_on() {
    let mut site = Site::start();
    site.agent().signal(Signal::SIGUSR1);
    assert_eq!(site.agent_ends().code, Some(0));
    let checkpoint = site.work_dir().join("checkpoint");
    fs::remove_dir_all(&checkpoint).unwrap();
    let Some(small) = Small::mount(checkpoint.clone()) else {
        println!("SKIPPED: nothing can be mounted");
        return;
    };
    site.start_agent(&[], &[]);
    let work = Work::start(&site, "full", true);
    let (go, script) = until(&site, "full", 0);
    work.launch("goes-on", &script);
    work.wait_running("goes-on");
    let mut filler = File::create(checkpoint.join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    work.launch("too-much", "exit 0");
    let ended = site.agent_ends();
    assert_eq!(ended.code, Some(1), "{:#?}", ended.seen);
    let last = ended.seen.last().cloned().unwrap_or_default();
    assert!(last.contains("No space left on device") && last.contains("start the agent again"), "{last}");
    drop(filler);
    fs::remove_file(checkpoint.join("filler")).unwrap();
    site.start_agent(&[], &[]);
    fs::write(go, "").unwrap();
    let heard = work.wait_over("goes-on");
    assert_eq!(heard.states(), [TaskState::Starting, TaskState::Running, TaskState::Finished], "{heard:#?}");
    work.wait_over("too-much");
    assert!(work.runs("too-much") <= 1 && work.wrong().is_empty(), "{:#?}", work.wrong());
    drop(small);
}
