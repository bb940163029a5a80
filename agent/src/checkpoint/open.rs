//! A checkpoint is opened and read: all of it, or what can be read where that is wanted.

use std::fs;
use std::path::Path;

use libactor::journal::{
    Fault, Journal, JournalError, Portions, Records as Numbered, make_directory, records, sync_directory,
    whole_records,
};

use super::codec::{self, Entry, Group};
use super::error::{CheckpointError, words};
use super::kept::Kept;
use super::writer::Writer;
use crate::core::checkpoint::{Key, Records};

/// Leaves of 33 values stay well below a quarter of a segment. An agent that has nothing to do takes little memory.
pub(super) const PORTIONS: Portions =
    Portions { value_bytes: 2048, segment_bytes: 512 << 10, cache_bytes: 512 << 10 };

/// A checkpoint that is open, before its thread.
pub(super) struct Read {
    pub(super) writer: Writer,
    pub(super) records: Records,
    /// What could not be read and was set aside.
    pub(super) errors: u64,
}

/// What looks at a journal before it is opened.
pub(super) type Look<'a> = &'a dyn Fn(&Path) -> Result<(), JournalError>;

/// Opens the checkpoint in a directory, or makes it.
pub(super) fn open(directory: &Path, strict: bool, look: Look<'_>) -> Result<Read, CheckpointError> {
    make_directory(directory)?;
    let opened = || Journal::open(directory, PORTIONS, &words(directory));
    let (journal, contents) = match look(directory).and_then(|()| opened()) {
        Ok(opened) => opened,
        Err(JournalError::Fault { fault: Fault::Damaged(what), .. }) if !strict => {
            return anew(directory, &what, (Kept::default(), 1));
        }
        Err(error) => return Err(error.into()),
    };
    match records(&contents, codec::decode_group, |group| group.first) {
        Ok(Some(numbered)) => resume(directory, journal, numbered, strict),
        Ok(None) => begin(directory, journal, Kept::default()),
        Err(Fault::Damaged(what)) if !strict => {
            drop(journal);
            let (whole, bad) = whole_records(&contents, codec::decode_group);
            let mut kept = Kept::default();
            whole.into_iter().for_each(|found| kept.add(found));
            anew(directory, &what, (kept, bad.max(1)))
        }
        Err(fault) => Err(CheckpointError::of(fault, directory)),
    }
}

/// Moves a damaged checkpoint aside, and makes one of what could be read, with so many errors.
fn anew(directory: &Path, what: &str, (kept, errors): (Kept, u64)) -> Result<Read, CheckpointError> {
    let names = (1..).map(|number| directory.with_extension(format!("damaged-{number}")));
    let aside = names.into_iter().find(|path| !path.exists()).expect("numbers do not end");
    fs::rename(directory, &aside).map_err(|error| CheckpointError::io("move aside", directory, error))?;
    make_directory(directory)?;
    tracing::error!(
        "the checkpoint was damaged: {what}. It lies in {} now; the agent goes on with what could be read",
        aside.display()
    );
    let (journal, _) = Journal::open(directory, PORTIONS, &words(directory))?;
    let read = begin(directory, journal, kept)?;
    Ok(Read { errors: read.errors + errors, ..read })
}

/// The first record of a journal: all that is known already.
fn begin(directory: &Path, journal: Journal, known: Kept) -> Result<Read, CheckpointError> {
    let (records, bad) = read(&known);
    let sound = known.records().filter(|(key, _)| records.0.contains_key(key));
    let changes = sound.map(|(key, bytes)| Entry { key: key.clone(), record: Some(bytes.clone()) });
    let group = Group { first: None, changes: changes.collect() };
    let mut writer = Writer::new(directory, journal, Kept::default());
    writer.begin(group).map_err(|error| CheckpointError::io("write into", directory, error))?;
    Ok(Read { writer, records, errors: bad.len() as u64 })
}

/// All is whole, as far as the journal knows.
fn resume(
    directory: &Path,
    mut journal: Journal,
    numbered: Numbered<Group>,
    strict: bool,
) -> Result<Read, CheckpointError> {
    journal.resume(numbered.next, numbered.void);
    if let Some((sequence, why)) = numbered.cut {
        tracing::warn!(
            "the checkpoint in {} had a torn end, of which nobody was told: record {sequence} ({why}) is cut",
            directory.display()
        );
        // Before its number is given again.
        while journal.remove(usize::MAX).map_err(|error| CheckpointError::io("clean", directory, error))? {}
        journal.sync().map_err(|error| CheckpointError::io("sync", directory, error))?;
    }
    let mut kept = Kept::default();
    numbered.records.into_iter().for_each(|found| kept.add(found));
    let (records, bad) = read(&kept);
    let errors = bad.len() as u64;
    let mut writer = Writer::new(directory, journal, kept);
    if let (true, Some((key, why))) = (strict, bad.first()) {
        let what = format!("what it says of {key:?} can't be understood: {why}");
        return Err(CheckpointError::Damaged { directory: directory.to_owned(), what });
    }
    if !bad.is_empty() {
        set_aside(directory, writer.kept(), &bad)?;
        let changes = bad.into_iter().map(|(key, _)| Entry { key, record: None }).collect();
        let removed = writer.write(Group { first: None, changes }).and_then(|()| writer.sync());
        removed.map_err(|error| CheckpointError::io("write into", directory, error))?;
    }
    Ok(Read { writer, records, errors })
}

/// Keeps the bytes of records that can't be read, each in a file of its own.
fn set_aside(directory: &Path, kept: &Kept, bad: &[(Key, String)]) -> Result<(), CheckpointError> {
    let folder = directory.join("set-aside");
    make_directory(&folder)?;
    for (key, why) in bad {
        let Some((_, bytes)) = kept.records().find(|(known, _)| *known == key) else { continue };
        let path = (1..).map(|number| folder.join(number.to_string())).find(|path| !path.exists());
        let path = path.expect("numbers do not end");
        fs::write(&path, bytes).map_err(|error| CheckpointError::io("write", &path, error))?;
        tracing::error!(?key, path = %path.display(), "a record can't be understood, and is set aside: {why}");
    }
    sync_directory(&folder).map_err(|error| CheckpointError::io("sync", &folder, error))
}

/// Reads every record; names those that can't be read.
fn read(kept: &Kept) -> (Records, Vec<(Key, String)>) {
    let mut records = Records::default();
    let mut bad = Vec::new();
    for (key, bytes) in kept.records() {
        match codec::decode(key, bytes) {
            Ok(record) => drop(records.0.insert(key.clone(), record)),
            Err(why) => bad.push((key.clone(), why)),
        }
    }
    (records, bad)
}
