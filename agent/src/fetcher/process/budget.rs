//! How much may be made: so many bytes, so many entries, and never the last of the disk.

use std::os::fd::BorrowedFd;

use nix::sys::statvfs::fstatvfs;

/// Most entries that one archive may have. Ours: source trees have a tenth of it.
const MAX_ENTRIES: u64 = 1_000_000;
/// What an entry takes besides its content, bytes.
const ENTRY_BYTES: u64 = 512;
/// How much may be made between two looks at the disk, bytes.
const LOOK_BYTES: u64 = 4 << 20;
/// What is left of a disk: a hundredth, within these bounds, and never more than a tenth.
const LEAST_LEFT: u64 = 64 << 20;
const MOST_LEFT: u64 = 1 << 30;

/// What was to be made is too much.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::fetcher) enum Exceeded {
    #[error(
        "it takes more than the {0} bytes that it may (--fetcher_max_unpacked_size, or the container's disk)"
    )]
    Bytes(u64),
    #[error("it has more than {MAX_ENTRIES} entries")]
    Entries,
    #[error("the agent's disk is nearly full: {free} bytes are free, {reserve} stay so")]
    Disk { free: u64, reserve: u64 },
    #[error("the agent's disk has nearly no room for further files")]
    Inodes,
}

/// What may still be made.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    disk: BorrowedFd<'a>,
    max_bytes: u64,
    used: u64,
    entries: u64,
    /// Bytes until the disk is looked at.
    unlooked: u64,
}

impl<'a> Budget<'a> {
    /// For so many bytes on the disk of an open file.
    pub(super) fn new(max_bytes: u64, disk: BorrowedFd<'a>) -> Self {
        Self { disk, max_bytes, used: 0, entries: 0, unlooked: 0 }
    }

    /// Bytes that have been taken.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Takes some bytes, before they are written.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), Exceeded> {
        let used = self.used.saturating_add(bytes);
        if used > self.max_bytes {
            return Err(Exceeded::Bytes(self.max_bytes));
        }
        self.used = used;
        if bytes >= self.unlooked {
            self.look(bytes)?;
            self.unlooked = LOOK_BYTES;
        }
        self.unlooked = self.unlooked.saturating_sub(bytes);
        Ok(())
    }

    /// Takes one more entry.
    pub(super) fn entry(&mut self) -> Result<(), Exceeded> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(Exceeded::Entries);
        }
        self.take(ENTRY_BYTES)
    }

    fn look(&self, bytes: u64) -> Result<(), Exceeded> {
        // A disk that tells nothing refuses what does not fit by itself.
        let Ok(disk) = fstatvfs(self.disk) else { return Ok(()) };
        let block = disk.fragment_size();
        let total = disk.blocks().saturating_mul(block);
        let free = disk.blocks_available().saturating_mul(block);
        let reserve = (total / 100).clamp(LEAST_LEFT, MOST_LEFT).min(total / 10);
        if free.saturating_sub(bytes) < reserve {
            return Err(Exceeded::Disk { free, reserve });
        }
        if disk.files() > 0 && disk.files_available() < disk.files() / 100 {
            return Err(Exceeded::Inodes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_taken_is_bounded() {
        let directory = tempfile::tempfile().unwrap();
        let mut budget = Budget::new(2 * ENTRY_BYTES, directory.as_fd());
        assert_eq!(budget.entry(), Ok(()));
        assert_eq!(budget.take(ENTRY_BYTES), Ok(()));
        assert_eq!(budget.take(1), Err(Exceeded::Bytes(2 * ENTRY_BYTES)));
        assert_eq!(budget.take(u64::MAX), Err(Exceeded::Bytes(2 * ENTRY_BYTES)));
        assert_eq!(budget.used(), 2 * ENTRY_BYTES);
    }

    #[test]
    fn the_last_of_the_disk_is_left() {
        let directory = tempfile::tempfile().unwrap();
        let mut budget = Budget::new(u64::MAX, directory.as_fd());
        assert!(matches!(budget.take(u64::MAX / 2), Err(Exceeded::Disk { .. })));
    }
}
