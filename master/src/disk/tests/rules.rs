//! What a journal may look like, value by value, and what is made of it.

use libactor::journal::{self, Contents, Fault, Value};

use super::super::limits::PORTIONS;
use super::super::record::Record;
use super::super::replay::{Cut, Replayed, replay};
use super::*;

fn split(sequence: u64, record: &[u8]) -> Vec<Value> {
    journal::split(sequence, record, PORTIONS.value_bytes)
}

fn record(fill: impl FnOnce(&mut Record)) -> Record {
    let mut record = Record::default();
    fill(&mut record);
    record
}

fn begin(hard_state: HardState, position: &SnapshotPosition, first: Option<u64>) -> Record {
    record(|record| {
        record.identity(&Identity { id: MemberId(1), disk: DISK, cluster: None });
        record.hard_state(hard_state);
        record.snapshot(position, first.is_none());
        first.into_iter().for_each(|first| record.first(first));
    })
}

fn log(range: std::ops::RangeInclusive<u64>, term: u64, bytes: usize) -> Record {
    record(|record| record.entries(&range.map(|index| entry(index, term, bytes)).collect::<Vec<_>>()))
}

fn position(index: u64) -> SnapshotPosition {
    snapshot(index, 1).position
}

fn hard_state(commit: u64) -> HardState {
    HardState { term: 2, vote: 1, commit }
}

/// Five records: entries 2 to 4, 5 and 6 in several values, commit 5, and 7 to 9 in several values.
fn five() -> Vec<Value> {
    let states = record(|record| record.hard_state(hard_state(5)));
    let records = [
        begin(hard_state(1), &position(1), None),
        log(2..=4, 1, 50),
        log(5..=6, 2, 5_000),
        states,
        log(7..=9, 2, 3_000),
    ];
    (1..).zip(&records).flat_map(|(sequence, record)| split(sequence, record.bytes())).collect()
}

fn add(mut values: Vec<Value>, sequence: u64, record: &Record) -> Vec<Value> {
    values.extend(split(sequence, record.bytes()));
    values
}

fn without(mut values: Vec<Value>, gone: impl Fn(&Value) -> bool) -> Vec<Value> {
    let before = values.len();
    values.retain(|value| !gone(value));
    assert!(values.len() < before, "there was something");
    values
}

fn flipped(mut values: Vec<Value>, sequence: u64, part: u16) -> Vec<Value> {
    let found = values.iter_mut().find(|value| (value.sequence, value.part) == (sequence, part));
    found.unwrap().bytes[100] ^= 4;
    values
}

fn with_version(record: &Record, version: u8) -> Vec<u8> {
    let mut bytes = record.bytes().to_vec();
    bytes[0] = version;
    bytes
}

/// The last index and the record from which on it was cut, if it was; or words of what is said.
type Expected = Result<(u64, Option<u64>), &'static str>;

/// Its name, the values, the mark, and what is made of them.
type Case = (&'static str, Vec<Value>, u64, Expected);

const CUT: Expected = Ok((6, Some(5)));

fn tails() -> Vec<Case> {
    let values = five;
    let torn = |part| without(five(), |value| (value.sequence, value.part) == (5, part));
    let gone = || without(five(), |value| value.sequence == 5);
    let two = flipped(flipped(add(five(), 6, &log(10..=10, 2, 200)), 6, 0), 5, 0);
    let states = add(five(), 6, &record(|record| record.hard_state(hard_state(10))));
    let committed =
        without(add(states, 7, &log(10..=12, 2, 3_000)), |value| (value.sequence, value.part) == (7, 1));
    vec![
        ("whole", values(), 5, Ok((9, None))),
        ("the mark is behind", values(), 2, Ok((9, None))),
        ("the mark is lost", values(), 0, Ok((9, None))),
        ("a torn tail", torn(1), 4, CUT),
        ("a tail without its end", torn(2), 0, CUT),
        ("a tail without its begin", torn(0), 0, CUT),
        ("a bad tail", flipped(values(), 5, 1), 4, CUT),
        (
            "a bad tail that was durable",
            flipped(values(), 5, 1),
            5,
            Err("value 1 is wrong, and it was durable"),
        ),
        ("two bad ones at the end", two, 4, CUT),
        ("a tail that is gone", gone(), 5, Err("ends with record 4, and was durable up to 5")),
        ("a tail that is gone before anybody knew", gone(), 4, Ok((6, None))),
        ("a committed tail", committed, 0, Err("ends with entry 9, and entry 10 was committed; record 7")),
    ]
}

fn others() -> Vec<Case> {
    let values = five;
    let gone = |gone: fn(u64) -> bool| without(five(), |value| gone(value.sequence));
    let raw = |bytes: &[u8]| values().into_iter().chain(split(6, bytes)).collect::<Vec<_>>();
    let newer = raw(&with_version(&log(10..=10, 2, 1), 2));
    let zero = raw(&with_version(&log(10..=10, 2, 1), 0));
    let only = flipped(split(1, log(2..=4, 1, 50).bytes()), 1, 0);
    let trimmed = || add(five(), 6, &begin(hard_state(6), &position(6), Some(4)));
    let ahead = record(|record| {
        record.snapshot(&position(20), true);
        record.entries(&[entry(22, 2, 1)]);
    });
    vec![
        ("a bad one in the middle", flipped(values(), 3, 1), 0, Err("value 1 is wrong; good ones follow")),
        ("a gap", gone(|sequence| sequence == 3), 0, Err("the records 3 to 3 of its journal are missing")),
        ("no begin", gone(|sequence| sequence < 3), 0, Err("the records 1 to 2 of its journal are missing")),
        ("only a bad one", only, 0, Err("no other is there")),
        ("nothing is left", Vec::new(), 3, Err("its journal is empty, and had 3 records")),
        ("a newer record", newer, 0, Err("its records are of version 2")),
        ("no version", zero, 6, Err("there are no records of version 0")),
        ("a gap in the log", add(values(), 6, &log(11..=11, 2, 1)), 0, Err("entry 11 follows entry 9")),
        ("a gap behind the snapshot", add(values(), 6, &ahead), 0, Err("its log begins with entry 22")),
        ("entries in the place of others", add(values(), 6, &log(6..=7, 2, 1)), 0, Ok((7, None))),
        ("void records that are still there", trimmed(), 6, Ok((9, None))),
        ("a void one is gone", without(trimmed(), |value| value.sequence == 2), 6, Ok((9, None))),
        ("one that is not", without(trimmed(), |value| value.sequence == 4), 6, Err("the records 4 to 4")),
        ("nobody", add(Vec::new(), 1, &log(2..=2, 1, 1)), 0, Err("no record of its journal holds who it is")),
    ]
}

#[test]
fn a_journal_is_understood_or_refused() {
    for (name, values, mark, expected) in tails().into_iter().chain(others()) {
        let found = replay(Contents { values, mark });
        let found = found.map(|found| {
            let Replayed { entries, snapshot, cut, .. } = found.expect(name);
            let last = entries.last().map_or(snapshot.index, |entry| entry.index);
            assert!(cut.iter().all(|cut| cut.index == last && !cut.why.is_empty()), "{name}: {cut:?}");
            (last, cut.map(|Cut { sequence, .. }| sequence))
        });
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
            (Err(Fault::Damaged(what)), Err(words)) => assert!(what.contains(words), "{name}: {what}"),
            (Err(Fault::Newer(what)), Err(words)) => {
                assert!(name == "a newer record" && what.contains(words), "{name}: {what}");
            }
            (found, expected) => panic!("{name}: {found:?}, and not {expected:?}"),
        }
    }
    assert_eq!(replay(Contents { values: Vec::new(), mark: 0 }), Ok(None));
}

#[test]
fn what_was_cut_or_is_void_is_removed() {
    let torn = without(five(), |value| (value.sequence, value.part) == (5, 1));
    let found = replay(Contents { values: torn, mark: 0 }).unwrap().unwrap();
    assert_eq!((found.void, found.next), (vec![(5, 0), (5, 2)], 5));
    let trimmed = add(five(), 6, &begin(hard_state(6), &position(6), Some(4)));
    let found = replay(Contents { values: trimmed, mark: 0 }).unwrap().unwrap();
    assert_eq!(found.void, [(1, 0), (2, 0), (3, 0), (3, 1), (3, 2)]);
    assert_eq!((found.next, found.hard_state.commit, found.entries.len()), (7, 6, 3));
}
