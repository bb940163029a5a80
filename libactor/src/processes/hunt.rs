//! Finding all processes of some kind while they do what they can to get away.

use std::collections::BTreeSet;
use std::io;

use super::{Environment, Look, Stat};

/// How often those that nobody can tell are looked at once more while others are held. Ours: an exec takes a few of these.
const ROUNDS: usize = 200;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Those that were wanted.
    pub pids: BTreeSet<i32>,
    /// Those that nobody could tell: the id and the beginning of each.
    pub undecided: BTreeSet<(i32, u64)>,
    /// More is started all the time than can be looked at.
    unsettled: bool,
}

impl Found {
    /// These are wanted.
    pub fn of(pids: BTreeSet<i32>) -> Self {
        Self { pids, ..Self::default() }
    }

    /// Whether none is left.
    pub fn is_over(&self) -> bool {
        self.pids.is_empty() && self.undecided.is_empty() && !self.unsettled
    }

    /// Adds a process if its environment says that it is wanted, or may be; says whether.
    pub fn add(
        &mut self,
        stat: &Stat,
        environment: Environment,
        wanted: impl FnOnce(&Environment) -> bool,
    ) -> bool {
        if environment == Environment::Unsettled {
            return self.undecided.insert((stat.pid, stat.began));
        }
        wanted(&environment) && self.pids.insert(stat.pid)
    }
}

/// Hands each process that is wanted to `seize`, which stops or kills it, then what was made meanwhile, until no more is found.
///
/// # Errors
/// There is no `/proc`.
pub fn hunt(mut wanted: impl FnMut(&Look) -> Found, mut seize: impl FnMut(i32)) -> io::Result<Found> {
    let mut look = Look::new()?;
    let mut all = Found::default();
    for _ in 0..ROUNDS {
        let now = wanted(&look);
        let before = all.pids.len();
        for pid in now.pids {
            if all.pids.insert(pid) {
                seize(pid);
            }
        }
        all.undecided = now.undecided;
        all.unsettled = !look.is_settled();
        // What is left of an exec is waited for only where the hunt is on.
        if all.pids.len() == before && (all.pids.is_empty() || all.undecided.is_empty()) {
            break;
        }
        look.again(all.undecided.iter().map(|(pid, _)| *pid));
        look.follow()?;
    }
    Ok(all)
}
