//! Processes that are killed, machines that lose their power, disks that are full: what was reported is there.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::mounts::{Mount, skipped};
use super::*;

/// The directory that the child writes to.
const CHILD: &str = "DISK_CHILD";

/// Whether it lets go of nothing.
const GROWS: &str = "DISK_CHILD_GROWS";

fn bytes(index: u64) -> usize {
    usize::try_from(index * 7919 % 600).unwrap() + if index.is_multiple_of(41) { 20_000 } else { 0 }
}

/// What others kill: writes as fast as it can, and says what was reported.
#[test]
#[ignore = "a process that other tests start"]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let (mut disk, found) = open(Path::new(&directory)).unwrap();
    let mut hard_state = HardState { term: found.hard_state.term + 1, vote: 1, ..found.hard_state };
    let mut last = found.entries.last().map_or(found.snapshot.position.index, |entry| entry.index);
    let mut said = std::io::stdout();
    writeln!(said, "\nterm {}", hard_state.term).unwrap();
    let grows = std::env::var_os(GROWS).is_some();
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
                    writeln!(said, "kept {index}").unwrap();
                    hard_state.commit = index;
                    disk.begin(Persist { hard_state: Some(hard_state), ..Persist::default() });
                    if index / 100 > hard_state.vote && !grows {
                        hard_state.vote = index / 100;
                        disk.sled.save(snapshot(index, hard_state.term));
                    }
                }
                DiskEvent::Saved(index, _) => disk.sled.compact(index - 20),
                other => {
                    writeln!(said, "{other:?}").unwrap();
                    return;
                }
            }
        }
    }
}

/// `DISK_ROUNDS` asks for more.
fn rounds(usual: u64) -> u64 {
    std::env::var("DISK_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

/// A child, and what it has said so far.
struct Writing {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    term: u64,
    kept: u64,
    end: Option<String>,
}

impl Writing {
    fn start(directory: &Path, grows: bool) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .envs(grows.then_some((GROWS, "1")))
            .args(["--exact", "disk::tests::crash::child", "--ignored", "--nocapture"])
            .env(CHILD, directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, term: 0, kept: 0, end: None }
    }

    /// Hears what it says, so many words at most. Tells whether there may be more.
    fn hear(&mut self, words: u64) -> bool {
        let mut heard = 0;
        while heard < words {
            let Some(Ok(line)) = self.lines.next() else { return false };
            match line.split_once(' ') {
                Some(("kept", index)) => {
                    self.kept = index.parse().unwrap();
                    heard += 1;
                }
                Some(("term", term)) => self.term = term.parse().unwrap(),
                _ if line.starts_with("Failed") => self.end = Some(line),
                _ => {}
            }
        }
        true
    }

    /// Kills it, and hears the rest.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        while self.hear(u64::MAX) {}
        self.child.wait().unwrap();
    }

    /// All that was reported is there, as it was written.
    fn verify(&self, directory: &Path) -> Recovered {
        let found = open(directory).unwrap().1;
        let position = &found.snapshot.position;
        let last = found.entries.last().map_or(position.index, |entry| entry.index);
        assert!(last >= self.kept, "entry {} was reported, and the log ends at {last}", self.kept);
        assert!(self.kept == 0 || found.hard_state.term == self.term);
        for found in &found.entries {
            assert_eq!(*found, entry(found.index, found.term, bytes(found.index)));
        }
        if position.index > 1 {
            assert_eq!(found.snapshot, snapshot(position.index, position.term));
        }
        found
    }
}

#[test]
fn nothing_that_was_reported_is_lost_with_the_process() {
    let root = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..rounds(4) {
        let mut writing = Writing::start(root.path(), false);
        assert!(writing.hear(1 + Random(round).below(60)), "it writes on");
        writing.kill();
        let found = writing.verify(root.path());
        let now = found.entries.last().map_or(found.snapshot.position.index, |entry| entry.index);
        assert!(now > last);
        last = now;
    }
}

/// A file system in a file.
fn image(root: &Path) -> Option<PathBuf> {
    let image = root.join("image");
    fs::File::create(&image).unwrap().set_len(96 << 20).unwrap();
    match Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).output() {
        Ok(output) if output.status.success() => Some(image),
        other => {
            skipped(&format!("no ext4 can be made: {other:?}"));
            None
        }
    }
}

#[test]
fn nothing_that_was_reported_is_lost_with_the_power() {
    let root = tempfile::tempdir().unwrap();
    let Some(image) = image(root.path()) else { return };
    for round in 0..rounds(3) {
        let Some(mount) = Mount::new(root.path(), &["-o", "loop"], &image) else { return };
        let directory = mount.path().join("replica");
        let mut writing = Writing::start(&directory, false);
        assert!(writing.hear(1 + Random(round).below(60)), "it writes on");
        if !mount.lose_power() {
            writing.kill();
            return;
        }
        writing.kill();
        drop(mount);
        let mount = Mount::new(root.path(), &["-o", "loop"], &image).expect("it was mounted before");
        writing.verify(&mount.path().join("replica"));
    }
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let root = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(root.path(), &["-t", "tmpfs", "-o", "size=12m"], Path::new("tmpfs")) else {
        return;
    };
    let directory = mount.path().join("replica");
    let mut writing = Writing::start(&directory, true);
    while writing.hear(u64::MAX) {}
    writing.child.wait().unwrap();
    let end = writing.end.as_deref().unwrap_or("nothing");
    assert!(end.contains("can't write") && end.contains("No space left on device"), "{end}");
    assert!(end.contains(&directory.display().to_string()), "{end}");
    assert!(writing.kept > 10);
    // While it is full it may not open, and says why; with more room all is there.
    if let Err(error) = open(&directory) {
        let sentence = error.to_string();
        assert!(sentence.contains("No space left on device") && !sentence.contains("repair"), "{sentence}");
    }
    mount.resize("64m");
    writing.verify(&directory);
}
