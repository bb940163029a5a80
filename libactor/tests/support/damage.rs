//! Files that are not what was written: all is there, or it is said; never anything else.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use libactor::Random;

use super::{Keeper, Refused};

/// Copies a directory, as it is at this moment.
pub(crate) fn copy(from: &Path, to: &Path) {
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

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).unwrap()
}

/// Damages one file, and says how.
fn damage(directory: &Path, random: &mut Random) -> String {
    let mut found = Vec::new();
    files(directory, &mut found);
    let journal = directory.join("journal/db");
    let path = if random.below(3) > 0 { &journal } else { &found[below(random, found.len())] };
    let name = path.strip_prefix(directory).unwrap().display();
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut bytes = fs::read(path).unwrap();
    // Where something is written.
    let from = below(random, bytes.len());
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

/// `DISK_TRIALS` asks for more, and to be told of each.
pub(crate) fn random_damage<K: Keeper>() {
    let root = tempfile::tempdir().unwrap();
    let whole = root.path().join("whole");
    let expected = K::with_a_past(root.path(), &whole);
    let asked = std::env::var("DISK_TRIALS").ok();
    let trials: u64 = asked.as_ref().map_or(24, |trials| trials.parse().unwrap());
    let mut harmless = 0;
    for seed in 0..trials {
        let directory = root.path().join(seed.to_string()).join(K::DIRECTORY);
        copy(&whole, &directory);
        let how = format!("seed {seed}: {}", damage(&directory, &mut Random::new(seed)));
        let opened = K::open(&directory);
        if asked.is_some() {
            eprintln!("{how}: {:?}", opened.as_ref().err());
        }
        match opened {
            Ok(open) => {
                assert_eq!(*K::held(&open), expected, "{how}");
                harmless += 1;
            }
            Err(Refused { damaged: true, sentence }) => {
                assert!(sentence.contains(&directory.display().to_string()), "{sentence}");
                assert!(sentence.contains(K::ADVICE), "{sentence}");
                // It is said again, also when sled has cleaned up after itself.
                assert!(K::open(&directory).is_err(), "{how}");
                K::salvage(&directory, &expected, &how);
            }
            Err(Refused { sentence, .. }) => panic!("{how}: {sentence}"),
        }
        fs::remove_dir_all(directory.parent().unwrap()).unwrap();
    }
    assert!(0 < harmless && harmless < trials, "{harmless} of {trials}");
}
