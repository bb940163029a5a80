//! Process trees without cgroups: sessions, parents and a mark in the environment.
//!
//! The agent adopts orphans (it is a child subreaper), so whatever an executor leaves behind is the agent's child.
//! To a container belong: the launched process; its session; an adopted child whose environment carries the
//! container's id; and all descendants of those. What escapes: a process that leaves the session, loses its parent *and*
//! clears its environment. The cgroup kind has no such gap; this one is for agents that are not root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::ContainerId;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::os;

/// The variable that marks a container's processes.
pub(crate) const MARK: &str = "MESOS_CONTAINER_ID";
/// When a killed process is not our child nothing announces its end: look again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// An exec takes about this long.
const LOOK_AGAIN_SOON: Duration = Duration::from_millis(1);
/// How often it is looked for whose an orphan is that shows neither words nor environment. Ours: a hundred times as often as an
/// exec takes; after that it is one that hides both.
const MAX_UNDECIDED: usize = 100;

/// Launched processes of all agents in this process: whoever launched them waits for them.
static LAUNCHED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// One line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pid: i32,
    parent: i32,
    session: i32,
    zombie: bool,
}

/// Process trees found in `/proc`.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    /// Containers of an earlier life: whoever has adopted what they lost, it was not this process.
    recovered: Arc<Mutex<BTreeSet<ContainerId>>>,
}

impl Sessions {
    /// Begins to adopt orphans.
    pub(crate) fn begin() -> io::Result<Self> {
        os::adopt_orphans()?;
        Ok(Self { recovered: Arc::default() })
    }

    /// A container of an earlier life is looked after.
    pub(crate) fn recover(&self, container_id: &ContainerId) {
        self.recovered().insert(container_id.clone());
    }

    fn recovered(&self) -> std::sync::MutexGuard<'_, BTreeSet<ContainerId>> {
        self.recovered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reaps what a container has left, now that its first process has been waited for.
    pub(crate) fn leave(&self, container_id: &ContainerId, main: i32) {
        self.recovered().remove(container_id);
        leave(main);
        reap_adopted();
    }

    /// Kills a container's processes; returns when none is left.
    pub(crate) async fn end(&self, container_id: &ContainerId, main: i32) -> io::Result<()> {
        // Listening begins before the first look: no end is missed.
        let mut ended = signal(SignalKind::child())?;
        let recovered = self.recovered().contains(container_id);
        let mut looks = 0;
        loop {
            // A stopped process starts no other: stop until no new one is found, then kill all.
            let mut members = BTreeSet::new();
            let mut undecided;
            loop {
                let all = processes()?;
                let mut found = members_of(&all, container_id, main);
                // After that: who had ended when it was asked for its mark is still gone.
                undecided = orphans(&all).any(|stat| is_undecided(stat.pid));
                if recovered {
                    let living = all.values().filter(|stat| !stat.zombie).map(|stat| stat.pid);
                    found.extend(living.filter(|pid| is_marked(*pid, container_id)));
                }
                let before = members.len();
                for pid in found {
                    if members.insert(pid) {
                        os::stop(pid);
                    }
                }
                if members.len() == before {
                    break;
                }
            }
            reap_adopted();
            if members.is_empty() && undecided && looks < MAX_UNDECIDED {
                // Nothing announces the end of an exec.
                looks += 1;
                let _ = tokio::time::timeout(LOOK_AGAIN_SOON, ended.recv()).await;
                continue;
            }
            if members.is_empty() {
                return Ok(());
            }
            members.into_iter().for_each(os::kill);
            let _ = tokio::time::timeout(LOOK_AGAIN, ended.recv()).await;
        }
    }
}

/// Launches a process, of whichever kind, and says which it is: reaping it is for whoever waits for it, however soon it
/// ends.
pub(crate) fn launching<T, E>(launch: impl FnOnce() -> Result<(T, i32), E>) -> Result<T, E> {
    let mut launched = LAUNCHED.lock().unwrap_or_else(PoisonError::into_inner);
    let (made, pid) = launch()?;
    launched.insert(pid);
    Ok(made)
}

/// A process that was launched by an earlier life is looked after.
pub(crate) fn enter(main: i32) {
    LAUNCHED.lock().unwrap_or_else(PoisonError::into_inner).insert(main);
}

/// A launched process has been waited for.
pub(crate) fn leave(main: i32) {
    LAUNCHED.lock().unwrap_or_else(PoisonError::into_inner).remove(&main);
}

/// Reaps orphans as they end. Runs as long as the containerizer.
pub(crate) async fn reap_for_ever() {
    let Ok(mut ended) = signal(SignalKind::child()) else { return };
    while Signal::recv(&mut ended).await.is_some() {
        reap_adopted();
    }
}

/// Reaps ended orphans: children of this process that it did not start, which is seen from their session (the
/// launcher's descendants are in sessions of their own).
fn reap_adopted() {
    let own = stat(std::process::id() as i32).map(|stat| stat.session);
    while let Some(pid) = os::ended_child() {
        let launched = LAUNCHED.lock().unwrap_or_else(PoisonError::into_inner).contains(&pid);
        if launched || stat(pid).map(|stat| stat.session) == own {
            return; // Somebody waits for this one; the next end brings us back.
        }
        os::reap(pid);
    }
}

/// The living processes of a container whose first process is `main`.
pub(super) fn members_of(all: &BTreeMap<i32, Stat>, container_id: &ContainerId, main: i32) -> Vec<i32> {
    let own = std::process::id() as i32;
    let near = all.values().filter(|stat| stat.pid == main || stat.session == main);
    let lost = orphans(all).filter(|stat| is_marked(stat.pid, container_id));
    let mut members: BTreeSet<i32> = near.chain(lost).map(|stat| stat.pid).collect();
    loop {
        let before = members.len();
        let children = all.values().filter(|stat| members.contains(&stat.parent)).map(|stat| stat.pid);
        let children: Vec<i32> = children.collect();
        members.extend(children);
        if members.len() == before {
            break;
        }
    }
    members.remove(&own);
    members.into_iter().filter(|pid| !all[pid].zombie).collect()
}

/// Living processes that this one has adopted.
fn orphans(all: &BTreeMap<i32, Stat>) -> impl Iterator<Item = &Stat> {
    let own = std::process::id() as i32;
    let launched = LAUNCHED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    all.values().filter(move |stat| stat.parent == own && !stat.zombie && !launched.contains(&stat.pid))
}

/// Whether nobody can tell whose an orphan was: it has ended since it was seen, and may have left another, or it is being made
/// another program, and for that moment shows neither words nor environment.
fn is_undecided(pid: i32) -> bool {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}"));
    match (read("environ"), read("cmdline")) {
        (Ok(environment), Ok(words)) => environment.is_empty() && words.is_empty(),
        (Err(error), _) | (_, Err(error)) => error.kind() != io::ErrorKind::PermissionDenied,
    }
}

fn is_marked(pid: i32, container_id: &ContainerId) -> bool {
    let wanted = format!("{MARK}={container_id}");
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes()))
}

/// The ids of all processes of this machine.
pub(super) fn all_processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What `/proc` says of the processes of this machine.
pub(super) fn processes() -> io::Result<BTreeMap<i32, Stat>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(stat) = stat(pid) {
            all.insert(pid, stat);
        }
    }
    Ok(all)
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (name) state parent group session ...`; the name may hold anything, parentheses included.
fn parse_stat(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(") ")?;
    let pid = head.split(' ').next()?.parse().ok()?;
    let mut fields = tail.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Stat { pid, parent, session, zombie: matches!(state, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_parentheses() {
        let stat = parse_stat("42 (a) R 1 (b) S 7 42 40 0 -1 4194560").unwrap();
        assert_eq!(stat, Stat { pid: 42, parent: 7, session: 40, zombie: false });
        assert!(parse_stat("42 (sh) Z 7 42 40 0").unwrap().zombie);
        assert_eq!(parse_stat("42 (sh"), None);
    }

    #[test]
    fn descendants_belong_and_others_do_not() {
        let process = |pid, parent, session| (pid, Stat { pid, parent, session, zombie: false });
        let all = BTreeMap::from([
            process(10, 1, 10),
            process(11, 10, 10),
            process(12, 11, 12),
            process(13, 12, 12),
            process(14, 1, 10),
            process(20, 1, 20),
        ]);
        assert_eq!(members_of(&all, &"none".into(), 10), [10, 11, 12, 13, 14]);
    }
}
