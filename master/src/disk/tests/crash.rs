//! What is done to all that keeps a journal, done to the disk of a replica.

use super::support::{self, Keeper, Refused};
use super::*;

/// The disk of a replica: entries, of which some are synced, in a term of its own for each life; snapshots, and a log that is let
/// go of.
struct Replica;

fn bytes(index: u64) -> usize {
    usize::try_from(index * 7919 % 600).unwrap() + if index.is_multiple_of(41) { 20_000 } else { 0 }
}

/// Index and term of the end of the log.
fn end(held: &Recovered) -> (u64, u64) {
    let position = &held.snapshot.position;
    held.entries.last().map_or((position.index, position.term), |entry| (entry.index, entry.term))
}

impl Keeper for Replica {
    const CHILD: &str = "disk::tests::crash::child";
    const DIRECTORY: &str = "replica";
    const TOO_SMALL: &str = "12m";
    const CANT_WRITE: &str = "can't write";
    const ADVICE: &str = "meseta masters repair --work_dir=";
    const MENDS: &str = "repair";

    type Open = (Open, Recovered);
    type Held = Recovered;

    fn open(directory: &Path) -> Result<(Open, Recovered), Refused> {
        open(directory).map_err(|error| Refused {
            damaged: matches!(error, DiskError::Damaged { .. }),
            sentence: error.to_string(),
        })
    }

    fn held((_, found): &(Open, Recovered)) -> &Recovered {
        found
    }

    fn check(held: &Recovered, _grows: bool) -> u64 {
        let (last, term) = end(held);
        if last > 1 {
            // It came to the disk with the first entries of its life.
            assert_eq!(held.hard_state.term, term);
        }
        for found in &held.entries {
            assert_eq!(*found, entry(found.index, found.term, bytes(found.index)));
        }
        let position = &held.snapshot.position;
        if position.index > 1 {
            assert_eq!(held.snapshot, snapshot(position.index, position.term));
        }
        last
    }

    fn write((mut disk, found): (Open, Recovered), grows: bool, mut kept: impl FnMut(u64)) -> String {
        let mut hard_state = HardState { term: found.hard_state.term + 1, vote: 1, ..found.hard_state };
        let mut last = end(&found).0;
        let mut indices = Vec::new();
        loop {
            while indices.len() < usize::try_from(disk.number).unwrap() {
                indices.push(last);
            }
            // A few are under way always; some are not synced.
            let entries: Vec<Entry> = (last + 1..=last + 1 + last % 5)
                .map(|index| entry(index, hard_state.term, bytes(index)))
                .collect();
            last += entries.len() as u64;
            let first = indices.is_empty();
            disk.begin(Persist {
                entries,
                sync: true,
                hard_state: first.then_some(hard_state),
                ..Persist::default()
            });
            indices.push(last);
            if indices.len() > 8 {
                match disk.event() {
                    DiskEvent::Persisted(number) => {
                        let index = indices[usize::try_from(number).unwrap() - 1];
                        kept(index);
                        hard_state.commit = index;
                        disk.begin(Persist { hard_state: Some(hard_state), ..Persist::default() });
                        if index / 100 > hard_state.vote && !grows {
                            hard_state.vote = index / 100;
                            disk.sled.save(snapshot(index, hard_state.term));
                        }
                    }
                    DiskEvent::Saved(index, _) => disk.sled.compact(index - 20),
                    other => return format!("{other:?}"),
                }
            }
        }
    }

    /// Entries that were replaced, a snapshot, a log that was let go of, two lives, the second one killed.
    fn with_a_past(root: &Path, killed: &Path) -> Recovered {
        let directory = &root.join("alive");
        let (mut disk, _) = open(directory).unwrap();
        for index in 2..=60 {
            disk.persist(Persist { entries: vec![entry(index, 1, 2_000)], ..Persist::default() });
        }
        disk.persist(Persist { entries: entries(50..=70, 2), ..Persist::default() });
        disk.save(snapshot(60, 2));
        disk.sled.compact(40);
        drop(disk);
        let (mut disk, _) = open(directory).unwrap();
        for index in 71..=90 {
            let hard_state = Some(HardState { term: 2, vote: 1, commit: index - 20 });
            let entries = vec![entry(index, 2, 40_000)];
            disk.persist(Persist { entries, hard_state, ..Persist::default() });
        }
        // What a process leaves that is killed here.
        support::copy(directory, killed);
        drop(disk);
        let (disk, found) = open(directory).unwrap();
        assert_eq!((found.snapshot.position.index, found.entries.len()), (60, 30));
        drop(disk);
        found
    }
}

#[test]
#[ignore = "a process that other tests start"]
fn child() {
    support::write::<Replica>();
}

#[test]
fn nothing_that_was_reported_is_lost_with_the_process() {
    support::a_killed_process::<Replica>();
}

#[test]
fn nothing_that_was_reported_is_lost_with_the_power() {
    support::a_lost_power::<Replica>();
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    support::a_full_disk::<Replica>();
}

#[test]
fn damage_at_random_places_is_harmless_or_said() {
    support::random_damage::<Replica>();
}
