//! The containerizer's settings, as the flags say.

use std::io;
use std::path::Path;

use agent::containerizer::{LauncherKind, ProcessConfig};

use crate::flags::Flags;

pub(super) fn settings(flags: &Flags, work_dir: &Path) -> io::Result<ProcessConfig> {
    let mut config = ProcessConfig::new(work_dir)?;
    config.kind = match flags.text("launcher") {
        Some("linux") => LauncherKind::Cgroup,
        Some("posix") => LauncherKind::Posix,
        _ => LauncherKind::Auto,
    };
    if let Some(root) = flags.text("cgroups_root") {
        config.cgroups_root = root.to_owned();
    }
    if let Some(isolation) = flags.text("isolation") {
        config.isolation = isolation.to_owned();
    }
    if let Some(directory) = flags.text("runtime_dir") {
        config.runtime_dir = std::path::absolute(directory)?;
    }
    Ok(config)
}
