//! The processes of this machine, as `/proc` tells of them: one reader for all who look after processes, and a look at all of
//! them that misses none.

mod hunt;
mod look;
mod stat;

pub use hunt::{Found, hunt};
pub use look::{Look, all};
pub use stat::Stat;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Bytes of most environments.
const FIRST_ROOM: usize = 16 << 10;
/// More than the kernel lets one have.
const MOST_ROOM: usize = 8 << 20;

/// What a process was started with in its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Entries `NAME=value`, each with a zero byte behind it. It may be empty.
    Entries(Vec<u8>),
    /// It is not for this user.
    Hidden,
    /// Nobody can tell now: the process is being made another program, or it has ended, and may have left others.
    Unsettled,
}

impl Environment {
    /// That of a process that was seen.
    pub fn of(seen: &Stat) -> Self {
        if seen.is_kernel() {
            return Self::Entries(Vec::new());
        }
        let place = Path::new("/proc").join(seen.pid.to_string());
        let read = if seen.first_thread_ended() { of_any_thread(&place) } else { read(&place) };
        match read {
            Ok(entries) if !entries.is_empty() => Self::Entries(entries),
            // In the middle of an exec it is empty too.
            Ok(_) if is_program(seen) => Self::Entries(Vec::new()),
            Ok(_) => Self::Unsettled,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::Hidden,
            Err(_) => Self::Unsettled,
        }
    }

    /// Whether this `NAME=value` is in it.
    pub fn has(&self, wanted: &[u8]) -> bool {
        self.entries().any(|entry| entry == wanted)
    }

    /// The value of a variable.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.entries().find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }

    fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let all = match self {
            Self::Entries(all) => all.as_slice(),
            Self::Hidden | Self::Unsettled => &[],
        };
        all.split(|byte| *byte == 0)
    }
}

/// Whether it is one program all the time since it was seen.
fn is_program(seen: &Stat) -> bool {
    seen.program.0 != 0 && Stat::of(seen.pid).is_some_and(|now| now.program == seen.program)
}

/// The environment of a process or a thread. It is of one program only where it is read at once: the kernel says that it ends
/// here when the process becomes another.
fn read(place: &Path) -> io::Result<Vec<u8>> {
    let mut room = FIRST_ROOM;
    loop {
        let mut entries = vec![0; room];
        let length = File::open(place.join("environ"))?.read(&mut entries)?;
        if length < room || room >= MOST_ROOM {
            entries.truncate(length);
            return Ok(entries);
        }
        room *= 8;
    }
}

/// That of the first thread has gone with it.
fn of_any_thread(place: &Path) -> io::Result<Vec<u8>> {
    let mut last = Ok(Vec::new());
    for thread in fs::read_dir(place.join("task"))? {
        match read(&thread?.path()) {
            Ok(entries) if !entries.is_empty() => return Ok(entries),
            other => last = other,
        }
    }
    last
}

/// The children of a process, as far as the kernel lists them.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests;
