//! What is done to all that keeps a journal, and what must hold then: its process is killed, its machine loses the power, its
//! file system is full, its files are damaged. Components take it up by `#[path]` and say what is theirs with [`Keeper`].

mod crash;
mod damage;
mod mounts;

use std::fmt::Debug;
use std::path::Path;

pub(crate) use crash::{a_full_disk, a_killed_process, a_lost_power, write};
pub(crate) use damage::{copy, random_damage};

/// A component that keeps a journal, as these tests see it. It writes things that are numbered, without a gap, from one life to
/// the next.
pub(crate) trait Keeper {
    /// The ignored test that calls [`write`], by its exact name.
    const CHILD: &str;
    /// What its directory is called.
    const DIRECTORY: &str;
    /// A tmpfs that it fills, as `size=` takes it.
    const TOO_SMALL: &str;
    /// How it begins to say that it can't write.
    const CANT_WRITE: &str;
    /// What it advises where files are damaged.
    const ADVICE: &str;
    /// The word of that which stands in no other advice.
    const MENDS: &str;

    /// An open directory.
    type Open;
    /// All that a directory holds.
    type Held: Debug + PartialEq;

    /// Opens a directory.
    fn open(directory: &Path) -> Result<Self::Open, Refused>;

    /// What was found in it.
    fn held(open: &Self::Open) -> &Self::Held;

    /// The number of the newest thing in it; 0 where there is none. Before that it looks that all is there as it was written;
    /// with `grows` nothing was let go of.
    fn check(held: &Self::Held, grows: bool) -> u64;

    /// Writes on, as fast as it can, until it fails; tells of numbers that are durable. Says why it failed.
    fn write(open: Self::Open, grows: bool, kept: impl FnMut(u64)) -> String;

    /// Makes a directory with some past below `root`, and a copy of it in `killed`, as a killed process leaves it. Tells what it
    /// holds.
    fn with_a_past(root: &Path, killed: &Path) -> Self::Held;

    /// What else is to be tried with a damaged directory.
    fn salvage(_directory: &Path, _held: &Self::Held, _how: &str) {}
}

/// Why a directory can't be opened.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Whether its files are damaged.
    pub(crate) damaged: bool,
    /// What is said.
    pub(crate) sentence: String,
}
