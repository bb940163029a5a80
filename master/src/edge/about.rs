//! What is fixed when a master starts and told to those who ask: its version, its flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libactor::Time;
use protocol::wire::common::VersionInfo;
use serde::ser::SerializeMap;

/// Writes the version's fields in the order of `/state`.
pub(crate) fn write_version<M: SerializeMap>(version: &VersionInfo, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry("version", &version.version)?;
    map.serialize_entry("meseta_version", &version.meseta_version)?;
    map.serialize_entry("git_sha", &version.git_sha)?;
    map.serialize_entry("git_branch", &version.git_branch)?;
    if let Some(tag) = &version.git_tag {
        map.serialize_entry("git_tag", tag)?;
    }
    map.serialize_entry("build_date", &version.build_date)?;
    map.serialize_entry("build_time", &version.build_time)?;
    map.serialize_entry("build_user", &version.build_user)
}

/// All of it.
#[derive(Debug)]
pub(crate) struct About {
    /// The version.
    pub(crate) version: VersionInfo,
    /// The flags in effect, by name.
    pub(crate) flags: BTreeMap<String, String>,
    /// When the program began: it may be elected later, and more than once.
    pub(crate) started_at: Time,
    /// Where the log is written, if to a file.
    pub(crate) log_file: Option<PathBuf>,
}

impl About {
    /// The folder of the log.
    pub(crate) fn log_dir(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.log_file.as_deref().and_then(Path::parent).map(Path::to_string_lossy)
    }
}

/// `/flags`.
#[derive(serde::Serialize)]
pub(crate) struct FlagsPage<'a> {
    pub(crate) flags: &'a BTreeMap<String, String>,
}
