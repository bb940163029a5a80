//! How far the journal was durable: a small file beside it.
//!
//! sled takes a damaged tail for one that was never written, and cuts it in silence. The mark tells the difference: it names the
//! last record that was synced, and is written after each sync. It is not synced itself: it survives the death of the process at
//! once, and that of the machine somewhat later; until then it names an older record, which is as true.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MAGIC: u32 = u32::from_le_bytes(*b"mark");

/// Two slots are written in turn, each in a block of its own: one of them is whole always.
const SLOT_BYTES: u64 = 4096;

/// The file, open.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    writes: u64,
}

impl Mark {
    /// Opens the file, or makes it, and tells what it says; 0: nothing.
    pub(super) fn open(path: &Path) -> io::Result<(Self, u64)> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() < 2 * SLOT_BYTES {
            // Room is taken now, so that a full disk does not hit it later. Zeros are no slot.
            let missing = 2 * SLOT_BYTES - file.metadata()?.len();
            let zeros = vec![0; usize::try_from(missing).expect("two blocks")];
            file.write_all_at(&zeros, 2 * SLOT_BYTES - missing)?;
        }
        let slots = [read_slot(&file, 0)?, read_slot(&file, 1)?];
        let sequence = slots.into_iter().flatten().max();
        // The next write goes to the slot that says less.
        let writes = u64::from(slots[0] > slots[1]);
        Ok((Self { file, writes }, sequence.unwrap_or(0)))
    }

    /// All records up to this one are durable.
    pub(super) fn write(&mut self, sequence: u64) -> io::Result<()> {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..12].copy_from_slice(&sequence.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..12]);
        bytes[12..].copy_from_slice(&sum.to_le_bytes());
        self.file.write_all_at(&bytes, (self.writes % 2) * SLOT_BYTES)?;
        self.writes += 1;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn read_slot(file: &File, slot: u64) -> io::Result<Option<u64>> {
    let mut bytes = [0; 16];
    file.read_exact_at(&mut bytes, slot * SLOT_BYTES)?;
    let whole =
        bytes[..4] == MAGIC.to_le_bytes() && bytes[12..] == crc32fast::hash(&bytes[..12]).to_le_bytes();
    Ok(whole.then(|| u64::from_le_bytes(bytes[4..12].try_into().expect("eight of sixteen bytes"))))
}
