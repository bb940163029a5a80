//! Snapshots: plain files, one each.
//!
//! ```text
//! snapshots/INDEX-TERM.snap = head, state
//! head = "mesetasn", version u32, crc32 of all that follows u32, bytes of the state u64, bytes of the position u32, position
//! ```
//! A file gets its name when it is durable. It counts when the journal names it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::cursor::{Cursor, Put};
use super::limits::PIECE_BYTES;
use super::record::{put_position, read_position};
use crate::registry::codec;
use crate::replication::{Snapshot, SnapshotPosition};
use libactor::journal::Fault;
use libactor::journal::sync_directory;

const MAGIC: &[u8; 8] = b"mesetasn";
const VERSION: u32 = 1;
/// Up to where the checksum does not reach.
const UNSUMMED: usize = 16;
const FIXED: usize = UNSUMMED + 12;

/// The file of a snapshot, open: it stays readable when a newer one has taken its place.
#[derive(Debug)]
pub(super) struct SnapshotFile {
    file: File,
    path: PathBuf,
    pub(super) position: SnapshotPosition,
    /// Where the state begins.
    offset: u64,
    /// Of the state.
    pub(super) bytes: u64,
}

impl SnapshotFile {
    /// Writes a snapshot into a file of its own, durable when this returns.
    pub(super) fn write(directory: &Path, snapshot: &Snapshot) -> io::Result<Self> {
        let position = snapshot.position.clone();
        let state = codec::encode_state(&snapshot.state);
        let head = head(&position, &state);
        let path = path(directory, &position);
        let unfinished = path.with_extension("tmp");
        let written = write_durably(&unfinished, &[&head, &state])
            .and_then(|file| fs::rename(&unfinished, &path).map(|()| file))
            .and_then(|file| sync_directory(directory).map(|()| file));
        match written {
            Ok(file) => {
                Ok(Self { file, path, position, offset: head.len() as u64, bytes: state.len() as u64 })
            }
            Err(error) => {
                // What is left would only take room; it is removed at the next start in any case.
                let _ = fs::remove_file(&unfinished);
                Err(error)
            }
        }
    }

    /// Opens the file of the snapshot that the journal names, and reads it.
    pub(super) fn read(directory: &Path, position: &SnapshotPosition) -> Result<(Self, Snapshot), Fault> {
        let path = path(directory, position);
        let name = format!("the snapshot {}", path.display());
        let file =
            File::open(&path).map_err(|error| Fault::Damaged(format!("{name} can't be read: {error}")))?;
        let mut bytes = Vec::new();
        (&file)
            .read_to_end(&mut bytes)
            .map_err(|error| Fault::Damaged(format!("{name} can't be read: {error}")))?;
        let (found, state) = parse(&bytes).map_err(|fault| fault.map(|what| format!("{name}: {what}")))?;
        if found != *position {
            return Err(Fault::Damaged(format!("{name} holds another position than the journal names")));
        }
        let offset = (bytes.len() - state.len()) as u64;
        let state_bytes = state.len() as u64;
        let state = codec::decode_state(state).map_err(|error| {
            let what = format!("{name}: {error}");
            match error {
                codec::Unreadable::Newer { .. } => Fault::Newer(what),
                codec::Unreadable::Garbled(_) => Fault::Damaged(what),
            }
        })?;
        let snapshot = Snapshot { position: found.clone(), state: state.into() };
        Ok((Self { file, path, position: found, offset, bytes: state_bytes }, snapshot))
    }

    /// Whether the file is still what was written.
    pub(super) fn verify(&self) -> Result<(), String> {
        let mut from = io::BufReader::with_capacity(1 << 20, At { file: &self.file, offset: 0 });
        let mut hasher = crc32fast::Hasher::new();
        let mut head = [0; UNSUMMED];
        from.read_exact(&mut head).map_err(|error| error.to_string())?;
        io::copy(&mut from, &mut Summing(&mut hasher)).map_err(|error| error.to_string())?;
        if head[12..] == hasher.finalize().to_le_bytes() {
            Ok(())
        } else {
            Err("its checksum is wrong".to_owned())
        }
    }

    /// A piece of the state; `None`: nothing is there.
    pub(super) fn piece(&self, offset: u64) -> io::Result<Option<Bytes>> {
        let Some(rest) = self.bytes.checked_sub(offset) else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(rest.min(PIECE_BYTES)).expect("a mebibyte at most")];
        self.file.read_exact_at(&mut bytes, self.offset + offset)?;
        Ok(Some(bytes.into()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes the snapshots that this one has replaced.
pub(super) fn remove_older(directory: &Path, kept: &SnapshotPosition) -> io::Result<()> {
    let keeps = path(directory, kept);
    for (index, path) in list(directory)? {
        if index <= kept.index && path != keeps {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Removes all snapshots but one, if any, and what was never finished. Only while nobody writes one.
pub(super) fn remove_others(directory: &Path, kept: Option<&SnapshotPosition>) -> io::Result<()> {
    let keeps = kept.map(|kept| path(directory, kept));
    for entry in fs::read_dir(directory)? {
        let found = entry?.path();
        let ours = found.extension().is_some_and(|extension| extension == "snap" || extension == "tmp");
        if ours && Some(&found) != keeps.as_ref() {
            fs::remove_file(&found)?;
        }
    }
    Ok(())
}

/// The snapshots in a directory, by the indices in their names.
pub(super) fn list(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if let Some(index) = name.strip_suffix(".snap").and_then(|name| name.split_once('-')?.0.parse().ok())
        {
            found.push((index, entry.path()));
        }
    }
    Ok(found)
}

fn path(directory: &Path, position: &SnapshotPosition) -> PathBuf {
    directory.join(format!("{}-{}.snap", position.index, position.term))
}

fn head(position: &SnapshotPosition, state: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    put_position(&mut encoded, position);
    let mut head = Vec::with_capacity(FIXED + encoded.len());
    head.extend_from_slice(MAGIC);
    head.u32(VERSION);
    head.u32(0);
    head.u64(state.len() as u64);
    head.u32(u32::try_from(encoded.len()).expect("there are not that many members"));
    head.extend_from_slice(&encoded);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[UNSUMMED..]);
    hasher.update(state);
    head[UNSUMMED - 4..UNSUMMED].copy_from_slice(&hasher.finalize().to_le_bytes());
    head
}

/// The position and the bytes of the state.
fn parse(bytes: &[u8]) -> Result<(SnapshotPosition, &[u8]), Fault> {
    let mut from = Cursor(bytes);
    if from.take(MAGIC.len())? != MAGIC {
        return Err(Fault::Damaged("it is no snapshot".to_owned()));
    }
    let version = from.u32()?;
    let expected = from.u32()?;
    // A version that is damaged must not pass for a newer one.
    let sum = crc32fast::hash(from.0);
    if sum != expected {
        return Err(Fault::Damaged("its checksum is wrong".to_owned()));
    }
    if version > VERSION {
        return Err(Fault::Newer(format!("it is of version {version}, known are those up to {VERSION}")));
    }
    let length = from.u64()?;
    let position = from.u32()? as usize;
    let mut encoded = Cursor(from.take(position)?);
    let position = read_position(&mut encoded)?;
    encoded.end()?;
    if from.0.len() as u64 != length {
        return Err(Fault::Damaged("its length is wrong".to_owned()));
    }
    Ok((position, from.0))
}

fn write_durably(path: &Path, parts: &[&[u8]]) -> io::Result<File> {
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Reads a file from a place of its own.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

struct Summing<'a>(&'a mut crc32fast::Hasher);

impl Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
