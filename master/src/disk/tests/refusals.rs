//! Directories that can't be used, and what is said of them.

use std::fs;

use libactor::journal::{Journal, split};

use super::super::error::words;
use super::super::limits::PORTIONS;
use super::super::record::Record;
use super::*;

fn refusal(directory: &Path) -> String {
    match open(directory) {
        Ok((_, found)) => panic!("it was opened: {found:?}"),
        Err(error) => error.to_string(),
    }
}

/// A directory with three records and the log up to entry 3.
fn made(directory: &Path) -> Recovered {
    let (mut disk, _) = open(directory).unwrap();
    disk.persist(Persist { entries: entries(2..=2, 1), ..Persist::default() });
    disk.persist(Persist { entries: entries(3..=3, 1), ..Persist::default() });
    drop(disk);
    open(directory).unwrap().1
}

#[test]
fn a_directory_is_for_one_process() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path()).unwrap();
    let sentence = refusal(root.path());
    assert_eq!(
        sentence,
        format!("{} is in use by another process: is this master running already?", root.path().display())
    );
    let refused = repair(root.path(), MemberId(1), DISK, cluster(), "today");
    assert!(matches!(refused, Err(DiskError::InUse { .. })), "{refused:?}");
    drop(first);
    open(root.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let sentence = refusal(&file.join("replica"));
    assert!(sentence.starts_with(&format!("can't make the directory {}", file.display())), "{sentence}");
    assert!(!sentence.contains("repair"), "{sentence}");
}

#[test]
fn what_is_missing_is_said() {
    let root = tempfile::tempdir().unwrap();
    let whole = root.path().join("whole");
    made(&whole);
    type Change = fn(&Path);
    let cases: &[(&str, Change, &str)] = &[
        ("no snapshot", |path| fs::remove_file(path.join("snapshots/1-1.snap")).unwrap(), "can't be read"),
        (
            "no journal",
            |path| fs::remove_dir_all(path.join("journal")).unwrap(),
            "its journal is empty, and had 3 records",
        ),
        (
            "neither journal nor mark",
            |path| {
                fs::remove_dir_all(path.join("journal")).unwrap();
                fs::remove_file(path.join("mark")).unwrap();
                fs::rename(path.join("snapshots/1-1.snap"), path.join("snapshots/9-2.snap")).unwrap();
            },
            "its journal is empty, and there is the snapshot",
        ),
        (
            "another's snapshot",
            |path| {
                let other = path.with_extension("other");
                let masters = [(MemberId(3), "c:5050".to_owned())].into();
                let begin = |disk| Recovered::founders(MemberId(3), disk, &masters);
                drop(Sled::open(&other, begin, DISK, mpsc::channel(1).0).unwrap());
                fs::copy(other.join("snapshots/1-1.snap"), path.join("snapshots/1-1.snap")).unwrap();
            },
            "holds another position",
        ),
    ];
    for (name, change, words) in cases {
        let directory = root.path().join(name).join("replica");
        support::copy(&whole, &directory);
        change(&directory);
        let sentence = refusal(&directory);
        assert!(sentence.contains(words), "{name}: {sentence}");
        let way_out = format!(
            "meseta masters repair --work_dir={} --from-peer=HOST:PORT",
            directory.parent().unwrap().display()
        );
        assert!(sentence.ends_with(&way_out), "{name}: {sentence}");
    }
}

#[test]
fn what_a_newer_program_wrote_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("replica");
    made(&directory);
    let (journal, contents) = Journal::open(&directory, PORTIONS, &words(&directory)).unwrap();
    let sequence = contents.values.last().unwrap().sequence + 1;
    for value in split(sequence, &[2, 1, 2, 3], PORTIONS.value_bytes) {
        journal.put(&value);
    }
    drop(journal);
    for _ in 0..2 {
        let sentence = refusal(&directory);
        assert!(sentence.contains("was written by a newer version of this program"), "{sentence}");
        assert!(sentence.contains("Start that version again"), "{sentence}");
    }
}

#[test]
fn a_torn_end_is_cut_for_good() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("replica");
    let expected = made(&directory);
    let (journal, contents) = Journal::open(&directory, PORTIONS, &words(&directory)).unwrap();
    let sequence = contents.values.last().unwrap().sequence + 1;
    let mut torn = Record::default();
    torn.entries(&[entry(4, 1, 10_000)]);
    for value in split(sequence, torn.bytes(), PORTIONS.value_bytes).iter().skip(1) {
        journal.put(value);
    }
    drop(journal);
    // Its number is given again, with a shorter record.
    let (mut disk, found) = open(&directory).unwrap();
    assert_eq!(found, expected);
    disk.persist(Persist { entries: vec![entry(4, 2, 100)], ..Persist::default() });
    drop(disk);
    let (_, found) = open(&directory).unwrap();
    assert_eq!(found.entries.last(), Some(&entry(4, 2, 100)));
}

#[test]
fn a_damaged_directory_is_moved_aside_and_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let replica = super::super::directory(root.path());
    let disks = [1, 2, 3].map(|number| DiskId(Uuid([number; 16])));
    made(&replica);
    fs::write(replica.join("journal/conf"), [0; 60]).unwrap();
    refusal(&replica);
    // Who it was is known still.
    assert_eq!(identity(&replica).map(|identity| identity.id), Some(MemberId(1)));
    let kept = repair(&replica, MemberId(1), disks[0], cluster(), "2026-11-21").unwrap();
    assert_eq!(kept, Some(root.path().join("replica.damaged-2026-11-21")));
    let (disk, found) = open(&replica).unwrap();
    assert_eq!(found, Recovered::newcomer(MemberId(1), disks[0], Some(cluster())));
    drop(disk);
    // Once more on the same day; and where nothing is.
    let kept = repair(&replica, MemberId(1), disks[1], cluster(), "2026-11-21").unwrap();
    assert_eq!(kept, Some(root.path().join("replica.damaged-2026-11-21-2")));
    assert!(kept.unwrap().join("snapshots/0-0.snap").is_file());
    assert_eq!(identity(&replica).map(|identity| identity.disk), Some(disks[1]));
    let elsewhere = root.path().join("elsewhere/replica");
    assert_eq!(repair(&elsewhere, MemberId(1), disks[2], cluster(), "2026-11-21").unwrap(), None);
    assert_eq!(open(&elsewhere).unwrap().1.identity.disk, disks[2]);
}

#[test]
fn nothing_is_reported_after_a_failure() {
    let root = tempfile::tempdir().unwrap();
    let (mut disk, _) = open(root.path()).unwrap();
    disk.persist(Persist { entries: entries(2..=2, 1), ..Persist::default() });
    let snapshots = root.path().join("snapshots");
    fs::remove_dir_all(&snapshots).unwrap();
    disk.sled.save(snapshot(2, 1));
    match disk.event() {
        DiskEvent::Failed(sentence) => {
            assert!(
                sentence.starts_with(&format!("can't write a snapshot into {}", snapshots.display())),
                "{sentence}"
            );
        }
        other => panic!("{other:?}"),
    }
    for index in 3..10 {
        disk.begin(Persist { entries: entries(index..=index, 1), sync: true, ..Persist::default() });
    }
    disk.sled.compact(2);
    let Open { sled, mut events, .. } = disk;
    drop(sled);
    assert!(events.blocking_recv().is_none(), "nothing more came");
}
