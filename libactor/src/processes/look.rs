//! A look at all processes. `/proc` is no picture of one moment: while it is read, processes end and leave others behind the
//! place that was reached. Ids are given one after another, so what was made meanwhile is found by the newest one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use super::stat::Stat;

/// More new ids than this are looked for by reading all names again.
const MAX_NEW: i32 = 1_000;
/// How often what is new is looked for until nothing is. Ours: it takes two rounds, three where much is started.
const ROUNDS: usize = 1_000;
/// How often parents are asked for again until none of them ends meanwhile.
const PARENT_ROUNDS: usize = 10;

/// All processes that this one can see.
///
/// What lives when a look, or [`follow`](Self::follow), returns is in it, or comes of a living one that is. The parent of each
/// was alive when that was seen.
#[derive(Clone, Debug, Default)]
pub struct Look {
    seen: BTreeMap<i32, Stat>,
    made: BTreeSet<i32>,
    newest: i32,
    settled: bool,
}

impl Look {
    /// Looks now.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn new() -> io::Result<Self> {
        let mut look = Self { newest: newest()?, ..Self::default() };
        look.seen = all()?;
        look.follow()?;
        look.made.clear();
        Ok(look)
    }

    /// What was seen, by process id.
    pub fn seen(&self) -> &BTreeMap<i32, Stat> {
        &self.seen
    }

    /// What was made since the look began, as far as it was followed.
    pub fn made(&self) -> &BTreeSet<i32> {
        &self.made
    }

    /// Whether all was looked at: not where more is started all the time than can be.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Looks at some once more; those that are gone are gone from here.
    pub fn again(&mut self, pids: impl IntoIterator<Item = i32>) {
        for pid in pids {
            match Stat::of(pid) {
                Some(stat) => self.seen.insert(pid, stat),
                None => self.seen.remove(&pid),
            };
        }
    }

    /// Adds what was made since. Much less work than a new look.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn follow(&mut self) -> io::Result<()> {
        self.settled = false;
        for _ in 0..ROUNDS {
            let before = std::mem::replace(&mut self.newest, newest()?);
            if self.newest == before {
                self.settled = true;
                break;
            }
            if (0..=MAX_NEW).contains(&(self.newest - before)) {
                self.made.extend(before + 1..=self.newest);
                self.again(before + 1..=self.newest);
            } else {
                // It began again with small ones, or many were made.
                let all = all()?;
                self.made.extend(all.keys().filter(|pid| !self.seen.contains_key(pid)));
                self.seen.extend(all);
            }
        }
        self.ask_for_parents();
        Ok(())
    }

    /// A parent that is not there, or not alive, has ended since its child was seen.
    fn ask_for_parents(&mut self) {
        for _ in 0..PARENT_ROUNDS {
            let lost = |stat: &&Stat| {
                stat.lives() && stat.parent != 0 && !self.seen.get(&stat.parent).is_some_and(Stat::lives)
            };
            let lost: Vec<Stat> = self.seen.values().filter(lost).copied().collect();
            self.again(lost.iter().map(|stat| stat.pid));
            // Who hides does so as a parent, too.
            if lost.iter().all(|stat| self.seen.get(&stat.pid).is_some_and(|now| now.parent == stat.parent)) {
                return;
            }
        }
    }
}

/// What `/proc` says of the processes of this machine, one after another: those that begin and end meanwhile may be missed.
///
/// # Errors
/// There is no `/proc`.
pub fn all() -> io::Result<BTreeMap<i32, Stat>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(stat) = Stat::of(pid) {
            all.insert(pid, stat);
        }
    }
    Ok(all)
}

/// The process id that was given last.
fn newest() -> io::Result<i32> {
    // The second is everywhere, but is made up in some containers.
    let text = fs::read_to_string("/proc/sys/kernel/ns_last_pid")
        .or_else(|_| fs::read_to_string("/proc/loadavg"))?;
    let last = text.split_ascii_whitespace().next_back().and_then(|last| last.parse().ok());
    last.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the newest process id can't be read"))
}
