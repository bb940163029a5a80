//! Flags in Mesos's manner.
//!
//! A command declares its flags in a table ([`Flag`]); [`Flags::load`] gathers their values from three places, the
//! first that has one wins: the command line, the environment (`MESOS_<NAME>`), a directory of files (one a flag,
//! as `/etc/mesos-master/` has them). What nobody gives has its default. A value `file:///path` is read from there.
//!
//! Everything is checked before anything starts: an unknown flag or a value that can't be understood is a
//! [`FlagError`], one line that says what is wrong and how to mend it.

mod load;
mod table;

pub use load::{Arguments, FlagError, Flags, Surroundings};
pub use table::{Flag, Kind, count, join, parse_weights, usage};
