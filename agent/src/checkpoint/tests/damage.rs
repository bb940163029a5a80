//! Files that are not what was written: all is there, or it is said; never anything else.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use libactor::journal::{Journal, split};

use super::super::error::words;
use super::super::open::PORTIONS;
use super::*;

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Makes a directory with some past: two lives, the second one killed.
fn with_a_past(root: &Path, killed: &Path) -> Records {
    let directory = root.join("alive");
    for life in 0..2 {
        let mut store = open(&directory).unwrap();
        store.write(all_kinds().into_iter().map(put).collect());
        for number in 0..60 {
            let name = format!("{life}-{number}");
            store.write(vec![put(task(&name, 4_000)), put(update(&name, 1, false))]);
            if number >= 10 {
                store.write(vec![Change::Remove(task(&format!("{life}-{}", number - 10), 0).key())]);
            }
        }
        if life == 1 {
            copy(&directory, killed);
        }
    }
    open(&directory).unwrap().records().clone()
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if fs::metadata(&path).unwrap().len() > 0 {
            found.push(path);
        }
    }
    found.sort();
}

/// Damages one file, and says how.
fn damage(directory: &Path, random: &mut Random) -> String {
    let mut found = Vec::new();
    files(directory, &mut found);
    let journal = directory.join("journal/db");
    let path = if random.below(3) > 0 { &journal } else { &found[random.below(found.len())] };
    let name = path.strip_prefix(directory).unwrap().display();
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut bytes = fs::read(path).unwrap();
    // Where something is written.
    let from = random.below(bytes.len());
    let at = (from..bytes.len()).chain(0..from).find(|at| bytes[*at] != 0).unwrap();
    match random.below(10) {
        0 => {
            file.set_len(at as u64).unwrap();
            format!("{name} is cut at byte {at} of {}", bytes.len())
        }
        1 => {
            let end = bytes.len().min(at + 4096);
            file.write_all_at(&vec![0; end - at], at as u64).unwrap();
            format!("{name} has zeros from byte {at} to {end} of {}", bytes.len())
        }
        _ => {
            bytes[at] ^= 1 << random.below(8);
            file.write_all_at(&bytes[at..=at], at as u64).unwrap();
            format!("{name} has another byte {at} of {}", bytes.len())
        }
    }
}

#[test]
fn damage_at_random_places_is_harmless_or_said() {
    let root = tempfile::tempdir().unwrap();
    let whole = root.path().join("whole");
    let expected = with_a_past(root.path(), &whole);
    let trials: u64 = std::env::var("DISK_TRIALS").map_or(24, |trials| trials.parse().unwrap());
    let mut harmless = 0;
    for seed in 0..trials {
        let mut random = Random::new(seed);
        let directory = root.path().join(format!("{seed}/checkpoint"));
        copy(&whole, &directory);
        let how = damage(&directory, &mut random);
        match open(&directory) {
            Ok(store) => {
                assert_eq!(*store.records(), expected, "seed {seed}: {how}");
                harmless += 1;
            }
            Err(error @ CheckpointError::Damaged { .. }) => {
                let sentence = error.to_string();
                assert!(sentence.contains(&directory.display().to_string()), "{sentence}");
                assert!(sentence.contains("--strict=false"), "{sentence}");
                // It is said again, also when sled has cleaned up after itself.
                assert!(open(&directory).is_err(), "seed {seed}: {how}");
                salvaged(&directory, &expected, &format!("seed {seed}: {how}"));
            }
            Err(other) => panic!("seed {seed}: {how}: {other}"),
        }
        fs::remove_dir_all(directory.parent().unwrap()).unwrap();
    }
    assert!(0 < harmless && harmless < trials, "{harmless} of {trials}");
}

/// One that is not strict goes on with what can be read, counts what can't, keeps the damaged one, and is whole from then on.
fn salvaged(directory: &Path, expected: &Records, how: &str) {
    let mut store = open_as(directory, false).unwrap();
    assert!(store.keeping.errors > 0, "{how}");
    // What was removed may be back; what is there is as it was written.
    for (key, record) in &store.records().0 {
        assert!(expected.0.get(key).is_none_or(|expected| expected == record), "{how}: {key:?}");
    }
    store.write(vec![put(task("after", 10))]);
    drop(store);
    assert!(directory.with_extension("damaged-1").is_dir(), "{how}");
    let store = open(directory).unwrap();
    assert!(store.records().0.contains_key(&task("after", 10).key()), "{how}");
    assert_eq!(store.keeping.errors, 0, "{how}");
}

#[test]
fn a_record_that_cannot_be_understood_is_said_or_set_aside() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("checkpoint");
    let mut store = open(&directory).unwrap();
    store.write(all_kinds().into_iter().map(put).collect());
    drop(store);
    // A record that is whole, of something that this program does not know.
    let (journal, contents) = Journal::open(&directory, PORTIONS, &words(&directory)).unwrap();
    let sequence = contents.values.last().unwrap().sequence + 1;
    let entry = super::super::codec::Entry {
        key: Key::Drain,
        record: Some(Bytes::from_static(b"\x81\xa5other\x01")),
    };
    let group = super::super::codec::Group { first: None, changes: vec![entry] };
    for value in split(sequence, &super::super::codec::encode_group(&group).unwrap(), PORTIONS.value_bytes) {
        journal.put(&value);
    }
    drop(journal);
    for _ in 0..2 {
        let sentence = open(&directory).err().unwrap().to_string();
        assert!(sentence.contains("what it says of Drain can't be understood"), "{sentence}");
        assert!(sentence.contains("--strict=false"), "{sentence}");
    }
    let store = open_as(&directory, false).unwrap();
    assert_eq!((store.keeping.errors, store.records().0.len()), (1, all_kinds().len() - 1));
    drop(store);
    assert_eq!(fs::read(directory.join("set-aside/1")).unwrap(), b"\x81\xa5other\x01");
    let store = open(&directory).unwrap();
    assert_eq!(store.records().0.len(), all_kinds().len() - 1);
}

#[test]
fn what_a_newer_program_wrote_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("checkpoint");
    drop(open(&directory).unwrap());
    let (journal, contents) = Journal::open(&directory, PORTIONS, &words(&directory)).unwrap();
    let sequence = contents.values.last().unwrap().sequence + 1;
    split(sequence, &[2, 1, 2, 3], PORTIONS.value_bytes).iter().for_each(|value| journal.put(value));
    drop(journal);
    for strict in [true, false] {
        let sentence = open_as(&directory, strict).err().unwrap().to_string();
        assert!(sentence.contains("written by a newer version of this program"), "{sentence}");
    }
}
