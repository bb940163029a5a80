//! Files that are not what was written: all is there, or it is said; never anything else.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::*;

/// Makes a directory with some past: entries that were replaced, a snapshot, a log that was let go of, two lives, the second one
/// killed. Tells what it holds.
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
        disk.persist(Persist { entries: vec![entry(index, 2, 40_000)], hard_state, ..Persist::default() });
    }
    // What a process leaves that is killed here.
    copy(directory, killed);
    drop(disk);
    let (disk, found) = open(directory).unwrap();
    assert_eq!((found.snapshot.position.index, found.entries.len()), (60, 30));
    drop(disk);
    found
}

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
    let path = if random.below(3) > 0 {
        &journal
    } else {
        &found[usize::try_from(random.below(found.len() as u64)).unwrap()]
    };
    let name = path.strip_prefix(directory).unwrap().display();
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut bytes = fs::read(path).unwrap();
    // Where something is written.
    let from = usize::try_from(random.below(bytes.len() as u64)).unwrap();
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
        let mut random = Random(seed);
        let directory = root.path().join(format!("{seed}/replica"));
        copy(&whole, &directory);
        let how = damage(&directory, &mut random);
        let found = open(&directory).map(|(_, found)| found);
        if std::env::var_os("DISK_TRIALS").is_some() {
            eprintln!("{seed} {how}: {:?}", found.as_ref().err().map(ToString::to_string));
        }
        match found {
            Ok(found) => {
                assert_eq!(found, expected, "seed {seed}: {how}");
                harmless += 1;
            }
            Err(error @ DiskError::Damaged { .. }) => {
                let sentence = error.to_string();
                assert!(sentence.contains(&directory.display().to_string()), "{sentence}");
                assert!(sentence.contains("meseta masters repair --work_dir="), "{sentence}");
                // It is said again, also when sled has cleaned up after itself.
                assert!(open(&directory).is_err(), "seed {seed}: {how}");
            }
            Err(other) => panic!("seed {seed}: {how}: {other}"),
        }
        fs::remove_dir_all(directory.parent().unwrap()).unwrap();
    }
    assert!(0 < harmless && harmless < trials, "{harmless} of {trials}");
}
