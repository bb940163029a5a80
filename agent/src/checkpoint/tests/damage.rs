//! Files that hold what this program does not know.

use std::fs;

use libactor::journal::{Journal, split};

use super::super::error::words;
use super::super::open::PORTIONS;
use super::*;

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
