//! What is done to all that keeps a journal, done to checkpoints.

use super::support::{self, Keeper, Refused};
use super::*;

/// So many tasks are there at a time.
const TASKS: u64 = 20;

/// The store of an agent. Task N comes with its update, and the task of a while ago goes, in one batch.
struct Checkpoint;

fn bytes(number: u64) -> usize {
    usize::try_from(number * 7919 % 900).unwrap() + if number.is_multiple_of(41) { 20_000 } else { 0 }
}

fn name(number: u64) -> String {
    format!("{number:08}")
}

fn newest(records: &Records) -> u64 {
    let tasks = records.0.keys().filter_map(|key| match key {
        Key::Task(_, task_id) => Some(task_id.as_str().parse().unwrap()),
        _ => None,
    });
    tasks.max().unwrap_or(0)
}

impl Keeper for Checkpoint {
    const CHILD: &str = "checkpoint::tests::crash::child";
    const DIRECTORY: &str = "checkpoint";
    const TOO_SMALL: &str = "6m";
    const CANT_WRITE: &str = "can't be written";
    const ADVICE: &str = "--strict=false";
    const MENDS: &str = "strict";

    type Open = Open;
    type Held = Records;

    fn open(directory: &Path) -> Result<Open, Refused> {
        open(directory).map_err(|error| Refused {
            damaged: matches!(error, CheckpointError::Damaged { .. }),
            sentence: error.to_string(),
        })
    }

    fn held(open: &Open) -> &Records {
        open.records()
    }

    /// Each batch is there as a whole.
    fn check(held: &Records, grows: bool) -> u64 {
        let newest = newest(held);
        let mut expected = Records::default();
        let oldest = if grows { 1 } else { (newest + 1).saturating_sub(TASKS).max(1) };
        for number in oldest..=newest {
            expected.change(put(task(&name(number), bytes(number))));
            expected.change(put(update(&name(number), number, false)));
        }
        assert_eq!(*held, expected);
        newest
    }

    fn write(mut store: Open, grows: bool, mut kept: impl FnMut(u64)) -> String {
        let first = newest(store.records()) + 1;
        for next in first.. {
            let mut changes =
                vec![put(task(&name(next), bytes(next))), put(update(&name(next), next, false))];
            if let (Some(old), false) = (next.checked_sub(TASKS).filter(|old| *old > 0), grows) {
                changes.push(Change::Remove(task(&name(old), 0).key()));
                changes.push(Change::Remove(update(&name(old), old, false).key()));
            }
            let number = store.begin(changes);
            // A few are under way always.
            if let Some(number) = number.checked_sub(4).filter(|number| *number > 0) {
                let told = store.wait(number);
                if let Some(failure) = told.failure {
                    return failure.to_string();
                }
                kept(first + told.number - 1);
            }
        }
        unreachable!("nobody counts so far")
    }

    /// Two lives, the second one killed.
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
                support::copy(&directory, killed);
            }
        }
        open(&directory).unwrap().records().clone()
    }

    /// One that is not strict goes on with what can be read, counts what can't, keeps the damaged one, and is whole from then
    /// on.
    fn salvage(directory: &Path, expected: &Records, how: &str) {
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
}

#[test]
#[ignore = "a process that other tests start"]
fn child() {
    support::write::<Checkpoint>();
}

#[test]
fn nothing_that_was_reported_is_lost_with_the_process() {
    support::a_killed_process::<Checkpoint>();
}

#[test]
fn nothing_that_was_reported_is_lost_with_the_power() {
    support::a_lost_power::<Checkpoint>();
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    support::a_full_disk::<Checkpoint>();
}

#[test]
fn damage_at_random_places_is_harmless_or_said() {
    support::random_damage::<Checkpoint>();
}
