use std::collections::BTreeMap;

use master::registry::{DiskId, MemberId};
use master::replication::{EntryKind, HardState};
use protocol::Uuid;

use super::*;

const SPEED: Speed = Speed {
    sync: Duration::from_millis(10),
    slow_thousandths: 0,
    slowest: Duration::ZERO,
    fails: 0,
    piece: 16,
};

fn disk() -> Disk {
    let masters = BTreeMap::from([(MemberId(1), "10.0.0.1:5050".to_owned())]);
    Disk::new(Recovered::founders(MemberId(1), DiskId(Uuid::from_random(1)), &masters))
}

fn entries(indexes: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
    let entry =
        |index| Entry { kind: EntryKind::Normal, term, index, data: Bytes::new(), context: Bytes::new() };
    indexes.map(entry).collect()
}

fn persist(number: u64, entries: Vec<Entry>, sync: bool) -> Persist {
    let hard_state = Some(HardState { term: number, vote: 0, commit: 1 });
    Persist { number, entries, hard_state, sync, ..Persist::default() }
}

fn later(millis: u64) -> Time {
    Time::default() + Duration::from_millis(millis)
}

/// All that is reported up to a time.
fn reports(writer: &mut Writer, until: Time) -> Vec<DiskEvent> {
    let mut all = Vec::new();
    while let Some(at) = writer.deadline().filter(|at| *at <= until) {
        all.extend(std::iter::from_fn(|| writer.next(at)));
    }
    all
}

fn numbers(reports: &[DiskEvent]) -> Vec<u64> {
    let number = |event: &DiskEvent| match event {
        DiskEvent::Persisted(number) => *number,
        other => panic!("{other:?}"),
    };
    reports.iter().map(number).collect()
}

#[test]
fn what_is_reported_is_there_and_the_rest_up_to_some_place() {
    let mut kept = BTreeMap::<usize, usize>::new();
    for seed in 0..200 {
        let disk = disk();
        let mut writer = Writer::new(&disk, SPEED, seed);
        writer.persist(later(0), persist(1, entries(2..=3, 1), true));
        // These wait for the first and are written together.
        writer.persist(later(0), persist(2, entries(4..=4, 1), true));
        writer.persist(later(0), persist(3, entries(5..=5, 1), false));
        let reported = numbers(&reports(&mut writer, later(1_000)));
        assert!(reported == [1, 3], "in order, one for several: {reported:?}");
        writer.persist(later(1_000), persist(4, entries(5..=6, 2), true));
        writer.persist(later(1_000), persist(5, entries(7..=7, 2), true));
        let found = disk.recover(&mut Random::new(seed));
        let first: Vec<u64> = found.entries.iter().take(4).map(|entry| entry.index).collect();
        assert_eq!(first, [2, 3, 4, 5]);
        let term = found.hard_state.term;
        match found.entries.len() {
            4 => assert_eq!((term, found.entries[3].term), (3, 1), "nothing of the fourth is there"),
            5 => assert_eq!((term, found.entries[3].term), (4, 2), "all of the fourth is there"),
            other => panic!("the fifth had not begun, and {other} entries are there"),
        }
        *kept.entry(found.entries.len()).or_default() += 1;
    }
    assert!(kept.len() == 2 && kept.values().all(|times| *times > 20), "{kept:?}");
}

#[test]
fn what_was_written_without_a_sync_may_be_lost_and_goes_with_the_next_one() {
    let mut lost = 0;
    for seed in 0..100 {
        let disk = disk();
        let mut writer = Writer::new(&disk, SPEED, seed);
        writer.persist(later(0), persist(1, entries(2..=2, 1), false));
        assert_eq!(numbers(&reports(&mut writer, later(400))), [1]);
        if seed % 2 == 0 {
            writer.persist(later(400), persist(2, entries(3..=3, 1), true));
            assert_eq!(numbers(&reports(&mut writer, later(1_000))), [2]);
        }
        let found = disk.recover(&mut Random::new(seed)).entries.len();
        assert!(seed % 2 == 1 || found == 2);
        lost += usize::from(found == 0);
    }
    assert!((10..40).contains(&lost), "{lost} of 50");
}

#[test]
fn a_snapshot_is_read_in_pieces_and_lets_the_log_go() {
    let disk = disk();
    let mut writer = Writer::new(&disk, SPEED, 1);
    writer.persist(later(0), persist(1, entries(2..=9, 1), true));
    reports(&mut writer, later(500));
    let mut snapshot = disk.recover(&mut Random::new(1)).snapshot;
    snapshot.position.index = 7;
    writer.save(later(500), &snapshot);
    let size = codec::encode_state(&snapshot.state).len();
    let saved = reports(&mut writer, later(1_500));
    assert!(matches!(saved.as_slice(), [DiskEvent::Saved(7, bytes)] if *bytes == size as u64), "{saved:?}");
    writer.compact(later(1_500), 6);
    let found = disk.recover(&mut Random::new(1));
    assert_eq!(found.snapshot, snapshot);
    assert_eq!(found.entries, entries(8..=9, 1), "what follows it");
    let to: Pid = "masters@10.0.0.2:5050".parse().unwrap();
    let parcel = |index| Parcel {
        cluster: None,
        from: MemberId(1),
        disk: DiskId(Uuid::from_random(1)),
        to: MemberId(2),
        version: 1,
        body: Body::Pull { index, offset: 0 },
    };
    writer.read_piece(later(1_500), to.clone(), parcel(6), 6, 0);
    let mut bytes = Vec::new();
    while bytes.len() < size {
        writer.read_piece(later(1_500), to.clone(), parcel(7), 7, bytes.len() as u64);
        let all = reports(&mut writer, later(9_000));
        let [DiskEvent::Piece(_, Parcel { body: Body::Piece { bytes: piece, total, .. }, .. })] =
            all.as_slice()
        else {
            panic!("one piece, of the newest snapshot: {all:?}");
        };
        assert_eq!(*total, size as u64);
        bytes.extend_from_slice(piece);
    }
    assert_eq!(codec::decode_state(&bytes), Ok((*snapshot.state).clone()));
}

#[test]
fn another_disk_has_nothing_of_the_first_and_a_full_one_says_so() {
    let disk = disk();
    let mut writer = Writer::new(&disk, Speed { fails: 100_000, ..SPEED }, 1);
    let newcomer = Recovered::newcomer(MemberId(2), DiskId(Uuid::from_random(2)), None);
    disk.replace(newcomer.clone());
    writer.persist(later(0), persist(1, entries(2..=2, 1), true));
    let failed = reports(&mut writer, later(1_000));
    assert!(matches!(failed.as_slice(), [DiskEvent::Failed(_)]), "{failed:?}");
    assert_eq!(disk.recover(&mut Random::new(1)), newcomer);
}
