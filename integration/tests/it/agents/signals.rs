//! Signals that come while an agent or a master only begins.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use libactor::{Clock, Random};
use nix::sys::signal::Signal;
use protocol::TaskState;

use super::site::{Site, pause, wait};
use super::work::Work;
use crate::daemons::{Daemon, Ended};
use crate::http::PATIENCE;

/// Agents that are told to end at any moment of their start.
const TRIALS: u64 = 12;

/// By when an agent has started, also in a debug build.
const START_MILLIS: u64 = 200;

/// The value of a flag, which whoever reads it waits for: flags are among the first things that a program looks at.
struct Slow(PathBuf);

impl Slow {
    fn new(place: &Path, name: &str) -> Self {
        let path = place.join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self(path)
    }

    fn flag(&self, name: &str) -> String {
        format!("--{name}=file://{}", self.0.display())
    }

    /// Waits until somebody reads.
    fn wait_for_reader(&self) -> File {
        const O_NONBLOCK: i32 = 0o4000;
        let clock = Clock::real();
        let begin = clock.now();
        loop {
            match File::options().write(true).custom_flags(O_NONBLOCK).open(&self.0) {
                Ok(file) => return file,
                // Nobody reads yet: ENXIO, which has no kind of its own.
                Err(error) => assert_ne!(error.kind(), ErrorKind::NotFound, "{error}"),
            }
            assert!(clock.now().since(begin) < PATIENCE, "nobody reads {}", self.0.display());
            pause();
        }
    }
}

/// Begins an agent, and sends it a signal while it reads its flags.
fn told_while_it_reads_its_flags(site: &mut Site, signal: Signal) -> Ended {
    let slow = Slow::new(&site.notes(), signal.as_str());
    site.begin_agent(&[&slow.flag("attributes")], &[]);
    let mut value = slow.wait_for_reader();
    site.agent().signal(signal);
    value.write_all(b"rack:r1").unwrap();
    drop(value);
    site.agent_ends()
}

#[test]
fn an_agent_that_is_told_to_leave_while_it_begins_takes_along_what_still_runs() {
    let mut site = Site::start();
    let work = Work::start(&site, "early", true);
    work.launch("runs", "exec sleep 100000");
    work.wait_running("runs");
    site.kill_agent();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let ended = told_while_it_reads_its_flags(&mut site, signal);
        assert_eq!((ended.code, ended.signal), (Some(0), None), "{signal}: {:#?}", ended.seen);
        assert!(!site.processes().is_empty(), "{signal}: tasks go on");
    }
    let ended = told_while_it_reads_its_flags(&mut site, Signal::SIGUSR1);
    assert_eq!((ended.code, ended.signal), (Some(0), None), "{:#?}", ended.seen);
    site.is_clean();
    site.start_agent(&[], &[]);
    let heard = work.wait_over("runs");
    assert_ne!(heard.states().last(), Some(&TaskState::Finished), "{heard:#?}");
    assert_eq!(work.wrong(), [""; 0]);
}

#[test]
fn a_master_that_is_told_to_end_while_it_begins_ends_as_any_other() {
    let root = tempfile::tempdir().unwrap();
    let work_dir = format!("--work_dir={}", root.path().join("master").display());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let slow = Slow::new(root.path(), signal.as_str());
        let master =
            Daemon::start(&["master", &work_dir, "--ip=127.0.0.1", "--port=0", &slow.flag("hostname")]);
        let mut value = slow.wait_for_reader();
        master.signal(signal);
        value.write_all(b"localhost").unwrap();
        drop(value);
        let ended = master.end();
        assert_eq!((ended.code, ended.signal), (Some(0), None), "{signal}: {:#?}", ended.seen);
    }
}

#[test]
fn a_signal_at_any_moment_of_the_start_ends_an_agent_that_has_done_nothing_or_is_heeded() {
    let mut site = Site::start();
    site.agent().signal(Signal::SIGUSR1);
    assert_eq!(site.agent_ends().code, Some(0));
    let mut random = Random::new(1);
    let mut heeded = 0;
    for trial in 0..TRIALS {
        // One that has come to its work directory has made this.
        let lock = site.work_dir().join("agent.lock");
        std::fs::remove_file(&lock).unwrap_or_default();
        let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1];
        let signal = signals[usize::try_from(random.below(3)).unwrap()];
        site.begin_agent(&[], &[]);
        wait(Duration::from_millis(random.below(START_MILLIS)));
        site.agent().signal(signal);
        let ended = site.agent_ends();
        match ended.code {
            Some(0) => heeded += 1,
            // The system had not come to the program's first line.
            None => assert!(!lock.exists(), "{trial}, {signal}: {ended:#?}"),
            Some(_) => panic!("{trial}, {signal}: {ended:#?}"),
        }
    }
    println!("{heeded} of {TRIALS} were heeded");
    site.is_clean();
}
