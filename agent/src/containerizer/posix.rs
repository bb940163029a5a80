//! Process trees without cgroups: sessions, parents and a mark in the environment.
//!
//! The agent adopts orphans (it is a child subreaper), so whatever an executor leaves behind is the agent's child.
//! To a container belong: the launched process; its session; an adopted child whose environment carries the
//! container's id; and all descendants of those. What escapes: a process that leaves the session, loses its parent *and*
//! clears its environment. The cgroup kind has no such gap; this one is for agents that are not root.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libactor::processes::{self, Environment, Found, Look, Stat};
use protocol::ContainerId;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::os;

/// The variable that marks a container's processes.
pub(crate) const MARK: &str = "MESOS_CONTAINER_ID";
/// When a killed process is not our child nothing announces its end: look again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// An exec takes about this long.
const LOOK_AGAIN_SOON: Duration = Duration::from_millis(1);
/// How often it is looked for whose a process is where nobody can tell. Ours: far longer than an exec takes on a machine that is
/// busy; after that it is one that the kernel holds while it ends.
const MAX_UNDECIDED: usize = 2_000;

/// Launched processes of all agents in this process: whoever launched them waits for them.
static LAUNCHED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Process trees found in `/proc`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Containers of an earlier life: whoever has adopted what they lost, it was not this process.
    recovered: BTreeSet<ContainerId>,
    /// Processes, with their beginnings, of which it could not be told whose they are: they are not waited for again.
    given_up: BTreeSet<(i32, u64)>,
}

/// A container whose processes are looked for.
struct Wanted<'a> {
    container_id: &'a ContainerId,
    main: i32,
    /// Whether the first process has been waited for: whatever runs with its id is another one.
    waited: bool,
    /// When the first process began, if the first look has found it.
    began: Option<Option<u64>>,
    recovered: bool,
    /// Whom the mark has told from this container's, by their beginnings. For one look.
    others: BTreeMap<i32, u64>,
}

impl Sessions {
    /// Begins to adopt orphans.
    pub(crate) fn begin() -> io::Result<Self> {
        os::adopt_orphans()?;
        Ok(Self::default())
    }

    /// A container of an earlier life is looked after.
    pub(crate) fn recover(&self, container_id: &ContainerId) {
        self.state().recovered.insert(container_id.clone());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reaps what a container has left, now that its first process has been waited for.
    pub(crate) fn leave(&self, container_id: &ContainerId, main: i32) {
        self.state().recovered.remove(container_id);
        leave(main);
        reap_adopted();
    }

    /// Kills a container's processes while the first one may run; returns when none is left.
    pub(crate) async fn kill(&self, container_id: &ContainerId, main: i32) -> io::Result<()> {
        self.end(container_id, main, false).await
    }

    /// Kills what is left of a container whose first process has been waited for; returns when none is left.
    pub(crate) async fn empty(&self, container_id: &ContainerId, main: i32) -> io::Result<()> {
        self.end(container_id, main, true).await
    }

    async fn end(&self, container_id: &ContainerId, main: i32, waited: bool) -> io::Result<()> {
        // Listening begins before the first look: no end is missed.
        let mut ended = signal(SignalKind::child())?;
        let recovered = self.state().recovered.contains(container_id);
        let mut wanted =
            Wanted { container_id, main, waited, began: None, recovered, others: BTreeMap::new() };
        let mut undecided = 0;
        loop {
            wanted.others.clear();
            // A stopped process starts no other: stop until no new one is found, then kill all.
            let mut found = processes::hunt(|look| wanted.found(look), os::stop)?;
            reap_adopted();
            found.undecided = found.undecided.difference(&self.state().given_up).copied().collect();
            if found.is_over() {
                return Ok(());
            }
            if !found.pids.is_empty() {
                undecided = 0;
                found.pids.into_iter().for_each(os::kill);
                let _ = tokio::time::timeout(LOOK_AGAIN, ended.recv()).await;
                continue;
            }
            undecided += 1;
            if undecided > MAX_UNDECIDED {
                self.give_up(container_id, found.undecided);
                return Ok(());
            }
            // Nothing announces the end of an exec.
            let _ = tokio::time::timeout(LOOK_AGAIN_SOON, ended.recv()).await;
        }
    }

    fn give_up(&self, container_id: &ContainerId, undecided: BTreeSet<(i32, u64)>) {
        tracing::warn!(%container_id, ?undecided, "processes may be left of a container: nobody can tell whose they are");
        let mut state = self.state();
        state.given_up.retain(|(pid, began)| Stat::of(*pid).is_some_and(|stat| stat.began == *began));
        state.given_up.extend(undecided);
    }
}

impl Wanted<'_> {
    /// The container's processes among those that were seen.
    fn found(&mut self, look: &Look) -> Found {
        let all = look.seen();
        let first = all.get(&self.main);
        let began = *self
            .began
            .get_or_insert_with(|| first.filter(|stat| !self.waited || !stat.lives()).map(|stat| stat.began));
        // The id of a session is not given again while one of its processes lives.
        let given_again = first.is_some_and(|stat| Some(stat.began) != began);
        let mut found = Found::default();
        let own = std::process::id().cast_signed();
        let adopted: BTreeSet<i32> = orphans(all).map(|stat| stat.pid).collect();
        for stat in all.values().filter(|stat| stat.lives() && stat.pid != own) {
            if stat.pid == self.main || stat.session == self.main {
                if !given_again {
                    found.pids.insert(stat.pid);
                }
                continue;
            }
            let is_orphan = self.recovered || adopted.contains(&stat.pid);
            let is_asked = is_orphan || look.made().contains(&stat.pid);
            if !is_asked || self.others.get(&stat.pid) == Some(&stat.began) {
                continue;
            }
            let environment = Environment::of(stat);
            // Until it is an orphan its parent tells.
            let is_left_to_parent = environment == Environment::Unsettled && !is_orphan;
            let is_mark = |environment: &Environment| is_mark(environment, self.container_id);
            if !is_left_to_parent && !found.add(stat, environment, is_mark) {
                self.others.insert(stat.pid, stat.began);
            }
        }
        found.pids = with_descendants(all, found.pids);
        found
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
    let own = own_session();
    while let Some(pid) = os::ended_child() {
        if launched().contains(&pid) || Stat::of(pid).map(|stat| stat.session) == own {
            return; // Somebody waits for this one; the next end brings us back.
        }
        os::reap(pid);
    }
}

fn launched() -> MutexGuard<'static, BTreeSet<i32>> {
    LAUNCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn own_session() -> Option<i32> {
    Stat::of(std::process::id().cast_signed()).map(|stat| stat.session)
}

/// The living processes of a container whose first process is `main`.
pub(super) fn members_of(all: &BTreeMap<i32, Stat>, container_id: &ContainerId, main: i32) -> Vec<i32> {
    let near = all.values().filter(|stat| stat.pid == main || stat.session == main);
    let lost = orphans(all).filter(|stat| is_mark(&Environment::of(stat), container_id));
    let found = near.chain(lost).map(|stat| stat.pid).collect();
    with_descendants(all, found).into_iter().collect()
}

/// These and all that descends from them, as far as they live; never this process.
fn with_descendants(all: &BTreeMap<i32, Stat>, mut found: BTreeSet<i32>) -> BTreeSet<i32> {
    let mut before = 0;
    while found.len() > before {
        before = found.len();
        let children = all.values().filter(|stat| found.contains(&stat.parent)).map(|stat| stat.pid);
        let children: Vec<i32> = children.collect();
        found.extend(children);
    }
    found.remove(&std::process::id().cast_signed());
    found.retain(|pid| all.get(pid).is_some_and(Stat::lives));
    found
}

/// Living processes that this one has adopted: children that it did not start.
fn orphans(all: &BTreeMap<i32, Stat>) -> impl Iterator<Item = &Stat> {
    let own = std::process::id().cast_signed();
    let (launched, session) = (launched().clone(), all.get(&own).map(|stat| stat.session));
    all.values().filter(move |stat| {
        stat.parent == own && stat.lives() && Some(stat.session) != session && !launched.contains(&stat.pid)
    })
}

fn is_mark(environment: &Environment, container_id: &ContainerId) -> bool {
    environment.value(MARK) == Some(container_id.as_str().as_bytes())
}

/// What `/proc` says of the processes of this machine.
pub(super) fn processes() -> io::Result<BTreeMap<i32, Stat>> {
    processes::all()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn descendants_belong_and_others_do_not() {
        let process =
            |pid, parent, session| (pid, Stat { pid, parent, session, state: b'S', ..Stat::default() });
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

    /// Ids are given again: the end of a container may take longer than that.
    #[tokio::test]
    async fn a_stranger_with_the_id_of_a_first_process_is_left_alone() {
        let mut stranger = launching(|| {
            let child = Command::new("setsid").args(["sleep", "1000"]).spawn()?;
            let pid = child.id().cast_signed();
            Ok::<_, io::Error>((child, pid))
        })
        .unwrap();
        let pid = stranger.id().cast_signed();
        let sessions = Sessions::default();
        sessions.empty(&"none".into(), pid).await.unwrap();
        assert!(Stat::of(pid).unwrap().lives());
        assert_eq!(stranger.try_wait().unwrap(), None);
        sessions.kill(&"none".into(), pid).await.unwrap();
        assert_eq!(stranger.wait().unwrap().code(), None, "it is one that runs");
        leave(pid);
    }
}
