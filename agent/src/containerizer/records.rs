//! What is kept of running containers, to find them again after a restart of the agent: one file below the runtime directory,
//! to which a line is appended when a container begins, is changed, or is gone. A file for each would be made and removed
//! with each task, which file systems like ext4 are slow at when it is done a thousand times a minute.
//!
//! It is not synced: nothing in it means anything once the machine was started anew.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::{ContainerId, Resources};
use serde::{Deserialize, Serialize};

use super::isolation::kinds::States;

/// The file's name.
const NAME: &str = "containers";
/// How many lines there may be beside those that count before the file is written anew. Ours.
const MAX_STALE_LINES: usize = 1024;

/// What is kept of one container, written before its executor's first instruction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContainerRecord {
    /// Which.
    pub(super) container_id: ContainerId,
    /// `/proc/sys/kernel/random/boot_id` when it was launched.
    pub(super) boot_id: String,
    /// Its first process.
    pub(super) pid: i32,
    /// When that began: see [`super::identity`].
    pub(super) began: u64,
    /// Absolute.
    pub(super) sandbox: PathBuf,
    /// What it may use, as it was said last.
    pub(super) resources: Resources,
    /// What its isolators keep.
    pub(super) states: States,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Container(ContainerRecord),
    Gone(ContainerId),
}

/// The file.
#[derive(Debug)]
pub(super) struct Records {
    log: Mutex<Log>,
    pub(super) boot_id: String,
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    /// Appended to.
    file: File,
    /// Of whole lines, bytes.
    length: u64,
    /// How many lines.
    lines: usize,
    kept: BTreeMap<ContainerId, ContainerRecord>,
}

impl Records {
    /// Opens what an earlier life has left.
    ///
    /// # Errors
    /// It can't be read or written.
    pub(super) fn open(runtime_dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(runtime_dir)?;
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let log = Log::open(runtime_dir.join(NAME))?;
        Ok(Self { log: Mutex::new(log), boot_id: boot_id.trim().to_owned() })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one, or a newer state of it.
    ///
    /// # Errors
    /// It can't be written, and is not kept.
    pub(super) fn write(&self, record: &ContainerRecord) -> io::Result<()> {
        let mut log = self.log();
        log.append(&Line::Container(record.clone()))?;
        log.kept.insert(record.container_id.clone(), record.clone());
        Ok(())
    }

    /// Nothing is left of a container. Where that can't be written a later life finds out by itself.
    pub(super) fn remove(&self, container_id: &ContainerId) {
        let mut log = self.log();
        if log.kept.remove(container_id).is_none() {
            return;
        }
        let stale = log.lines - log.kept.len().min(log.lines);
        let written = match stale > MAX_STALE_LINES.max(log.kept.len()) {
            true => log.rewrite(),
            false => log.append(&Line::Gone(container_id.clone())),
        };
        if let Err(error) = written {
            tracing::warn!(%container_id, %error, "that a container is gone can't be written down");
        }
    }

    /// All that are kept.
    pub(super) fn all(&self) -> Vec<ContainerRecord> {
        self.log().kept.values().cloned().collect()
    }
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Self> {
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let mut kept = BTreeMap::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(Line::Container(record)) => drop(kept.insert(record.container_id.clone(), record)),
                Ok(Line::Gone(container_id)) => drop(kept.remove(&container_id)),
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "a line about a container can't be read");
                }
            }
        }
        let (file, length) = write_new(&path, &kept)?;
        Ok(Self { path, file, length, lines: kept.len(), kept })
    }

    /// A line that was written in part is taken back.
    fn append(&mut self, line: &Line) -> io::Result<()> {
        let text = words(line)?;
        if let Err(error) = self.file.write_all(&text) {
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += text.len() as u64;
        self.lines += 1;
        Ok(())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        (self.file, self.length) = write_new(&self.path, &self.kept)?;
        self.lines = self.kept.len();
        Ok(())
    }
}

/// A new file in the place of the old one: at no moment there is none.
fn write_new(path: &Path, kept: &BTreeMap<ContainerId, ContainerRecord>) -> io::Result<(File, u64)> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().append(true).create_new(true).open(&new)?;
    let mut text = Vec::new();
    for record in kept.values() {
        text.extend(words(&Line::Container(record.clone()))?);
    }
    file.write_all(&text)?;
    fs::rename(&new, path)?;
    Ok((file, text.len() as u64))
}

fn words(line: &Line) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> ContainerRecord {
        ContainerRecord {
            container_id: id.into(),
            boot_id: "b".into(),
            pid: 7,
            began: 8,
            sandbox: "/s\n".into(),
            resources: "cpus:1;ports:[1-2]".parse().unwrap(),
            states: States::from([("cgroups/cpu".into(), serde_json::json!({"a": 1}))]),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let place = tempfile::tempdir().unwrap();
        let records = Records::open(place.path()).unwrap();
        records.write(&record("a")).unwrap();
        records.write(&record("a.b")).unwrap();
        let newer = ContainerRecord { resources: "cpus:2".parse().unwrap(), ..record("a") };
        records.write(&newer).unwrap();
        let again = Records::open(place.path()).unwrap();
        assert_eq!(again.all(), [newer.clone(), record("a.b")]);
        again.remove(&"a.b".into());
        again.remove(&"a.b".into());
        assert_eq!(again.all(), std::slice::from_ref(&newer));
        assert_eq!(Records::open(place.path()).unwrap().all(), [newer]);
    }

    #[test]
    fn half_written_and_garbled_lines_stop_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(NAME);
        let records = Records::open(place.path()).unwrap();
        records.write(&record("a")).unwrap();
        records.write(&record("b")).unwrap();
        let whole = fs::read(&path).unwrap();
        for garbled in [&whole[..whole.len() - 9], &[&whole[..], b"{\n\xff\xfe\n{\"container\":{"].concat()] {
            fs::write(&path, garbled).unwrap();
            fs::write(place.path().join("containers.new"), "{").unwrap();
            let records = Records::open(place.path()).unwrap();
            assert_eq!(records.all()[0], record("a"));
            // What comes after is not part of a broken line.
            records.write(&record("c")).unwrap();
            let again = Records::open(place.path()).unwrap();
            assert!(again.all().contains(&record("c")));
        }
    }

    #[test]
    fn many_that_come_and_go_leave_a_small_file() {
        let place = tempfile::tempdir().unwrap();
        let records = Records::open(place.path()).unwrap();
        records.write(&record("stays")).unwrap();
        for number in 0..3 * MAX_STALE_LINES {
            let id = format!("c{number}");
            records.write(&record(&id)).unwrap();
            records.remove(&id.as_str().into());
        }
        let size = fs::metadata(place.path().join(NAME)).unwrap().len();
        let most =
            (MAX_STALE_LINES as u64 + 2) * words(&Line::Container(record("c1234"))).unwrap().len() as u64;
        assert!(size <= most, "{size} of {most}");
        assert_eq!(Records::open(place.path()).unwrap().all(), [record("stays")]);
    }

    #[test]
    fn a_full_disk_refuses_a_line_and_keeps_the_others_whole() {
        let place = tempfile::tempdir().unwrap();
        let records = Records::open(place.path()).unwrap();
        records.write(&record("a")).unwrap();
        records.log().file = File::options().append(true).open("/dev/full").unwrap();
        let error = records.write(&record("b")).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::InvalidInput), "{error}");
        assert_eq!(records.all(), [record("a")]);
        records.remove(&"a".into());
        assert_eq!(Records::open(place.path()).unwrap().all(), [record("a")], "it was not written down");
    }
}
