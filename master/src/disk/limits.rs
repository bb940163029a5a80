//! How much a disk takes, and in which portions.

use libactor::journal::Portions;

/// The journal's: leaves of 33 values stay well below a quarter of a segment.
pub(super) const PORTIONS: Portions =
    Portions { value_bytes: 4096, segment_bytes: 2 << 20, cache_bytes: 16 << 20 };

/// A group of writes that waited for the same sync ends when its record has so many bytes.
pub(super) const GROUP_BYTES: usize = 1 << 20;

/// Most bytes that wait for the disk. Raft keeps less in flight (64 MiB of its own proposals, 256 messages of 1 MiB from a
/// leader): beyond it something is wrong, and that is said.
pub(super) const QUEUE_BYTES: usize = 512 << 20;

/// Most pieces of snapshots that wait to be read; what is above is asked for again.
pub(super) const WAITING_PIECES: usize = 64;

/// Of a piece of a snapshot, bytes.
pub(super) const PIECE_BYTES: u64 = 1 << 20;

/// Values that have become void and are removed in one go, between two groups.
pub(super) const REMOVED_AT_ONCE: usize = 128;
