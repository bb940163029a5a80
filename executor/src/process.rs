//! Processes of this machine: who descends from whom, signals, the end of whole trees. The one door to `nix`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libactor::processes::{self, Environment, Found, Look, Stat, children};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{AccessFlags, Pid, User, access, geteuid, getpgid, getpgrp};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// How often the end of a tree is looked for.
const POLL: Duration = Duration::from_millis(2);
/// How many times at most; what still lives then does not react to KILL.
const MAX_POLLS: u32 = 1_000;
/// How many times at most where all that is left are processes whose environment nobody can read now. Ours: far longer than an exec
/// takes on a machine that is busy.
const MAX_UNDECIDED_POLLS: u32 = 500;

/// How what descends from a task is told from all else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All that descends from this process does: it is a child subreaper and runs one task.
    Own,
    /// Several tasks share this process: what descends from the task's first process, its process group, and whatever has this
    /// `NAME=value` in its environment.
    Marked(String),
}

/// Children that somebody waits for. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Awaited(Arc<Register>);

#[derive(Debug, Default)]
struct Register {
    pids: Mutex<BTreeSet<i32>>,
    left: Notify,
}

/// A child that somebody waits for, until this is dropped.
#[derive(Debug)]
pub(crate) struct AwaitedChild {
    pid: i32,
    register: Arc<Register>,
}

impl Register {
    /// A panic elsewhere leaves a set of numbers as good as it was.
    fn pids(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AwaitedChild {
    fn drop(&mut self) {
        self.register.pids().remove(&self.pid);
        self.register.left.notify_one();
    }
}

impl Awaited {
    /// A child was started, and will be waited for.
    pub(crate) fn add(&self, pid: i32) -> AwaitedChild {
        self.0.pids().insert(pid);
        AwaitedChild { pid, register: self.0.clone() }
    }

    /// Reaps whatever ends below this process and nobody waits for: a task that runs for long may leave many orphans, and each
    /// that is not reaped holds a process id. Only where this process is a subreaper, or the first one of a namespace, and all
    /// other children are in the register.
    ///
    /// # Errors
    /// If the system does not tell of children that end.
    pub(crate) async fn reap_others(self) -> std::io::Result<()> {
        let mut ended = signal(SignalKind::child())?;
        loop {
            self.reap_now();
            tokio::select! {
                _ = ended.recv() => {}
                // It may have stood before others.
                () = self.0.left.notified() => {}
            }
        }
    }

    fn reap_now(&self) {
        while let Some(pid) = peek_ended()
            && !self.0.pids().contains(&pid)
        {
            if waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)).is_err() {
                return;
            }
        }
    }
}

/// A child that has ended and is not reaped.
fn peek_ended() -> Option<i32> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::All, flags) {
            Err(Errno::EINTR) => {}
            Ok(status) => return status.pid().map(Pid::as_raw),
            Err(_) => return None,
        }
    }
}

/// Makes orphans below this process its children, so that none gets away.
pub(crate) fn become_subreaper() -> Result<(), Errno> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// Asks a task to end: TERM to the process group of its first process, and to what descends from it and has left the group.
/// Only what the kernel lists as children is found: looking at every process of the machine would make many kills slow.
pub(crate) fn terminate(first: i32, scope: &Scope) {
    let mut open = match scope {
        Scope::Own => children(own()),
        Scope::Marked(_) => children(first),
    };
    let mut away = BTreeSet::new();
    let mut seen = BTreeSet::from([first]);
    while let Some(pid) = open.pop() {
        if seen.insert(pid) && getpgid(Some(Pid::from_raw(pid))).is_ok_and(|group| group.as_raw() != first) {
            away.insert(pid);
        }
        open.extend(children(pid).into_iter().filter(|pid| !seen.contains(pid)));
    }
    signal_group(first, Signal::SIGTERM);
    for pid in away {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

/// Sends KILL to a process group; one that is gone is no error.
pub(crate) fn kill_group(group: i32) {
    signal_group(group, Signal::SIGKILL);
}

fn signal_group(group: i32, signal: Signal) {
    match killpg(Pid::from_raw(group), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!(group, %signal, %error, "the process group was not signalled"),
    }
}

/// Kills all that is left of a task and waits until it is gone. `first` is the task's first process; whoever
/// started that also reaps it.
pub(crate) async fn kill_tree(first: i32, scope: &Scope) {
    kill_all(Some(first), scope).await;
}

/// As [`kill_tree`], for what is left when the first process has ended and was reaped.
pub(crate) async fn kill_rest(first: i32, scope: &Scope) {
    if *scope == Scope::Own && !reap_children() {
        return;
    }
    kill_all(Some(first), scope).await;
}

/// Kills what this process has adopted of a scope, and what that has started.
pub(crate) async fn kill_adopted(scope: &Scope) {
    let Scope::Marked(mark) = scope else { return };
    // One that has just ended may have left another.
    let may_be = |stat: Stat| {
        let environment = Environment::of(&stat);
        environment == Environment::Unsettled || environment.has(mark.as_bytes())
    };
    if children(own()).into_iter().filter_map(Stat::of).any(may_be) {
        kill_all(None, scope).await;
    }
}

async fn kill_all(first: Option<i32>, scope: &Scope) {
    let mut undecided = 0;
    for _ in 0..MAX_POLLS {
        match kill_once(first, scope) {
            Left::Nothing => return,
            Left::Living => undecided = 0,
            Left::Undecided if undecided == MAX_UNDECIDED_POLLS => {
                tracing::warn!(
                    task = first,
                    "processes may be left of the task: nobody can tell whose they are"
                );
                return;
            }
            Left::Undecided => undecided += 1,
        }
        tokio::time::sleep(POLL).await;
    }
    tracing::error!(task = first, "processes of the task do not end");
}

fn own() -> i32 {
    std::process::id().cast_signed()
}

/// Kills all that descends from this process, then this process.
pub(crate) fn kill_self() -> ! {
    for _ in 0..MAX_POLLS {
        // Nobody reaps here.
        let found = processes::hunt(|look| descendants(look.seen()), kill_now);
        if found.map_or(true, |found| found.is_over()) {
            break;
        }
    }
    if getpgrp().as_raw() == own() {
        signal_group(own(), Signal::SIGKILL);
    }
    kill_now(own());
    std::process::exit(137)
}

fn kill_now(pid: i32) {
    // One that is gone needs none.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

/// The living processes below this one.
fn descendants(all: &BTreeMap<i32, Stat>) -> Found {
    Found::of(living(all, below(all, [own()])))
}

fn living(all: &BTreeMap<i32, Stat>, mut pids: BTreeSet<i32>) -> BTreeSet<i32> {
    pids.retain(|pid| all.get(pid).is_some_and(Stat::lives));
    pids
}

/// What a task has after all that was found has been sent KILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Living,
    /// Nobody could tell of some processes whether they are the task's.
    Undecided,
}

/// Whether this process is the first one of a namespace: all others of it are below it.
fn is_first() -> bool {
    std::process::id() == 1
}

/// As [`kill_once`], by the first process of a namespace, whatever `/proc` shows: all others are the task's. Says whether any is
/// left.
fn kill_namespace(first: Option<i32>) -> bool {
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while let Some(pid) = peek_ended() {
        // Whoever reaps that one looks again.
        if Some(pid) == first || waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)).is_err() {
            return false;
        }
    }
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags) != Err(Errno::ECHILD)
}

/// Sends KILL to all of a task that is alive, and to what that has started meanwhile.
fn kill_once(first: Option<i32>, scope: &Scope) -> Left {
    if *scope == Scope::Own && is_first() {
        return if kill_namespace(first) { Left::Living } else { Left::Nothing };
    }
    // Whom the mark has told from the task's processes, by their beginnings.
    let mut others = BTreeMap::new();
    match processes::hunt(|look| found(look, first, scope, &mut others), kill_now) {
        Ok(found) if found.is_over() => Left::Nothing,
        Ok(found) if found.pids.is_empty() => Left::Undecided,
        Ok(_) => Left::Living,
        Err(error) => {
            tracing::error!(%error, "processes can't be looked for: only the task's process group is killed");
            first.inspect(|first| kill_group(*first));
            Left::Nothing
        }
    }
}

/// The living processes of a task among those that were seen.
fn found(look: &Look, first: Option<i32>, scope: &Scope, others: &mut BTreeMap<i32, u64>) -> Found {
    let all = look.seen();
    let Scope::Marked(mark) = scope else {
        let ended = all.values().filter(|stat| stat.is_unreaped() && stat.parent == own());
        for stat in ended.filter(|stat| Some(stat.pid) != first) {
            let _ = waitpid(Pid::from_raw(stat.pid), Some(WaitPidFlag::WNOHANG));
        }
        return descendants(all);
    };
    let near = all.values().filter(|stat| Some(stat.pid) == first || Some(stat.group) == first);
    let mut found = Found::of(near.map(|stat| stat.pid).collect());
    for stat in all.values().filter(|stat| stat.lives() && stat.pid != own()) {
        let known = others.get(&stat.pid) == Some(&stat.began);
        let is_mark = |environment: &Environment| environment.has(mark.as_bytes());
        if !known && !found.pids.contains(&stat.pid) && !found.add(stat, Environment::of(stat), is_mark) {
            others.insert(stat.pid, stat.began);
        }
    }
    let roots: Vec<i32> = found.pids.iter().copied().chain(first).collect();
    found.pids.extend(below(all, roots));
    found.pids.remove(&own());
    found.pids = living(all, found.pids);
    found
}

/// Reaps children that have ended; says whether others live. Only where no child of ours is waited for elsewhere.
fn reap_children() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// What descends from these, they themselves not included.
fn below(all: &BTreeMap<i32, Stat>, roots: impl IntoIterator<Item = i32>) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for stat in all.values() {
        children.entry(stat.parent).or_default().push(stat.pid);
    }
    let mut found = BTreeSet::new();
    let mut open = Vec::from_iter(roots);
    while let Some(parent) = open.pop() {
        for pid in children.get(&parent).into_iter().flatten() {
            if found.insert(*pid) {
                open.push(*pid);
            }
        }
    }
    found
}

/// Whether a file can be executed by this process.
pub(crate) fn is_program(path: &Path) -> bool {
    access(path, AccessFlags::X_OK).is_ok() && path.is_file()
}

/// Whether a file could not be executed for what is in it.
pub(crate) fn is_no_program(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ENOEXEC as i32)
}

/// Whose rights a command gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// What it takes to run as a user; `None`: nothing, this process does already.
pub(crate) fn identity(user: &str) -> Result<Option<Identity>, String> {
    let found = match User::from_name(user) {
        Ok(Some(found)) => found,
        Ok(None) => return Err(format!("there is no user '{user}'")),
        Err(error) => return Err(format!("the user '{user}' can't be looked up: {error}")),
    };
    if found.uid == geteuid() {
        return Ok(None);
    }
    if !geteuid().is_root() {
        return Err(format!("only root can run a command as user '{user}'"));
    }
    Ok(Some(Identity { uid: found.uid.as_raw(), gid: found.gid.as_raw() }))
}

/// What `strsignal` calls a signal.
pub(crate) fn signal_name(number: i32) -> String {
    let Ok(signal) = Signal::try_from(number) else { return number.to_string() };
    let name = match signal {
        Signal::SIGHUP => "Hangup",
        Signal::SIGINT => "Interrupt",
        Signal::SIGQUIT => "Quit",
        Signal::SIGILL => "Illegal instruction",
        Signal::SIGTRAP => "Trace/breakpoint trap",
        Signal::SIGABRT => "Aborted",
        Signal::SIGBUS => "Bus error",
        Signal::SIGFPE => "Floating point exception",
        Signal::SIGKILL => "Killed",
        Signal::SIGUSR1 => "User defined signal 1",
        Signal::SIGSEGV => "Segmentation fault",
        Signal::SIGUSR2 => "User defined signal 2",
        Signal::SIGPIPE => "Broken pipe",
        Signal::SIGALRM => "Alarm clock",
        Signal::SIGTERM => "Terminated",
        Signal::SIGXCPU => "CPU time limit exceeded",
        Signal::SIGXFSZ => "File size limit exceeded",
        other => other.as_str(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found_at_any_depth() {
        let process = |pid, parent| (pid, Stat { pid, parent, ..Stat::default() });
        let all = BTreeMap::from([process(1, 0), process(2, 1), process(3, 2), process(4, 1), process(5, 9)]);
        assert_eq!(below(&all, [1]), BTreeSet::from([2, 3, 4]));
        assert!(below(&all, [5]).is_empty());
    }

    #[test]
    fn users_are_looked_up() {
        assert!(identity("no-such-user-here").unwrap_err().contains("no user"));
        let me = User::from_uid(geteuid()).unwrap().unwrap();
        assert_eq!(identity(&me.name), Ok(None));
    }

    #[test]
    fn signals_have_the_names_that_people_know() {
        assert_eq!(signal_name(9), "Killed");
        assert_eq!(signal_name(15), "Terminated");
        assert_eq!(signal_name(1_000), "1000");
    }
}
