//! What the program says of itself.

use std::collections::BTreeMap;

use protocol::wire::common::VersionInfo;
use serde_json::Value;

/// Its version and the commit that it was built from.
pub fn version() -> VersionInfo {
    VersionInfo {
        git_sha: env!("MESETA_GIT_SHA").to_owned(),
        git_branch: env!("MESETA_GIT_BRANCH").to_owned(),
        ..VersionInfo::new(env!("CARGO_PKG_VERSION"))
    }
}

/// The same, as `/version` shows it.
pub fn version_shown() -> BTreeMap<String, Value> {
    match serde_json::to_value(version()) {
        Ok(Value::Object(shown)) => shown.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}
