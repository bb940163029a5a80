//! What is fixed when a master starts and told to those who ask: its version, its flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::ser::{Serialize, SerializeMap, Serializer};

/// The version of the program, and the Mesos API that it speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionInfo {
    /// The version of the Mesos API: what clients of Mesos look at.
    pub version: String,
    /// Our own version.
    pub meseta_version: String,
    /// When it was built, for people.
    pub build_date: Option<String>,
    /// When it was built, in seconds since the epoch.
    pub build_time: Option<f64>,
    /// Who built it.
    pub build_user: Option<String>,
    /// The commit.
    pub git_sha: Option<String>,
    /// The branch.
    pub git_branch: Option<String>,
    /// The tag.
    pub git_tag: Option<String>,
}

impl Default for VersionInfo {
    fn default() -> Self {
        Self {
            version: protocol::wire::API_VERSION.to_owned(),
            meseta_version: env!("CARGO_PKG_VERSION").to_owned(),
            build_date: None,
            build_time: None,
            build_user: None,
            git_sha: None,
            git_branch: None,
            git_tag: None,
        }
    }
}

impl VersionInfo {
    /// Writes the fields in the order of `/state`.
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("version", &self.version)?;
        map.serialize_entry("meseta_version", &self.meseta_version)?;
        for (name, value) in
            [("git_sha", &self.git_sha), ("git_branch", &self.git_branch), ("git_tag", &self.git_tag)]
        {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        // What Mesos always says.
        map.serialize_entry("build_date", self.build_date.as_deref().unwrap_or_default())?;
        map.serialize_entry("build_time", &self.build_time.unwrap_or_default())?;
        map.serialize_entry("build_user", self.build_user.as_deref().unwrap_or_default())
    }
}

impl Serialize for VersionInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write(&mut map)?;
        map.end()
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct About {
    /// The version.
    pub(crate) version: VersionInfo,
    /// The flags in effect, by name.
    pub(crate) flags: BTreeMap<String, String>,
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
