//! What is kept of running containers: a file for each below the runtime directory, to find them again after a restart of
//! the agent.
//!
//! They are not synced: none of them means anything once the machine was started anew.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use protocol::{ContainerId, Resources};
use serde::{Deserialize, Serialize};

use super::isolation::kinds::States;

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

/// The files.
#[derive(Debug)]
pub(super) struct Records {
    directory: PathBuf,
    pub(super) boot_id: String,
}

impl Records {
    pub(super) fn open(runtime_dir: &Path) -> io::Result<Self> {
        let directory = runtime_dir.join("containers");
        fs::create_dir_all(&directory)?;
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Ok(Self { directory, boot_id: boot_id.trim().to_owned() })
    }

    /// Keeps one, or a newer state of it.
    pub(super) fn write(&self, record: &ContainerRecord) -> io::Result<()> {
        let path = self.path(&record.container_id)?;
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(record)?)?;
        fs::rename(new, path)
    }

    /// Nothing is left of a container.
    pub(super) fn remove(&self, container_id: &ContainerId) -> io::Result<()> {
        match fs::remove_file(self.path(container_id)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// All that earlier lives have kept. One that can't be read has its container's id only.
    pub(super) fn all(&self) -> io::Result<Vec<(ContainerId, Option<ContainerRecord>)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned());
            match (path.extension().and_then(|extension| extension.to_str()), name) {
                (Some("json"), Some(name)) => {
                    let record = read(&path)
                        .inspect_err(|error| tracing::error!(path = %path.display(), %error, "can't read what was kept of a container"))
                        .ok();
                    all.push((ContainerId::from(name.as_str()), record));
                }
                // What was being written when the agent ended counts for nothing.
                _ => fs::remove_file(&path)?,
            }
        }
        Ok(all)
    }

    fn path(&self, container_id: &ContainerId) -> io::Result<PathBuf> {
        let name = Path::new(container_id.as_str());
        let mut parts = name.components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(_)), None) => {
                Ok(self.directory.join(format!("{}.json", container_id.as_str())))
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "this id can't be the name of a file")),
        }
    }
}

fn read(path: &Path) -> io::Result<ContainerRecord> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
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
            sandbox: "/s".into(),
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
        let again = Records::open(place.path()).unwrap();
        let mut all = again.all().unwrap();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(all, [("a".into(), Some(record("a"))), ("a.b".into(), Some(record("a.b")))]);
        again.remove(&"a".into()).unwrap();
        again.remove(&"a".into()).unwrap();
        assert_eq!(again.all().unwrap().len(), 1);
    }

    #[test]
    fn half_written_and_garbled_ones_stop_nothing() {
        let place = tempfile::tempdir().unwrap();
        let records = Records::open(place.path()).unwrap();
        fs::write(place.path().join("containers/x.json"), "{").unwrap();
        fs::write(place.path().join("containers/y.new"), "{").unwrap();
        assert_eq!(records.all().unwrap(), [("x".into(), None)]);
        assert!(!place.path().join("containers/y.new").exists());
    }

    #[test]
    fn an_id_that_leads_elsewhere_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let records = Records::open(place.path()).unwrap();
        for id in ["../x", "/x", "a/b", "..", ""] {
            assert!(records.write(&record(id)).is_err(), "{id}");
        }
    }
}
