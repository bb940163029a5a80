//! The containerizer's settings, as the flags say.

use std::path::Path;

use agent::containerizer::isolation::privileges::{CapabilitySet, UnknownCapability};
use agent::containerizer::{LauncherKind, ProcessConfig};

use super::super::Failure;
use crate::flags::{FlagError, Flags};
use protocol::notation::ByteSize;

pub(super) fn settings(flags: &Flags, work_dir: &Path) -> Result<ProcessConfig, Failure> {
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
    let settings = &mut config.settings;
    settings.filesystem.private_tmp = flags.switch("private_tmp");
    settings.namespaces.no_shared_pid = flags.switch("disallow_sharing_agent_pid_namespace");
    settings.namespaces.no_shared_ipc = flags.switch("disallow_sharing_agent_ipc_namespace");
    let shm = flags.parsed::<ByteSize>("default_container_shm_size");
    settings.namespaces.shm_bytes = shm.map(|size| size.bytes());
    settings.capabilities.effective = capabilities(flags, "effective_capabilities")?;
    settings.capabilities.bounding = capabilities(flags, "bounding_capabilities")?;
    Ok(config)
}

fn capabilities(flags: &Flags, name: &'static str) -> Result<Option<CapabilitySet>, FlagError> {
    let set = flags.text(name).map(str::parse).transpose();
    set.map_err(|error: UnknownCapability| flags.refuse(name, error.to_string()))
}
