//! Processes that are killed, machines that lose their power, disks that are full: what was reported is there.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::mounts::{Mount, skipped};
use super::*;

/// The directory that the child writes to.
const CHILD: &str = "CHECKPOINT_CHILD";
/// Whether it removes nothing.
const GROWS: &str = "CHECKPOINT_CHILD_GROWS";
/// So many tasks are there at a time.
const TASKS: u64 = 20;

fn bytes(number: u64) -> usize {
    usize::try_from(number * 7919 % 900).unwrap() + if number.is_multiple_of(41) { 20_000 } else { 0 }
}

fn name(number: u64) -> String {
    format!("{number:08}")
}

/// What others kill: writes as fast as it can, and says what was reported. Task N comes with its update, and the task of a while ago
/// goes, in one batch.
#[test]
#[ignore = "a process that other tests start"]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let grows = std::env::var_os(GROWS).is_some();
    let mut store = open(Path::new(&directory)).unwrap();
    let mut next = newest(store.records()).map_or(0, |newest| newest + 1);
    let first = next;
    let mut said = std::io::stdout();
    writeln!(said).unwrap();
    loop {
        let mut changes = vec![put(task(&name(next), bytes(next))), put(update(&name(next), next, false))];
        if let (Some(old), false) = (next.checked_sub(TASKS), grows) {
            changes.push(Change::Remove(task(&name(old), 0).key()));
            changes.push(Change::Remove(update(&name(old), old, false).key()));
        }
        let number = store.begin(changes);
        next += 1;
        // A few are under way always.
        if let Some(number) = number.checked_sub(4).filter(|number| *number > 0) {
            let told = store.wait(number);
            if let Some(failure) = told.failure {
                writeln!(said, "failed {failure}").unwrap();
                return;
            }
            writeln!(said, "kept {}", first + told.number - 1).unwrap();
        }
    }
}

fn newest(records: &Records) -> Option<u64> {
    let tasks = records.0.keys().filter_map(|key| match key {
        Key::Task(_, task_id) => Some(task_id.as_str().parse().unwrap()),
        _ => None,
    });
    tasks.max()
}

/// `DISK_ROUNDS` asks for more.
fn rounds(usual: u64) -> u64 {
    std::env::var("DISK_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

/// A child, and what it has said so far.
struct Writing {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    kept: Option<u64>,
    end: Option<String>,
}

impl Writing {
    fn start(directory: &Path, grows: bool) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .envs(grows.then_some((GROWS, "1")))
            .args(["--exact", "checkpoint::tests::crash::child", "--ignored", "--nocapture"])
            .env(CHILD, directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, kept: None, end: None }
    }

    /// Hears what it says, so many words at most. Tells whether there may be more.
    fn hear(&mut self, words: usize) -> bool {
        let mut heard = 0;
        while heard < words {
            let Some(Ok(line)) = self.lines.next() else { return false };
            match line.split_once(' ') {
                Some(("kept", number)) => {
                    self.kept = Some(number.parse().unwrap());
                    heard += 1;
                }
                Some(("failed", why)) => self.end = Some(why.to_owned()),
                _ => {}
            }
        }
        true
    }

    /// Kills it, and hears the rest.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        while self.hear(usize::MAX) {}
        self.child.wait().unwrap();
    }

    /// All that was reported is there, as it was written, and each batch as a whole.
    fn verify(&self, directory: &Path, grows: bool) -> u64 {
        let store = open(directory).unwrap();
        let newest = newest(store.records()).expect("something was kept");
        let kept = self.kept.expect("it has told");
        assert!(newest >= kept, "task {kept} was reported, and the newest is {newest}");
        let mut expected = Records::default();
        let oldest = if grows { 0 } else { (newest + 1).saturating_sub(TASKS) };
        for number in oldest..=newest {
            expected.change(put(task(&name(number), bytes(number))));
            expected.change(put(update(&name(number), number, false)));
        }
        assert_eq!(*store.records(), expected);
        newest
    }
}

#[test]
fn nothing_that_was_reported_is_lost_with_the_process() {
    let root = tempfile::tempdir().unwrap();
    let mut last = None;
    for round in 0..rounds(4) {
        let mut writing = Writing::start(root.path(), false);
        assert!(writing.hear(1 + Random::new(round).below(60)), "it writes on");
        writing.kill();
        let now = writing.verify(root.path(), false);
        assert!(last.is_none_or(|last| now > last));
        last = Some(now);
    }
}

/// A file system in a file.
fn image(root: &Path) -> Option<PathBuf> {
    let image = root.join("image");
    fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
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
        let directory = mount.path().join("checkpoint");
        let mut writing = Writing::start(&directory, false);
        assert!(writing.hear(1 + Random::new(round).below(60)), "it writes on");
        if !mount.lose_power() {
            writing.kill();
            return;
        }
        writing.kill();
        drop(mount);
        let mount = Mount::new(root.path(), &["-o", "loop"], &image).expect("it was mounted before");
        writing.verify(&mount.path().join("checkpoint"), false);
    }
}

#[test]
fn a_full_disk_is_said_and_nothing_is_lost() {
    let root = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::new(root.path(), &["-t", "tmpfs", "-o", "size=6m"], Path::new("tmpfs")) else {
        return;
    };
    let directory = mount.path().join("checkpoint");
    let mut writing = Writing::start(&directory, true);
    while writing.hear(usize::MAX) {}
    writing.child.wait().unwrap();
    let end = writing.end.as_deref().unwrap_or("nothing");
    assert!(end.contains("can't be written") && end.contains("No space left on device"), "{end}");
    assert!(end.contains(&directory.display().to_string()), "{end}");
    assert!(writing.kept.is_some_and(|kept| kept > 10));
    // While it is full it may not open, and says why; with more room all is there.
    if let Err(error) = open(&directory) {
        let sentence = error.to_string();
        assert!(sentence.contains("No space left on device") && !sentence.contains("strict"), "{sentence}");
    }
    mount.resize("64m");
    writing.verify(&directory, true);
}
