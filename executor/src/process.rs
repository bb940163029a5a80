//! Processes of this machine: who descends from whom, signals, the end of whole trees. The one door to `nix`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// How what descends from a task is told from all else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All that descends from this process does: it is a child subreaper and runs one task.
    Own,
    /// Several tasks share this process: what descends from the task's first process, its process group, and whatever has this
    /// `NAME=value` in its environment.
    Marked(String),
}

/// A line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    parent: i32,
    group: i32,
    zombie: bool,
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
        Scope::Own => children("self"),
        Scope::Marked(_) => children(&first.to_string()),
    };
    let mut away = BTreeSet::new();
    let mut seen = BTreeSet::from([first]);
    while let Some(pid) = open.pop() {
        if seen.insert(pid) && getpgid(Some(Pid::from_raw(pid))).is_ok_and(|group| group.as_raw() != first) {
            away.insert(pid);
        }
        open.extend(children(&pid.to_string()).into_iter().filter(|pid| !seen.contains(pid)));
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
    for _ in 0..MAX_POLLS {
        if !kill_once(first, scope) {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
    tracing::error!(task = first, "processes of the task do not end");
}

/// As [`kill_tree`], for what is left when the first process has ended and was reaped.
pub(crate) async fn kill_rest(first: i32, scope: &Scope) {
    if *scope == Scope::Own && !reap_children() {
        return;
    }
    kill_tree(first, scope).await;
}

/// Kills what this process has adopted of a scope, and what that has started.
pub(crate) async fn kill_adopted(scope: &Scope) {
    let Scope::Marked(mark) = scope else { return };
    for pid in children("self") {
        if has_mark(pid, mark) {
            kill_tree(pid, scope).await;
        }
    }
}

/// The children of a process, as far as the kernel lists them.
fn children(pid: &str) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Kills all that descends from this process, then this process.
pub(crate) fn kill_self() -> ! {
    let own = std::process::id().cast_signed();
    for _ in 0..MAX_POLLS {
        let entries = snapshot();
        let mut doomed = below(&entries, own);
        // Nobody reaps here.
        doomed.retain(|pid| entries.get(pid).is_some_and(|entry| !entry.zombie));
        if doomed.is_empty() {
            break;
        }
        for pid in doomed {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    if getpgrp().as_raw() == own {
        signal_group(own, Signal::SIGKILL);
    }
    let _ = kill(Pid::from_raw(own), Signal::SIGKILL);
    std::process::exit(137)
}

/// Whether this process is the first one of a namespace: all others of it are below it.
fn is_first() -> bool {
    std::process::id() == 1
}

/// As [`kill_once`], by the first process of a namespace, whatever `/proc` shows: all others are the task's.
fn kill_namespace(first: i32) -> bool {
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while let Some(pid) = peek_ended() {
        // Whoever reaps that one looks again.
        if pid == first || waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)).is_err() {
            return false;
        }
    }
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, flags) != Err(Errno::ECHILD)
}

/// Sends KILL to all of a task that is alive; says whether there was anything.
fn kill_once(first: i32, scope: &Scope) -> bool {
    if *scope == Scope::Own && is_first() {
        return kill_namespace(first);
    }
    let entries = snapshot();
    let own = std::process::id().cast_signed();
    let mut doomed = match scope {
        Scope::Own => below(&entries, own),
        Scope::Marked(_) => below(&entries, first),
    };
    doomed.extend(
        entries.iter().filter(|(pid, entry)| **pid == first || entry.group == first).map(|(pid, _)| *pid),
    );
    if let Scope::Marked(mark) = scope {
        doomed.extend(entries.keys().copied().filter(|pid| *pid != own && has_mark(*pid, mark)));
    }
    let mut any = false;
    for pid in doomed {
        let Some(entry) = entries.get(&pid) else { continue };
        if !entry.zombie {
            any = true;
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        } else if entry.parent == own && pid != first && *scope == Scope::Own {
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
    }
    any
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

/// What descends from a process, itself not included.
fn below(entries: &BTreeMap<i32, Entry>, root: i32) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, entry) in entries {
        children.entry(entry.parent).or_default().push(*pid);
    }
    let mut found = BTreeSet::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for pid in children.get(&parent).into_iter().flatten() {
            if found.insert(*pid) {
                open.push(*pid);
            }
        }
    }
    found
}

/// All processes that can be seen.
fn snapshot() -> BTreeMap<i32, Entry> {
    let Ok(folder) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// Reads `pid (name) state parent group ...`; the name may hold anything, also parentheses.
fn parse_stat(line: &str) -> Option<Entry> {
    let mut words = line.get(line.rfind(')')? + 1..)?.split_whitespace();
    let zombie = matches!(words.next()?, "Z" | "X");
    Some(Entry { parent: words.next()?.parse().ok()?, group: words.next()?.parse().ok()?, zombie })
}

fn has_mark(pid: i32, mark: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()))
}

/// Whether a file can be executed by this process.
pub(crate) fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
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
    fn stat_lines_are_read_whatever_the_name() {
        let entry = parse_stat("12 (a) b) Z) S 3 4 5 0 -1").unwrap();
        assert_eq!(entry, Entry { parent: 3, group: 4, zombie: false });
        assert!(parse_stat("12 (x) Z 1 1 1").unwrap().zombie);
        assert_eq!(parse_stat("12"), None);
    }

    #[test]
    fn descendants_are_found_at_any_depth() {
        let entry = |parent| Entry { parent, group: 0, zombie: false };
        let entries =
            BTreeMap::from([(1, entry(0)), (2, entry(1)), (3, entry(2)), (4, entry(1)), (5, entry(9))]);
        assert_eq!(below(&entries, 1), BTreeSet::from([2, 3, 4]));
        assert!(below(&entries, 5).is_empty());
    }

    #[test]
    fn this_process_is_seen_with_its_environment() {
        let own = std::process::id().cast_signed();
        assert!(snapshot().contains_key(&own));
        assert!(!has_mark(own, "MESETA_NO_SUCH_NAME=1"));
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
