//! Zip archives, stored or deflated.

use std::io::{Read, Seek};

use nix::sys::stat::SFlag;
use zip::ZipArchive;
use zip::result::ZipError;

use super::{ArchiveError, Entry, Maker};

/// Longest target of a symbolic link, bytes. Source: Linux `PATH_MAX`.
const MAX_TARGET_BYTES: u64 = 4096;

pub(super) fn unpack(from: impl Read + Seek, maker: &mut Maker<'_, '_>) -> Result<(), ArchiveError> {
    let mut archive = ZipArchive::new(from).map_err(|error| ArchiveError::Read(error.into()))?;
    for index in 0..archive.len() {
        let named = archive.name_for_index(index).unwrap_or_default().to_owned();
        let mut next = match archive.by_index(index) {
            Ok(next) => next,
            Err(ZipError::UnsupportedArchive(why)) => {
                let entry = Entry::named(named.as_bytes())?.shown;
                return Err(ArchiveError::Refused { entry, why: why.into() });
            }
            Err(error) => return Err(ArchiveError::Read(error.into())),
        };
        let name = next.name_raw().to_vec();
        let entry = Entry::named(&name)?;
        maker.begin(&entry)?;
        let mode = next.unix_mode();
        let kind = mode.map_or(SFlag::empty(), |mode| SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()));
        if name.ends_with(b"/") || kind == SFlag::S_IFDIR {
            maker.directory(&entry, mode.unwrap_or(0o755))?;
        } else if kind == SFlag::S_IFLNK {
            let mut target = Vec::new();
            (&mut next)
                .take(MAX_TARGET_BYTES)
                .read_to_end(&mut target)
                .map_err(|error| entry.unread(error))?;
            maker.symbolic_link(entry, &target)?;
        } else if kind == SFlag::S_IFREG || kind.is_empty() {
            maker.file(&entry, mode.unwrap_or(0o644), &mut next)?;
        } else {
            return Err(entry.refuse("it is a device or a fifo"));
        }
    }
    Ok(())
}
