//! A checkpoint that is not what was written: an agent says so and how to go on, or goes on, and never dies of it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use agent::checkpoint::{Disk, directory};
use agent::core::checkpoint::{Batch, Change, Record};
use libactor::{Clock, Random};
use nix::sys::signal::Signal;
use protocol::FrameworkInfo;

use super::site::{Site, pause};
use crate::daemons::{Daemon, Ended};
use crate::http::PATIENCE;

/// Damages of an ordinary run; `MESETA_DAMAGES` sets another number.
const DAMAGES: u64 = 24;

/// Panics end the process, as in release builds.
const AS_RELEASED: &[(&str, &str)] = &[("MESETA_PANIC", "abort")];

/// Writes a checkpoint with some past, as the death of its process leaves it.
fn with_a_past(place: &Path) {
    let alive = place.with_extension("alive");
    let mut keeping = Disk::open(&alive, true).unwrap();
    let record = |number: u64| {
        let id = format!("F-{number}");
        let info = FrameworkInfo { id: Some(id.as_str().into()), ..FrameworkInfo::new("f".repeat(3_000)) };
        Record::Framework(info)
    };
    for number in 0..150 {
        let mut changes = vec![Change::Put(Box::new(record(number)))];
        changes.extend(number.checked_sub(10).map(|older| Change::Remove(record(older).key())));
        keeping.store.write(Batch { number: number + 1, changes });
    }
    drop(keeping);
    copy(&alive, place);
    fs::remove_file(place.join("closed")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, target).unwrap()),
        }
    }
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => files(&path, found),
            false if fs::metadata(&path).unwrap().len() > 0 => found.push(path),
            false => {}
        }
    }
    found.sort();
}

/// Damages one file, and says how.
fn damage(directory: &Path, random: &mut Random) -> String {
    let mut below = |bound: usize| usize::try_from(random.below(bound as u64)).unwrap();
    let mut found = Vec::new();
    files(directory, &mut found);
    let journal = directory.join("journal/db");
    let path = if below(2) > 0 { &journal } else { &found[below(found.len())] };
    let name = path.strip_prefix(directory).unwrap().display();
    let file = File::options().write(true).open(path).unwrap();
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len();
    // Where something is written.
    let from = below(length);
    let at = (from..length).chain(0..from).find(|at| bytes[*at] != 0).unwrap();
    match below(8) {
        6 => {
            // As a disk does that writes to a wrong place.
            let (from, size) = (below(length), 1 << (9 + below(10)));
            let (from, to) = (from / 512 * 512, at / 512 * 512);
            let piece = bytes[from..length.min(from + size)].to_vec();
            file.write_all_at(&piece, to as u64).unwrap();
            format!("{name} has at byte {to} the {} bytes of {from}", piece.len())
        }
        7 => {
            // An older state of a part of it.
            let end = length / 512 * 512;
            let from = below(end + 1) / 512 * 512;
            file.write_all_at(&vec![0; length - from], from as u64).unwrap();
            format!("{name} has zeros from byte {from} to its end, {length}")
        }
        0 => {
            file.set_len(at as u64).unwrap();
            format!("{name} is cut at byte {at} of {length}")
        }
        1 => {
            let end = length.min(at + 4096);
            file.write_all_at(&vec![0; end - at], at as u64).unwrap();
            format!("{name} has zeros from byte {at} to {end} of {length}")
        }
        2 => {
            let end = length.min(at + 8);
            file.write_all_at(&vec![0xff; end - at], at as u64).unwrap();
            format!("{name} has ones from byte {at} to {end} of {length}")
        }
        _ => {
            bytes[at] ^= 1 << below(8);
            file.write_all_at(&bytes[at..=at], at as u64).unwrap();
            format!("{name} has another byte {at} of {length}")
        }
    }
}

/// Waits until a daemon listens; `false`: it has ended.
fn listens(daemon: &mut Daemon, how: &str) -> bool {
    let clock = Clock::real();
    let begin = clock.now();
    loop {
        let over = daemon.is_over();
        if daemon.said().iter().any(|line| line.contains("listening on")) {
            return true;
        } else if over {
            return false;
        }
        assert!(clock.now().since(begin) < PATIENCE, "{how}: {:#?}", daemon.said());
        pause();
    }
}

/// The last words of a daemon that could not start.
fn last_words(ended: &Ended, how: &str) -> String {
    assert_eq!((ended.code, ended.signal), (Some(1), None), "{how}: {ended:#?}");
    ended.seen.last().cloned().unwrap_or_default()
}

/// Starts the agent; tells its last words if it does not come to listen.
fn starts(site: &mut Site, strict: bool, how: &str) -> Option<String> {
    site.begin_agent(&[&format!("--strict={strict}")], AS_RELEASED);
    match listens(site.agent(), how) {
        true => None,
        false => Some(last_words(&site.agent_ends(), how)),
    }
}

#[test]
fn no_damage_of_its_checkpoint_ends_an_agent_without_a_sentence_nor_one_that_is_not_strict_at_all() {
    let mut site = Site::start();
    site.kill_agent();
    let place = directory(&site.work_dir());
    let whole = site.notes().join("whole");
    with_a_past(&whole);
    let trials = std::env::var("MESETA_DAMAGES").map_or(DAMAGES, |text| text.parse().unwrap());
    let (mut said, mut panics) = (0, 0);
    for seed in 0..trials {
        let mut random = Random::new(seed);
        fs::remove_dir_all(&place).unwrap();
        copy(&whole, &place);
        let how = format!("seed {seed}: {}", damage(&place, &mut random));
        let Some(last) = starts(&mut site, true, &how) else {
            site.kill_agent();
            continue;
        };
        said += 1;
        panics += u64::from(last.contains("sled panics"));
        assert!(last.contains("is damaged") && last.contains("--strict=false"), "{how}: {last}");
        assert_eq!(starts(&mut site, false, &how), None, "{how}: {last}");
        let aside = place.with_extension("damaged-1");
        let line = format!("It lies in {} now", aside.display());
        assert!(site.agent().said().iter().any(|said| said.contains(&line)), "{how}: {last}");
        site.kill_agent();
        fs::remove_dir_all(aside).unwrap();
        // It is whole from then on.
        assert_eq!(starts(&mut site, true, &how), None, "{how}: {last}");
        site.kill_agent();
    }
    println!("{said} of {trials} damages were said, sled panics on {panics}");
    assert!(said > 0, "some damage is some");
}

#[test]
fn no_damage_of_its_replica_ends_a_master_without_a_sentence() {
    let root = tempfile::tempdir().unwrap();
    let place = root.path().join("master/replica");
    let work_dir = format!("--work_dir={}", root.path().join("master").display());
    let start = || Daemon::start_with(&["master", &work_dir, "--ip=127.0.0.1", "--port=0"], AS_RELEASED);
    let mut master = start();
    assert!(listens(&mut master, "whole"));
    master.signal(Signal::SIGKILL);
    master.end();
    let whole = root.path().join("whole");
    copy(&place, &whole);
    let trials = std::env::var("MESETA_DAMAGES").map_or(DAMAGES, |text| text.parse().unwrap());
    let (mut said, mut panics) = (0, 0);
    for seed in 0..trials {
        fs::remove_dir_all(&place).unwrap();
        copy(&whole, &place);
        let how = format!("seed {seed}: {}", damage(&place, &mut Random::new(seed)));
        let mut master = start();
        if listens(&mut master, &how) {
            master.signal(Signal::SIGKILL);
            master.end();
            continue;
        }
        let last = last_words(&master.end(), &how);
        said += 1;
        panics += u64::from(last.contains("sled panics"));
        assert!(last.contains("is damaged") && last.contains("meseta masters repair"), "{how}: {last}");
    }
    println!("{said} of {trials} damages were said, sled panics on {panics}");
    assert!(said > 0, "some damage is some");
}

#[test]
fn an_agent_that_ends_closes_its_checkpoint_and_one_that_is_killed_does_not() {
    let mut site = Site::start();
    let closed = directory(&site.work_dir()).join("closed");
    assert!(!closed.exists());
    site.agent().signal(Signal::SIGTERM);
    assert_eq!(site.agent_ends().code, Some(0));
    assert!(closed.exists());
    site.start_agent(&[], &[]);
    assert!(!closed.exists());
    site.kill_agent();
    assert!(!closed.exists());
    site.start_agent(&[], &[]);
}
