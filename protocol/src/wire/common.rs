//! Answers that masters and agents give alike.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{API_VERSION, v1};

/// What a program says of itself. As JSON it is what `/version` shows; `/state` has the same fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionInfo {
    /// The version of Mesos whose API it speaks: clients parse it.
    pub version: String,
    /// Its own version.
    pub meseta_version: String,
    /// The commit that it was built from; empty: not known.
    pub git_sha: String,
    /// The branch of that commit; empty: not known.
    pub git_branch: String,
    /// The tag of that commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_tag: Option<String>,
    /// When it was built, for people; empty: not known.
    pub build_date: String,
    /// The same in seconds since the epoch; 0: not known.
    pub build_time: f64,
    /// Who built it; empty: not told.
    pub build_user: String,
}

impl VersionInfo {
    /// A program of which only its own version is known.
    pub fn new(own: impl Into<String>) -> Self {
        Self {
            version: API_VERSION.to_owned(),
            meseta_version: own.into(),
            git_sha: String::new(),
            git_branch: String::new(),
            git_tag: None,
            build_date: String::new(),
            build_time: 0.0,
            build_user: String::new(),
        }
    }
}

impl From<&VersionInfo> for v1::VersionInfo {
    fn from(info: &VersionInfo) -> Self {
        Self {
            version: info.version.clone(),
            build_date: Some(info.build_date.clone()),
            build_time: Some(info.build_time),
            build_user: Some(info.build_user.clone()),
            git_sha: Some(info.git_sha.clone()),
            git_branch: Some(info.git_branch.clone()),
            git_tag: info.git_tag.clone(),
        }
    }
}

/// The flags that a program runs with, in the order of their names.
pub fn flags(flags: &BTreeMap<String, String>) -> Vec<v1::Flag> {
    let flag =
        |(name, value): (&String, &String)| v1::Flag { name: name.clone(), value: Some(value.clone()) };
    flags.iter().map(flag).collect()
}

/// A node's metrics, in the order of their names.
pub fn metrics(metrics: BTreeMap<String, f64>) -> Vec<v1::Metric> {
    metrics.into_iter().map(|(name, value)| v1::Metric { name, value: Some(value) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_says_which_api_it_speaks_and_which_program_it_is() {
        let shown = serde_json::to_value(VersionInfo::new("0.1.0")).unwrap();
        assert_eq!((&shown["version"], &shown["meseta_version"]), (&"1.11.0".into(), &"0.1.0".into()));
        for key in ["build_date", "build_time", "build_user", "git_branch", "git_sha"] {
            assert!(shown.get(key).is_some(), "{key}");
        }
        assert_eq!(shown.get("git_tag"), None);
        let info = v1::VersionInfo::from(&VersionInfo::new("0.1.0"));
        assert_eq!((info.version.as_str(), info.git_tag), ("1.11.0", None));
    }
}
