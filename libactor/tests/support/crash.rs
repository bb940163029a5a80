//! Processes that are killed, machines that lose their power, disks that are full: what was reported is there.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use libactor::Random;

use super::Keeper;
use super::mounts::{Mount, skipped};

/// The directory that the child writes to.
const DIRECTORY: &str = "JOURNAL_CHILD";
/// Whether it lets go of nothing.
const GROWS: &str = "JOURNAL_CHILD_GROWS";

/// What others kill: writes as fast as it can, and says what was reported.
pub(crate) fn write<K: Keeper>() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let grows = std::env::var_os(GROWS).is_some();
    let open = K::open(Path::new(&directory)).unwrap();
    let mut said = std::io::stdout();
    writeln!(said, "\nbegun {}", K::check(K::held(&open), grows)).unwrap();
    let why = K::write(open, grows, |number| writeln!(said, "kept {number}").unwrap());
    writeln!(said, "failed {why}").unwrap();
}

/// A child, and what it has said so far.
struct Writing {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    begun: Option<u64>,
    kept: Option<u64>,
    end: Option<String>,
}

impl Writing {
    fn start<K: Keeper>(directory: &Path, grows: bool) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .envs(grows.then_some((GROWS, "1")))
            .args(["--exact", K::CHILD, "--ignored", "--nocapture"])
            .env(DIRECTORY, directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, begun: None, kept: None, end: None }
    }

    /// Hears what it says, so many words at most. Tells whether there may be more.
    fn hear(&mut self, words: u64) -> bool {
        let mut heard = 0;
        while heard < words {
            let Some(Ok(line)) = self.lines.next() else { return false };
            match line.split_once(' ') {
                Some(("kept", number)) => {
                    self.kept = Some(number.parse().unwrap());
                    heard += 1;
                }
                Some(("begun", number)) => self.begun = Some(number.parse().unwrap()),
                Some(("failed", why)) => self.end = Some(why.to_owned()),
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

    /// All that was reported is there, as it was written. Tells the newest.
    fn verify<K: Keeper>(&self, directory: &Path, grows: bool) -> u64 {
        let newest = K::check(K::held(&K::open(directory).unwrap()), grows);
        let (begun, kept) = (self.begun.expect("it has begun"), self.kept.expect("it has told"));
        assert!(newest >= kept, "{kept} was reported, and the newest is {newest}");
        assert!(newest > begun, "it had {begun}, and {newest} now");
        newest
    }
}

/// `DISK_ROUNDS` asks for more.
fn rounds(usual: u64) -> u64 {
    std::env::var("DISK_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

/// Each life has what the last one left.
pub(crate) fn a_killed_process<K: Keeper>() {
    let root = tempfile::tempdir().unwrap();
    let mut last = None;
    for round in 0..rounds(4) {
        let mut writing = Writing::start::<K>(root.path(), false);
        assert!(writing.hear(1 + Random::new(round).below(60)), "it writes on");
        writing.kill();
        assert!(last.is_none() || writing.begun == last, "{:?} is not {last:?}", writing.begun);
        last = Some(writing.verify::<K>(root.path(), false));
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

pub(crate) fn a_lost_power<K: Keeper>() {
    let root = tempfile::tempdir().unwrap();
    let Some(image) = image(root.path()) else { return };
    for round in 0..rounds(3) {
        let Some(mount) = Mount::new(root.path(), &["-o", "loop"], &image) else { return };
        let directory = mount.path().join(K::DIRECTORY);
        let mut writing = Writing::start::<K>(&directory, false);
        assert!(writing.hear(1 + Random::new(round).below(60)), "it writes on");
        if !mount.lose_power() {
            writing.kill();
            return;
        }
        writing.kill();
        drop(mount);
        let mount = Mount::new(root.path(), &["-o", "loop"], &image).expect("it was mounted before");
        writing.verify::<K>(&mount.path().join(K::DIRECTORY), false);
    }
}

/// It is said, and nothing is lost.
pub(crate) fn a_full_disk<K: Keeper>() {
    let root = tempfile::tempdir().unwrap();
    let size = format!("size={}", K::TOO_SMALL);
    let Some(mount) = Mount::new(root.path(), &["-t", "tmpfs", "-o", &size], Path::new("tmpfs")) else {
        return;
    };
    let directory = mount.path().join(K::DIRECTORY);
    let mut writing = Writing::start::<K>(&directory, true);
    while writing.hear(u64::MAX) {}
    writing.child.wait().unwrap();
    let end = writing.end.as_deref().unwrap_or("nothing");
    assert!(end.contains(K::CANT_WRITE) && end.contains("No space left on device"), "{end}");
    assert!(end.contains(&directory.display().to_string()), "{end}");
    assert!(writing.kept.is_some_and(|kept| kept > 10));
    // While it is full it may not open, and says why; with more room all is there.
    if let Err(refused) = K::open(&directory) {
        let sentence = refused.sentence;
        assert!(sentence.contains("No space left on device") && !sentence.contains(K::MENDS), "{sentence}");
        assert!(!refused.damaged, "{sentence}");
    }
    mount.resize("64m");
    writing.verify::<K>(&directory, true);
}
