//! Processes of these tests' own making.

use std::io::BufReader;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use super::*;

/// A child that is killed with the test.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Owned {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    fn stat(&self) -> Stat {
        Stat::of(self.pid()).unwrap()
    }
}

fn own() -> i32 {
    std::process::id().cast_signed()
}

#[test]
fn what_is_made_after_a_look_is_found_by_the_next_step() {
    let mut look = Look::new().unwrap();
    assert!(look.seen()[&own()].lives());
    let child = Owned::start(&mut Command::new("cat"));
    assert!(!look.seen().contains_key(&child.pid()));
    look.follow().unwrap();
    assert!(look.is_settled() && look.made().contains(&child.pid()));
    assert_eq!(look.seen()[&child.pid()].parent, own());
    let pid = child.pid();
    drop(child);
    look.again([pid]);
    assert!(!look.seen().contains_key(&pid));
}

#[test]
fn one_that_lost_its_parent_while_all_were_looked_at_has_its_new_one() {
    let mut first = Owned::start(Command::new("/bin/sh").args(["-c", "sleep 1000 & echo $!; read x"]));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut BufReader::new(first.0.stdout.take().unwrap()), &mut line).unwrap();
    let second: i32 = line.trim().parse().unwrap();
    let mut look = Look::new().unwrap();
    assert_eq!(look.seen()[&second].parent, first.pid());
    // As it is read where the parent was named before its child, and ended in between.
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    look.again([first.pid()]);
    let next = Owned::start(&mut Command::new("cat"));
    look.follow().unwrap();
    assert!(look.seen().contains_key(&next.pid()));
    let parent = look.seen()[&second].parent;
    assert!(parent != first.pid() && look.seen()[&parent].lives());
    assert!(Command::new("kill").args(["-KILL", line.trim()]).status().unwrap().success());
}

#[test]
fn a_hunt_goes_on_with_what_is_made_meanwhile() {
    let mut children = vec![Owned::start(Command::new("cat").env("HUNTED", "1"))];
    let mut seized = Vec::new();
    let wanted = |look: &Look| {
        let mut found = Found::default();
        for stat in look.seen().values().filter(|stat| stat.parent == own()) {
            found.add(stat, Environment::of(stat), |environment| environment.has(b"HUNTED=1"));
        }
        found
    };
    let start = |pid| {
        seized.push(pid);
        if seized.len() < 4 {
            children.push(Owned::start(Command::new("cat").env("HUNTED", "1")));
        }
    };
    let found = hunt(wanted, start).unwrap();
    let all: Vec<i32> = children.iter().map(Owned::pid).collect();
    assert_eq!(seized, all);
    assert!(all.iter().all(|pid| found.pids.contains(pid)) && !found.is_over());
}

#[test]
fn an_environment_is_read() {
    let mut command = Command::new("cat");
    command.env_clear().env("COLOUR", "red").env("EMPTY", "");
    let child = Owned::start(&mut command);
    let environment = Environment::of(&child.stat());
    assert!(environment.has(b"COLOUR=red") && environment.has(b"EMPTY="));
    assert!(!environment.has(b"COLOUR=re") && !environment.has(b"COLOUR"));
    assert_eq!(environment.value("COLOUR"), Some(&b"red"[..]));
    assert_eq!(environment.value("COLOU"), None);
}

/// It is one that hides nothing, and is no reason to look again.
#[test]
fn an_empty_environment_is_one() {
    let child = Owned::start(Command::new("cat").env_clear());
    assert_eq!(Environment::of(&child.stat()), Environment::Entries(Vec::new()));
}

#[test]
fn nobody_can_tell_the_environment_of_what_has_ended() {
    let mut child = Owned::start(&mut Command::new("cat"));
    let seen = child.stat();
    child.0.kill().unwrap();
    while !child.stat().is_unreaped() {
        std::thread::yield_now();
    }
    assert_eq!(Environment::of(&seen), Environment::Unsettled, "it is there, but has none");
    child.0.wait().unwrap();
    assert_eq!(Environment::of(&seen), Environment::Unsettled, "it is not there");
}

#[test]
fn a_thread_of_the_kernel_has_none() {
    let Some(kernel) = all().unwrap().into_values().find(Stat::is_kernel) else {
        eprintln!("SKIPPED: the kernel's threads are not to be seen here");
        return;
    };
    assert_eq!(Environment::of(&kernel), Environment::Entries(Vec::new()));
}

/// At each moment a program has its environment, or nobody can tell: never another one.
#[test]
fn a_program_that_becomes_another_all_the_time_is_not_taken_for_one_without() {
    let mut command = Command::new("/bin/sh");
    command.env("COLOUR", "red").args(["-c", r#"exec /bin/sh -c "$0" "$0""#]);
    command.arg(r#"exec /bin/sh -c "$0" "$0""#).process_group(0);
    let child = Owned::start(&mut command);
    let (mut told, mut unsettled) = (0, 0);
    while told < 2_000 {
        match Environment::of(&child.stat()) {
            Environment::Unsettled => unsettled += 1,
            // Before its first exec it is a copy of this process.
            found if !found.has(b"COLOUR=red") => assert_eq!(told, 0, "{found:?}"),
            _ => told += 1,
        }
    }
    assert!(unsettled > 0, "it was met on the way");
}

#[test]
fn children_are_listed() {
    let child = Owned::start(&mut Command::new("cat"));
    assert!(children(own()).contains(&child.pid()));
    assert!(children(child.pid()).is_empty() && children(i32::MAX).is_empty());
}
