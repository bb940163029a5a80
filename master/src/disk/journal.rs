//! The journal: records in the order of their numbers, in sled. This file is sled's one door.
//!
//! ```text
//! key   = number of the record u64, number of the value u16, both big-endian
//! value = crc32 of all else, key included, u32; how many values the record has, u16; bytes
//! ```
//! A record that is longer than a value may be takes several. What sled does not do, and is done here: its `flush` leaves the
//! data to the system's cache, so the files are synced by ourselves; values stay below 4 KiB, since leaves that grow large become
//! files that it never syncs; on damage it panics, runs in circles, or cuts the tail in silence (see [`super::mark`]).

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{DiskError, While};
use super::limits::{CACHE_BYTES, RECORD_BYTES, SEGMENT_BYTES, SLICE_BYTES, VALUE_BYTES};
use super::mark::Mark;
use super::open::{guarded, patiently};

const KEY_BYTES: usize = 10;
const HEAD_BYTES: usize = 6;

/// A value as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) sequence: u64,
    pub(super) part: u16,
    pub(super) bytes: Vec<u8>,
}

/// The key of a value.
pub(super) type Key = (u64, u16);

#[derive(Debug)]
pub(super) struct Journal {
    db: sled::Db,
    directory: PathBuf,
    /// sled's file, to be synced.
    file: File,
    /// Files that sled has made for large leaves, and that are synced.
    blobs: BTreeSet<OsString>,
    mark: Mark,
    /// The number of the next record.
    next: u64,
    /// Values that mean nothing any more, and are to be removed.
    void: VecDeque<Key>,
}

/// What a journal held when it was opened.
pub(super) struct Contents {
    /// In the order of their keys.
    pub(super) values: Vec<Value>,
    /// The last record that was durable, as far as is known.
    pub(super) mark: u64,
}

impl Journal {
    /// Opens the journal of a replica's directory, or makes it, and reads all of it.
    pub(super) fn open(replica: &Path) -> Result<(Self, Contents), DiskError> {
        let directory = replica.join("journal");
        let mark_path = replica.join("mark");
        let (mark, marked) = Mark::open(&mark_path).while_doing("open", &mark_path)?;
        make_directory(&directory)?;
        let path = directory.clone();
        let (db, values) = guarded(replica, move |progress| {
            let db = patiently(|| config(&path).open())?;
            let mut values = Vec::new();
            for item in db.iter() {
                let (key, value) = item?;
                values.push(read_key(&key, &value)?);
                progress.step();
            }
            Ok((db, values))
        })?;
        let path = directory.join("db");
        let file = File::open(&path).while_doing("open", &path)?;
        let mut journal =
            Self { db, directory, file, blobs: BTreeSet::new(), mark, next: 1, void: VecDeque::new() };
        // sled cuts and cleans when it opens; and what it reads may never have been synced.
        journal.flush().while_doing("sync", &path)?;
        let directory = &journal.directory;
        let conf = directory.join("conf");
        File::open(&conf).and_then(|file| file.sync_all()).while_doing("sync", &conf)?;
        for path in [&directory.join("blobs"), directory, replica] {
            sync_directory(path).while_doing("sync", path)?;
        }
        Ok((journal, Contents { values, mark: marked }))
    }

    /// Where it goes on, and what is to be removed; known once its records were understood.
    pub(super) fn resume(&mut self, next: u64, void: impl IntoIterator<Item = Key>) {
        self.next = next;
        self.void.extend(void);
    }

    /// The number of the next record.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Writes a record; it is durable after [`Journal::sync`]. Tells its number, and of how many values it is.
    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<(u64, u16)> {
        if record.len() > RECORD_BYTES {
            return Err(io::Error::other(format!("{} bytes are more than one record takes", record.len())));
        }
        let sequence = self.next;
        let values = split(sequence, record);
        let count = u16::try_from(values.len()).expect("RECORD_BYTES are that many values at most");
        let mut batch = sled::Batch::default();
        let mut batched = 0;
        for value in values {
            if batched >= SLICE_BYTES {
                self.db.apply_batch(std::mem::take(&mut batch)).map_err(to_io)?;
                self.flush()?;
                batched = 0;
            }
            assert!(value.bytes.len() <= VALUE_BYTES, "sled keeps small values in its one file");
            batched += value.bytes.len();
            batch.insert(&key(sequence, value.part), value.bytes);
        }
        self.db.apply_batch(batch).map_err(to_io)?;
        self.next += 1;
        Ok((sequence, count))
    }

    /// Makes all that was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.mark.write(self.next - 1)
    }

    /// Makes the mark durable too: at the beginning, from when on an empty journal is a damaged one.
    pub(super) fn sync_mark(&self) -> io::Result<()> {
        self.mark.sync()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.db.flush().map_err(to_io)?;
        self.file.sync_data()?;
        let blobs = self.directory.join("blobs");
        let mut new = false;
        for entry in fs::read_dir(&blobs)? {
            let entry = entry?;
            if !self.blobs.contains(&entry.file_name()) {
                File::open(entry.path())?.sync_data()?;
                self.blobs.insert(entry.file_name());
                new = true;
            }
        }
        if new {
            sync_directory(&blobs)?;
            sync_directory(&self.directory)?;
        }
        Ok(())
    }

    /// Writes a value as it is.
    #[cfg(test)]
    pub(super) fn put(&self, value: &Value) {
        let key = key(value.sequence, value.part);
        self.db.insert(key, value.bytes.as_slice()).expect("a disk that works");
        self.db.flush().expect("a disk that works");
    }

    /// These records mean nothing any more: they are removed by and by.
    pub(super) fn forget(&mut self, keys: impl IntoIterator<Item = Key>) {
        self.void.extend(keys);
    }

    /// Removes some of what means nothing any more; tells whether anything is left.
    pub(super) fn remove(&mut self, at_most: usize) -> io::Result<bool> {
        let mut batch = sled::Batch::default();
        let count = at_most.min(self.void.len());
        for (sequence, part) in self.void.drain(..count) {
            batch.remove(&key(sequence, part));
        }
        if count > 0 {
            self.db.apply_batch(batch).map_err(to_io)?;
        }
        Ok(!self.void.is_empty())
    }
}

fn config(directory: &Path) -> sled::Config {
    sled::Config::new()
        .path(directory)
        .cache_capacity(CACHE_BYTES)
        .segment_size(SEGMENT_BYTES)
        .flush_every_ms(None)
}

fn key(sequence: u64, part: u16) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&sequence.to_be_bytes());
    key[8..].copy_from_slice(&part.to_be_bytes());
    key
}

/// A record as the values that it is kept in.
pub(super) fn split(sequence: u64, record: &[u8]) -> Vec<Value> {
    let chunks = record.chunks(VALUE_BYTES - HEAD_BYTES);
    let count = u16::try_from(chunks.len()).unwrap_or(u16::MAX);
    let values = (0..).zip(chunks).map(|(part, chunk)| {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + chunk.len());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(chunk);
        let sum = sum(&key(sequence, part), &bytes[4..]);
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        Value { sequence, part, bytes }
    });
    values.collect()
}

fn sum(key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(rest);
    hasher.finalize()
}

fn read_key(key: &[u8], value: &[u8]) -> Result<Value, sled::Error> {
    let Ok(key) = <[u8; KEY_BYTES]>::try_from(key) else {
        return Err(sled::Error::ReportableBug(format!("a key of {} bytes", key.len())));
    };
    let sequence = u64::from_be_bytes(key[..8].try_into().expect("eight of ten bytes"));
    let part = u16::from_be_bytes(key[8..].try_into().expect("two of ten bytes"));
    Ok(Value { sequence, part, bytes: value.to_vec() })
}

/// Puts the values of one record together.
pub(super) fn join(sequence: u64, values: &[Value]) -> Result<Vec<u8>, String> {
    let mut record = Vec::new();
    for (part, found) in (0..).zip(values) {
        if found.part != part {
            return Err(format!("its value {part} is missing"));
        }
        let (Some(head), Some(rest)) = (found.bytes.get(..4), found.bytes.get(4..)) else {
            return Err(format!("its value {part} is too short"));
        };
        if head != sum(&key(sequence, part), rest).to_le_bytes() {
            return Err(format!("the checksum of its value {part} is wrong"));
        }
        let Some((count, chunk)) = rest.split_first_chunk::<2>() else {
            return Err(format!("its value {part} is too short"));
        };
        let count = u16::from_le_bytes(*count);
        if usize::from(count) != values.len() {
            return Err(format!("it has {} of {count} values", values.len()));
        }
        record.extend_from_slice(chunk);
    }
    Ok(record)
}

/// Makes a directory that survives.
pub(super) fn make_directory(path: &Path) -> Result<(), DiskError> {
    if !path.is_dir() {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            make_directory(parent)?;
        }
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            made => made.while_doing("make the directory", path)?,
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_directory(parent).while_doing("sync", parent)?;
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// sled's errors as those of the system.
pub(super) fn to_io(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}
