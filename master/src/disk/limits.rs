//! How much a disk takes, and in which portions.

use std::time::Duration;

/// Longest value in the journal, bytes. sled's leaves hold up to 33 values: they must stay well below a quarter of
/// [`SEGMENT_BYTES`], else they become files of their own.
pub(super) const VALUE_BYTES: usize = 4096;

/// sled's unit of writing and of reuse, bytes.
pub(super) const SEGMENT_BYTES: usize = 2 << 20;

/// What is written at most between two syncs, bytes: less than a segment, so that sled never overwrites what it believes to
/// be replaced by something that is not on the disk yet.
pub(super) const SLICE_BYTES: usize = 512 << 10;

/// Of sled's cache, bytes: the journal is read once, at the start.
pub(super) const CACHE_BYTES: u64 = 16 << 20;

/// A group of writes that waited for the same sync ends when its record has so many bytes.
pub(super) const GROUP_BYTES: usize = 1 << 20;

/// Most bytes of one record: so many values can be numbered. Raft's log is shorter: a snapshot is taken long before.
pub(super) const RECORD_BYTES: usize = 255 << 20;

/// Most bytes that wait for the disk. Raft keeps less in flight (64 MiB of its own proposals, 256 messages of 1 MiB from a
/// leader): beyond it something is wrong, and that is said.
pub(super) const QUEUE_BYTES: usize = 512 << 20;

/// Most pieces of snapshots that wait to be read; what is above is asked for again.
pub(super) const WAITING_PIECES: usize = 64;

/// Of a piece of a snapshot, bytes.
pub(super) const PIECE_BYTES: u64 = 1 << 20;

/// Values that have become void and are removed in one go, between two groups.
pub(super) const REMOVED_AT_ONCE: usize = 128;

/// A damaged sled may go round in circles: so long may one step of reading the journal take.
pub(super) const STALL: Duration = Duration::from_secs(300);

/// How often sled's lock is tried, and how long after one another: 5 s in all.
pub(super) const LOCK_TRIES: u32 = 500;

/// As above.
pub(super) const LOCK_PAUSE: Duration = Duration::from_millis(10);
