//! Every bound of the files, with its unit and its reason.

use std::time::Duration;

/// Paths that may be attached at a time: an agent attaches three for each run of an executor that it still keeps.
pub const ATTACHMENTS: usize = 50_000;
/// Longest virtual path, in bytes: PATH_MAX of Linux.
pub const PATH_BYTES: usize = 4096;
/// Most bytes of one read: 16 memory pages, as in Mesos.
pub const READ_BYTES: usize = 64 << 10;
/// Most entries of a directory that is listed; a larger one is refused, so that no list is silently incomplete.
pub const LISTED_ENTRIES: usize = 20_000;
/// Most bytes of paths in one list: names may be short and the path to their directory long.
pub const LISTED_BYTES: usize = 16 << 20;
/// Symbolic links of one list that are followed; further ones are shown as links. Links may cost many steps each.
pub const LISTED_LINKS: usize = 1000;
/// Users, and groups, of one list that are named; further ones are shown by number. Each may cost a question to a directory
/// service.
pub const LISTED_OWNERS: usize = 256;
/// Symbolic links that are followed on the way to one file: as many as Linux follows.
pub const LINKS: usize = 40;
/// Directories that are held open on the way to one file, where the kernel does not find the way itself.
pub const DEPTH: usize = 128;
/// Times the kernel is asked again after somebody renamed something on the way.
pub const RETRIES: usize = 8;
/// Threads that read files at a time: disks are not faster with more.
pub const THREADS: usize = 8;
/// From asking for a file to having it, the wait for a thread included: a file system that hangs delays no one for longer.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// Downloads at a time; each holds an open file and up to three chunks.
pub const DOWNLOADS: usize = 256;
/// Bytes of a download that are read at a time.
pub const CHUNK_BYTES: usize = 64 << 10;
