use std::fs;

use super::*;

#[test]
fn what_was_written_is_there_in_the_next_life() {
    let root = tempfile::tempdir().unwrap();
    let directory = super::super::directory(root.path());
    let mut store = open(&directory).unwrap();
    assert_eq!(*store.records(), Records::default());
    store.write(all_kinds().into_iter().map(put).collect());
    store.write(vec![put(task("large", 100_000)), put(update("t1", 4, false)), Change::Remove(Key::Drain)]);
    drop(store);
    for _ in 0..2 {
        let store = open(&directory).unwrap();
        let mut expected = Records::default();
        let kept = all_kinds().into_iter().filter(|record| *record != drain());
        kept.chain([task("large", 100_000), update("t1", 4, false)])
            .for_each(|record| expected.change(put(record)));
        assert_eq!(*store.records(), expected);
        assert_eq!(store.keeping.errors, 0);
    }
}

#[test]
fn many_batches_are_one_sync_and_all_are_reported() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).unwrap();
    for number in 0..500 {
        store.begin(vec![put(update("t1", number, false))]);
    }
    assert_eq!(store.wait(500).number, 500);
    drop(store);
    assert_eq!(open(root.path()).unwrap().records().0.len(), 500);
}

#[test]
fn what_is_replaced_and_removed_takes_no_room() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).unwrap();
    store.write(vec![put(agent()), put(task("stays", 5_000))]);
    for round in 0..400 {
        let name = format!("t{round}");
        store.write(vec![put(task(&name, 20_000)), put(update(&name, round, false))]);
        store.write(vec![
            Change::Remove(task(&name, 0).key()),
            Change::Remove(update(&name, round, false).key()),
        ]);
    }
    drop(store);
    let bytes = fs::metadata(root.path().join("journal/db")).unwrap().len();
    assert!(bytes < 6 << 20, "{bytes} bytes are kept of 8 MB that mean nothing any more");
    let store = open(root.path()).unwrap();
    assert_eq!(store.records().0.len(), 2);
    let held = super::super::open::open(&root.path().join("other"), true, &|_| Ok(())).unwrap();
    drop(held);
}

#[test]
fn a_directory_is_for_one_process() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path()).unwrap();
    let refused = open(root.path()).err().unwrap().to_string();
    let expected =
        format!("{} is in use by another process: is this agent running already?", root.path().display());
    assert_eq!(refused, expected);
    drop(first);
    open(root.path()).unwrap();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let sentence = open(&file.join("checkpoint")).err().unwrap().to_string();
    assert!(sentence.starts_with(&format!("can't make the directory {}", file.display())), "{sentence}");
}
