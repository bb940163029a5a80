//! Archives. They come from strangers: what they name is made below the sandbox alone, within a budget, and an error names
//! the entry.
//!
//! Symbolic links are made when all else is made, so that no entry is ever put through one; they may say what they like,
//! as those may that the task makes itself.

mod tar;
mod zip;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::beneath::{Name, Sandbox};
use super::budget::{Budget, Exceeded};
use super::{CHUNK_BYTES, moved};
use crate::fetcher::uri::{Archive, Packing};

/// Longest name in a message, bytes.
const SHOWN: usize = 200;
/// Most bytes of the links of one archive. Ours: they wait in memory.
const MAX_LINK_BYTES: usize = 16 << 20;

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub(in crate::fetcher) enum ArchiveError {
    #[error("the archive can't be read: {0}")]
    Read(io::Error),
    #[error("the archive's entry '{entry}' is refused: {why}")]
    Refused { entry: String, why: String },
    #[error("the archive's entry '{entry}' can't be made: {source}")]
    Make { entry: String, source: io::Error },
    #[error("the archive's entry '{entry}' can't be read: {source}")]
    Entry { entry: String, source: io::Error },
    #[error("the archive's entry '{entry}' is too much: {why}")]
    Exceeded { entry: String, why: Exceeded },
}

/// Unpacks a file into the sandbox; `name` is that of the archive.
pub(super) fn unpack(
    archive: Archive,
    file: File,
    name: &Name,
    sandbox: &Sandbox,
    budget: &mut Budget<'_>,
) -> Result<(), ArchiveError> {
    let buffered = |file: File| BufReader::with_capacity(CHUNK_BYTES, file);
    let mut maker = Maker { sandbox, budget, links: Vec::new(), link_bytes: 0 };
    match archive {
        Archive::Tar(Packing::None) => tar::unpack(buffered(file), &mut maker),
        Archive::Tar(Packing::Gzip) => tar::unpack(MultiGzDecoder::new(buffered(file)), &mut maker),
        Archive::Tar(Packing::Xz) => tar::unpack(XzReader::new(buffered(file), true), &mut maker),
        Archive::Tar(Packing::Bzip2) => tar::unpack(MultiBzDecoder::new(buffered(file)), &mut maker),
        Archive::Gzip => {
            let entry = Entry::unnamed("its content");
            let place = name.without(".gz".len()).ok_or_else(|| entry.refuse("it has no name of its own"))?;
            maker.file(&entry.at(place), 0o644, &mut MultiGzDecoder::new(buffered(file))).map(drop)
        }
        Archive::Zip => zip::unpack(buffered(file), &mut maker),
    }?;
    maker.finish()
}

/// One entry of an archive.
#[derive(Clone, Debug)]
struct Entry {
    shown: String,
    place: Name,
}

impl Entry {
    /// Reads its name.
    fn named(name: &[u8]) -> Result<Self, ArchiveError> {
        let text: String = String::from_utf8_lossy(name).chars().flat_map(char::escape_debug).collect();
        let shown = match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text,
        };
        match Name::of(name) {
            Ok(place) => Ok(Self { shown, place }),
            Err(why) => Err(ArchiveError::Refused { entry: shown, why: why.into() }),
        }
    }

    fn unnamed(shown: &str) -> Self {
        Self { shown: shown.into(), place: Name::of(b"").expect("it is the sandbox itself") }
    }

    fn at(self, place: Name) -> Self {
        Self { place, ..self }
    }

    fn refuse(&self, why: impl Into<String>) -> ArchiveError {
        ArchiveError::Refused { entry: self.shown.clone(), why: why.into() }
    }

    fn unmade(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Make { entry: self.shown.clone(), source }
    }

    fn unread(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Entry { entry: self.shown.clone(), source }
    }

    fn exceeds(&self, why: Exceeded) -> ArchiveError {
        ArchiveError::Exceeded { entry: self.shown.clone(), why }
    }
}

/// Makes what entries name.
struct Maker<'a, 'b> {
    sandbox: &'a Sandbox,
    budget: &'a mut Budget<'b>,
    /// Symbolic links, to be made last.
    links: Vec<(Entry, Vec<u8>)>,
    link_bytes: usize,
}

impl Maker<'_, '_> {
    /// One more entry begins.
    fn begin(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        moved();
        self.budget.entry().map_err(|why| entry.exceeds(why))
    }

    fn file(&mut self, entry: &Entry, mode: u32, content: &mut dyn Read) -> Result<File, ArchiveError> {
        if entry.place.is_empty() {
            return Err(entry.refuse("it has no name"));
        }
        let mut file = self.sandbox.create(&entry.place, mode).map_err(|error| entry.unmade(error))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = match content.read(&mut chunk) {
                Ok(0) => return Ok(file),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(entry.unread(error)),
            };
            moved();
            self.budget.take(count as u64).map_err(|why| entry.exceeds(why))?;
            file.write_all(&chunk[..count]).map_err(|error| entry.unmade(error))?;
        }
    }

    fn directory(&mut self, entry: &Entry, mode: u32) -> Result<(), ArchiveError> {
        self.sandbox.directory(&entry.place, mode).map_err(|error| entry.unmade(error))
    }

    fn symbolic_link(&mut self, entry: Entry, target: &[u8]) -> Result<(), ArchiveError> {
        self.link_bytes += target.len() + entry.shown.len() + 128;
        if self.link_bytes > MAX_LINK_BYTES {
            return Err(entry.refuse("the archive has too many symbolic links"));
        }
        self.links.push((entry, target.to_vec()));
        Ok(())
    }

    fn hard_link(&mut self, entry: &Entry, target: &[u8]) -> Result<(), ArchiveError> {
        let target =
            Name::of(target).map_err(|why| entry.refuse(format!("as for what it links to, {why}")))?;
        self.sandbox.hard_link(&entry.place, &target).map_err(|error| entry.unmade(error))
    }

    fn finish(self) -> Result<(), ArchiveError> {
        for (entry, target) in self.links {
            moved();
            self.sandbox.symbolic_link(&entry.place, &target).map_err(|error| entry.unmade(error))?;
        }
        Ok(())
    }
}
