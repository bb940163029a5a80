//! Who was killed for want of memory: waiting for it, and what is said of it.

use std::fs::{self, File};
use std::io::{self, Read, Seek};

use protocol::resources::Scalar;
use protocol::{Reason, Resource, Resources};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::super::names;
use super::Usage;
use crate::core::Limitation;
use crate::os;

/// How many processes a message names.
const NAMED: usize = 3;
const MB: u64 = 1 << 20;

/// What the kernel tells of it.
pub(crate) enum OomFile {
    /// An eventfd: readable when it has happened, or when the cgroup is removed.
    Event(File),
    /// A file of counters: urgent when one has changed.
    Events(File),
}

impl OomFile {
    /// Returns when something has happened; an error when the cgroup is gone.
    pub(super) async fn happened(self) -> io::Result<Self> {
        match self {
            OomFile::Event(file) => {
                let file = wait(file, Interest::READABLE).await?;
                let mut count = [0; 8];
                (&file).read_exact(&mut count)?;
                Ok(OomFile::Event(file))
            }
            OomFile::Events(mut file) => {
                // Reading the watched file itself arms the next event.
                file.rewind()?;
                io::read_to_string(&file)?;
                Ok(OomFile::Events(wait(file, Interest::PRIORITY).await?))
            }
        }
    }
}

async fn wait(file: File, interest: Interest) -> io::Result<File> {
    #[allow(
        deprecated,
        reason = "its successor is unsafe for the sake of types that lie about their descriptor"
    )]
    let file = AsyncFd::with_interest(file, interest)?;
    file.ready(interest).await?.clear_ready();
    Ok(file.into_inner())
}

/// The processes that hold the most memory, the largest first: name, id, bytes.
pub(super) fn largest(processes: &str) -> Vec<(String, u32, u64)> {
    let about = |line: &str| {
        let pid: u32 = line.parse().ok()?;
        let held = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = held.split(' ').nth(1)?.parse().ok()?;
        Some((names::of_process(pid)?, pid, pages * os::page_bytes()))
    };
    let mut all: Vec<_> = processes.lines().filter_map(about).collect();
    all.sort_by_key(|(_, _, bytes)| std::cmp::Reverse(*bytes));
    all.truncate(NAMED);
    all
}

/// What is said of a container that has met its limit.
pub(super) fn limitation(usage: &Usage, peak: Option<u64>, largest: &[(String, u32, u64)]) -> Limitation {
    let limit = usage.mem_limit_bytes;
    let used = peak.or(usage.mem_total_bytes).or(limit).unwrap_or_default();
    let mb = |bytes: u64| format!("{} MB", bytes.div_ceil(MB));
    let may = limit.map_or_else(|| "no limit of its own".to_owned(), mb);
    // The kernel counts those as well that it kills since all of the machine's memory is used.
    let within = limit.zip(peak).is_some_and(|(limit, peak)| peak < limit / 10 * 9);
    let what = if within { "The machine ran out of memory" } else { "Memory limit exceeded" };
    let mut message = format!("{what}: requested: {may}; maximum used: {}", mb(used));
    let one = |(name, pid, bytes): &(String, u32, u64)| format!("{name} ({pid}) {}", mb(*bytes));
    let named: Vec<String> = largest.iter().filter(|(_, _, bytes)| *bytes > 0).map(one).collect();
    // What is charged now says nothing any more where all have been killed.
    if let (Some(anon), Some(file), false) = (usage.mem_anon_bytes, usage.mem_file_bytes, named.is_empty()) {
        message += &format!("; of processes: {}, of cached files: {}", mb(anon), mb(file));
        message += &format!("; the largest processes: {}", named.join(", "));
    }
    let resources = Resources::from_iter([Resource::scalar("mem", Scalar::from_units(used.div_ceil(MB)))]);
    Limitation { reason: Reason::ContainerLimitationMemory, message, resources }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::io::{Read, Write};
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn the_message_has_what_people_need() {
        let usage = Usage {
            mem_limit_bytes: Some(64 * MB),
            mem_anon_bytes: Some(60 * MB),
            mem_file_bytes: Some(4 * MB),
            ..Usage::default()
        };
        let largest = [("hog".to_owned(), 7, 59 * MB), ("sh".to_owned(), 6, 0)];
        let limitation = limitation(&usage, Some(64 * MB), &largest);
        assert_eq!(
            limitation.message,
            "Memory limit exceeded: requested: 64 MB; maximum used: 64 MB; of processes: 60 MB, of cached files: 4 MB; \
             the largest processes: hog (7) 59 MB"
        );
        assert_eq!(limitation.resources, "mem:64".parse().unwrap());
        let other = super::limitation(&usage, Some(10 * MB), &[]);
        assert_eq!(other.message, "The machine ran out of memory: requested: 64 MB; maximum used: 10 MB");
    }

    #[test]
    fn processes_are_named_by_what_they_hold() {
        let own = std::process::id();
        let found = largest(&format!("{own}\n{}\n", i32::MAX));
        assert!(found.len() == 1 && found[0].1 == own && found[0].2 > MB, "{found:?}");
    }

    #[test]
    fn a_process_does_not_hide_behind_a_name_that_is_no_text() {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join(OsStr::from_bytes(b"\xff\nhog"));
        std::os::unix::fs::symlink("/bin/cat", &program).unwrap();
        let piped = std::process::Stdio::piped;
        let mut hog = std::process::Command::new(&program).stdin(piped()).stdout(piped()).spawn().unwrap();
        // It gets its name a moment after it is made: what it says comes later.
        hog.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        hog.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let found = largest(&format!("{}\n", hog.id()));
        hog.kill().unwrap();
        hog.wait().unwrap();
        assert_eq!(
            found.first().map(|(name, pid, _)| (name.as_str(), *pid)),
            Some(("\u{fffd}\\nhog", hog.id()))
        );
    }
}
