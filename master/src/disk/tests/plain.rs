use super::*;

#[test]
fn what_was_written_is_there_in_the_next_life() {
    let root = tempfile::tempdir().unwrap();
    let directory = super::super::directory(root.path());
    let (mut disk, begun) = open(&directory).unwrap();
    assert_eq!(begun, founders(DISK));
    let hard_state = HardState { term: 3, vote: 2, commit: 4 };
    disk.persist(Persist { entries: entries(2..=5, 1), ..Persist::default() });
    disk.persist(Persist { entries: entries(4..=6, 3), hard_state: Some(hard_state), ..Persist::default() });
    let identity = Identity { cluster: Some(cluster()), ..begun.identity.clone() };
    disk.persist(Persist { identity: Some(identity.clone()), ..Persist::default() });
    drop(disk);
    let (mut disk, found) = open(&directory).unwrap();
    assert_eq!(found.hard_state, hard_state);
    assert_eq!(found.identity, identity);
    assert_eq!(found.snapshot, begun.snapshot);
    assert_eq!(found.entries, [entries(2..=3, 1), entries(4..=6, 3)].concat());
    // A snapshot in the middle, of which the log before is let go; and a large entry.
    disk.save(snapshot(5, 3));
    disk.sled.compact(5);
    disk.persist(Persist { entries: vec![entry(7, 3, 100_000)], ..Persist::default() });
    drop(disk);
    let (mut disk, found) = open(&directory).unwrap();
    assert_eq!((found.identity, found.hard_state.term), (identity.clone(), 3));
    assert_eq!(found.snapshot, snapshot(5, 3));
    assert_eq!(found.entries, [entry(6, 3, 100), entry(7, 3, 100_000)]);
    // Another one from a leader, that replaces all there is.
    let install = Some(snapshot(90, 4));
    disk.persist(Persist { install, entries: entries(91..=92, 4), ..Persist::default() });
    drop(disk);
    let (_disk, found) = open(&directory).unwrap();
    assert_eq!(found.snapshot, snapshot(90, 4));
    assert_eq!(found.hard_state, HardState { commit: 90, ..hard_state });
    assert_eq!(found.identity, identity);
    assert_eq!(found.entries, entries(91..=92, 4));
    let files = std::fs::read_dir(directory.join("snapshots")).unwrap().count();
    assert_eq!(files, 1);
}

#[test]
fn who_it_is_and_its_vote_outlive_the_log_that_they_were_written_with() {
    let root = tempfile::tempdir().unwrap();
    let (mut disk, begun) = open(root.path()).unwrap();
    let hard_state = HardState { term: 3, vote: 2, commit: 5 };
    let identity = Identity { cluster: Some(cluster()), ..begun.identity };
    disk.persist(Persist {
        entries: entries(2..=5, 1),
        hard_state: Some(hard_state),
        identity: Some(identity.clone()),
        ..Persist::default()
    });
    disk.persist(Persist { entries: entries(6..=7, 1), ..Persist::default() });
    disk.save(snapshot(7, 1));
    disk.sled.compact(8);
    drop(disk);
    for _ in 0..2 {
        let (_disk, found) = open(root.path()).unwrap();
        assert_eq!(found.hard_state, HardState { commit: 7, ..hard_state });
        assert_eq!((found.identity, found.snapshot), (identity.clone(), snapshot(7, 1)));
        assert_eq!(found.entries, []);
    }
}
