//! Tar archives, of all the dialects that the crate reads.

use std::io::{self, Read};
use std::time::Duration;

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use tar::{Archive, EntryType};

use super::{ArchiveError, Entry, Maker};

pub(super) fn unpack(from: impl Read, maker: &mut Maker<'_, '_>) -> Result<(), ArchiveError> {
    let mut archive = Archive::new(from);
    for next in archive.entries().map_err(ArchiveError::Read)? {
        let mut next = next.map_err(ArchiveError::Read)?;
        let kind = next.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            continue;
        }
        let entry = Entry::named(&next.path_bytes())?;
        maker.begin(&entry)?;
        let mode = next.header().mode().unwrap_or(0o644);
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                // As old archives name a directory.
                if next.path_bytes().ends_with(b"/") {
                    maker.directory(&entry, 0o755)?;
                    continue;
                }
                let modified = next.header().mtime().unwrap_or_default();
                let file = maker.file(&entry, mode, &mut next)?;
                let made = file.metadata().map_err(|error| entry.unmade(error))?.len();
                if made < next.size() {
                    return Err(
                        entry.unread(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off"))
                    );
                }
                let time = TimeSpec::from_duration(Duration::from_secs(modified.min(u64::from(u32::MAX))));
                futimens(&file, &time, &time).map_err(|error| entry.unmade(error.into()))?;
            }
            EntryType::Directory => maker.directory(&entry, mode)?,
            EntryType::Symlink => {
                let target = next.link_name_bytes().unwrap_or_default().into_owned();
                maker.symbolic_link(entry, &target)?;
            }
            EntryType::Link => {
                let target = next.link_name_bytes().unwrap_or_default().into_owned();
                maker.hard_link(&entry, &target)?;
            }
            EntryType::Char | EntryType::Block => return Err(entry.refuse("it is a device")),
            EntryType::Fifo => return Err(entry.refuse("it is a fifo")),
            other => {
                return Err(
                    entry.refuse(format!("it is of a kind that is not known, {:?}", other.as_byte() as char))
                );
            }
        }
    }
    Ok(())
}
