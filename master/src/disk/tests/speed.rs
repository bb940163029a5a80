//! `cargo test --release -p master disk::tests::speed -- --ignored --nocapture` measures this machine's disk.

use super::*;

#[test]
fn all_that_is_measured_is_written() {
    let root = tempfile::tempdir().unwrap();
    let load = Load { entries: 300, bytes: 200, in_flight: 64 };
    let measured = measure(root.path(), DISK, load).unwrap();
    assert!(0 < measured.groups && measured.groups < load.entries, "{measured}");
    assert!(measured.p50 <= measured.p99 && measured.p99 <= measured.max, "{measured}");
    let (_disk, found) = open(root.path()).unwrap();
    assert_eq!(found.entries.len() as u64, load.entries);
}

#[test]
#[ignore = "takes a minute, and measures"]
fn speed() {
    let clock = libactor::Clock::real();
    for (entries, bytes, in_flight) in [
        (1_000, 200, 1),
        (8_000, 200, 16),
        (60_000, 200, 256),
        (60_000, 200, 1_024),
        (1_000, 10_000, 1),
        (1_000, 65_536, 16),
    ] {
        let root = tempfile::tempdir_in(std::env::var("DISK_ROOT").unwrap_or("/tmp".to_owned())).unwrap();
        let measured = measure(root.path(), DISK, Load { entries, bytes, in_flight }).unwrap();
        let start = clock.now();
        open(root.path()).unwrap();
        let size = std::fs::metadata(root.path().join("journal/db")).unwrap().len() >> 20;
        println!("{measured}; {size} MiB on disk, opened in {:?}", clock.now().since(start));
    }
}

/// The log is let go of as fast as it is written: its file must not grow with what was ever written.
#[test]
#[ignore = "takes a minute, and measures"]
fn room() {
    let clock = libactor::Clock::real();
    let root = tempfile::tempdir().unwrap();
    let (mut disk, _) = open(root.path()).unwrap();
    let mut last = 1;
    for round in 1..=60 {
        for _ in 0..20 {
            let entries: Vec<Entry> = (last + 1..=last + 100).map(|index| entry(index, 1, 1_000)).collect();
            last += 100;
            disk.begin(Persist { entries, sync: true, ..Persist::default() });
        }
        disk.persist(Persist::default());
        disk.save(snapshot(last - 100, 1));
        disk.sled.compact(last - 500);
        if round % 10 == 0 {
            let size = std::fs::metadata(root.path().join("journal/db")).unwrap().len() >> 20;
            println!("{} MB written, {size} MiB on disk", round * 2);
        }
    }
    let start = clock.now();
    drop(disk);
    println!("closed in {:?}", clock.now().since(start));
    let start = clock.now();
    let (_disk, found) = open(root.path()).unwrap();
    println!("opened in {:?}, {} entries", clock.now().since(start), found.entries.len());
}
