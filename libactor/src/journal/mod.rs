//! A journal on the disk: records in the order of their numbers, in sled. This module is sled's one door.
//!
//! ```text
//! key   = number of the record u64, number of the value u16, both big-endian
//! value = crc32 of all else, key included, u32; how many values the record has, u16; bytes
//! ```
//! A record that is longer than a value may be takes several. What sled does not do, and is done here: its `flush` leaves the
//! data to the system's cache, so the files are synced by ourselves; values stay small, since leaves that grow large become
//! files that it never syncs; on damage it panics, runs in circles, or cuts the tail in silence (see `mark`).
//!
//! ```text
//! DIRECTORY/journal/  sled
//! DIRECTORY/mark      how far the journal was durable
//! DIRECTORY/closed    there while nobody uses it, if its last user has closed it
//! ```

mod error;
mod look;
mod mark;
mod open;
mod records;

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use error::While;
use mark::Mark;
use open::{guarded, patiently};

pub use error::{Fault, JournalError};
pub use look::{closed, look, looked_at};
pub use open::{Words, caught, lock};
pub use records::{Found, Records, records, whole_records};

const KEY_BYTES: usize = 10;
const HEAD_BYTES: usize = 6;

/// Most bytes of one record: so many values can be numbered.
const MAX_VALUES: usize = u16::MAX as usize;

/// How much a journal takes, and in which portions.
#[derive(Clone, Copy, Debug)]
pub struct Portions {
    /// Longest value, bytes. sled's leaves hold up to 33 values: they must stay well below a quarter of a segment, else they
    /// become files of their own.
    pub value_bytes: usize,
    /// sled's unit of writing and of reuse, bytes; a power of two.
    pub segment_bytes: usize,
    /// Of sled's cache, bytes: a journal is read once, at the start.
    pub cache_bytes: u64,
}

impl Portions {
    /// What is written at most between two syncs, bytes: less than a segment, so that sled never overwrites what it believes to
    /// be replaced by something that is not on the disk yet.
    fn slice_bytes(&self) -> usize {
        self.segment_bytes / 4
    }

    /// The longest record, bytes.
    fn record_bytes(&self) -> usize {
        MAX_VALUES * (self.value_bytes - HEAD_BYTES)
    }
}

/// A value as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The number of its record.
    pub sequence: u64,
    /// Its number in the record.
    pub part: u16,
    /// What is kept of it, its head included.
    pub bytes: Vec<u8>,
}

/// The key of a value.
pub type Key = (u64, u16);

/// A journal that is open.
#[derive(Debug)]
pub struct Journal {
    portions: Portions,
    db: sled::Db,
    home: PathBuf,
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
#[derive(Debug)]
pub struct Contents {
    /// In the order of their keys.
    pub values: Vec<Value>,
    /// The last record that was durable, as far as is known.
    pub mark: u64,
}

impl Journal {
    /// Opens the journal in a directory, or makes it, and reads all of it. `words` tell of damage.
    ///
    /// # Errors
    /// The directory can't be used, another process has it, or sled can't read what is there.
    pub fn open(home: &Path, portions: Portions, words: &Words) -> Result<(Self, Contents), JournalError> {
        let directory = home.join("journal");
        let mark_path = home.join("mark");
        let (mark, marked) = Mark::open(&mark_path).while_doing("open", &mark_path)?;
        make_directory(&directory)?;
        look::begin_use(home)?;
        let path = directory.clone();
        let (db, values) = guarded(home, words, move |progress| {
            let db = patiently(|| config(&path, portions).open())?;
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
        let mut journal = Self {
            portions,
            db,
            home: home.to_owned(),
            directory,
            file,
            blobs: BTreeSet::new(),
            mark,
            next: 1,
            void: VecDeque::new(),
        };
        // sled cuts and cleans when it opens; and what it reads may never have been synced.
        journal.flush().while_doing("sync", &path)?;
        let directory = &journal.directory;
        let conf = directory.join("conf");
        File::open(&conf).and_then(|file| file.sync_all()).while_doing("sync", &conf)?;
        for path in [&directory.join("blobs"), directory, home] {
            sync_directory(path).while_doing("sync", path)?;
        }
        Ok((journal, Contents { values, mark: marked }))
    }

    /// Where it goes on, and what is to be removed; known once its records were understood.
    pub fn resume(&mut self, next: u64, void: impl IntoIterator<Item = Key>) {
        self.next = next;
        self.void.extend(void);
    }

    /// The number of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Writes a record; it is durable after [`Journal::sync`]. Tells its number, and of how many values it is.
    ///
    /// # Errors
    /// The system refuses it, or it is longer than a record may be.
    pub fn append(&mut self, record: &[u8]) -> io::Result<(u64, u16)> {
        if record.len() > self.portions.record_bytes() {
            return Err(io::Error::other(format!("{} bytes are more than one record takes", record.len())));
        }
        let sequence = self.next;
        let values = split(sequence, record, self.portions.value_bytes);
        let count = u16::try_from(values.len()).expect("its length was looked at");
        let mut batch = sled::Batch::default();
        let mut batched = 0;
        for value in values {
            if batched >= self.portions.slice_bytes() {
                self.db.apply_batch(std::mem::take(&mut batch)).map_err(to_io)?;
                self.flush()?;
                batched = 0;
            }
            assert!(
                value.bytes.len() <= self.portions.value_bytes,
                "sled keeps small values in its one file"
            );
            batched += value.bytes.len();
            batch.insert(&key(sequence, value.part), value.bytes);
        }
        self.db.apply_batch(batch).map_err(to_io)?;
        self.next += 1;
        Ok((sequence, count))
    }

    /// Makes all that was written durable.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.mark.write(self.next - 1)
    }

    /// Makes the mark durable too: at the beginning, from when on an empty journal is a damaged one.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn sync_mark(&self) -> io::Result<()> {
        self.mark.sync()
    }

    /// Ends its use, with all that was written durable. Without this its next user has to expect anything of it.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn close(mut self) -> io::Result<()> {
        self.sync()?;
        look::end_use(&self.home)
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

    /// Writes a value as it is: for tests.
    ///
    /// # Panics
    /// The disk does not work.
    #[doc(hidden)]
    pub fn put(&self, value: &Value) {
        let key = key(value.sequence, value.part);
        self.db.insert(key, value.bytes.as_slice()).expect("a disk that works");
        self.db.flush().expect("a disk that works");
    }

    /// These records mean nothing any more: they are removed by and by.
    pub fn forget(&mut self, keys: impl IntoIterator<Item = Key>) {
        self.void.extend(keys);
    }

    /// Removes some of what means nothing any more; tells whether anything is left.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn remove(&mut self, at_most: usize) -> io::Result<bool> {
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

fn config(directory: &Path, portions: Portions) -> sled::Config {
    sled::Config::new()
        .path(directory)
        .cache_capacity(portions.cache_bytes)
        .segment_size(portions.segment_bytes)
        .flush_every_ms(None)
}

fn key(sequence: u64, part: u16) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&sequence.to_be_bytes());
    key[8..].copy_from_slice(&part.to_be_bytes());
    key
}

/// A record as the values that it is kept in, of so many bytes each.
pub fn split(sequence: u64, record: &[u8], value_bytes: usize) -> Vec<Value> {
    let chunks = record.chunks(value_bytes - HEAD_BYTES);
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
fn join(sequence: u64, values: &[Value]) -> Result<Vec<u8>, String> {
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
///
/// # Errors
/// The system refuses it.
pub fn make_directory(path: &Path) -> Result<(), JournalError> {
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
///
/// # Errors
/// The system refuses it.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// sled's errors as those of the system.
fn to_io(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}
