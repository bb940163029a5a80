//! What becomes of sandboxes, as the flags say.

use std::path::PathBuf;
use std::time::Duration;

use agent::containerizer::ProcessConfig;
use agent::containerizer::isolation::ports::PortsSettings;
use agent::sandbox_gc::SandboxGcSettings;
use protocol::notation::ByteSize;
use protocol::{Ranges, Resources, Scalar};

use crate::flags::{FlagError, Flags};

/// How long they are kept.
fn collection(flags: &Flags) -> Result<SandboxGcSettings, FlagError> {
    let mut settings = SandboxGcSettings::default();
    take(flags, "gc_delay", &mut settings.delay);
    take(flags, "disk_watch_interval", &mut settings.interval);
    if let Some(text) = flags.text("gc_disk_headroom") {
        let part = text.parse::<Scalar>().ok().filter(|part| part.millis() <= 1000);
        let part =
            part.ok_or_else(|| flags.refuse("gc_disk_headroom", "it is a part of the disk, 0 to 1"))?;
        settings.headroom_millionths = part.millis() * 1000;
    }
    Ok(settings)
}

/// What is put into them, what they may take, where their containers may listen, and how long they are kept.
pub(super) fn contents(
    flags: &Flags,
    offered: &Resources,
    config: &mut ProcessConfig,
) -> Result<(), FlagError> {
    let size = |name, into: &mut u64| *into = flags.parsed::<ByteSize>(name).map_or(*into, |size| size.0);
    let fetcher = &mut config.fetcher;
    fetcher.cache_dir = flags.text("fetcher_cache_dir").map(PathBuf::from);
    fetcher.frameworks_home = flags.text("frameworks_home").map(PathBuf::from);
    size("fetcher_cache_size", &mut fetcher.cache_bytes);
    size("fetcher_max_unpacked_size", &mut fetcher.max_bytes);
    take(flags, "fetcher_stall_timeout", &mut fetcher.stall_timeout);
    let logger = &mut config.logger;
    logger.bounded = flags.text("container_logger") != Some("plain");
    size("max_stdout_size", &mut logger.stdout_bytes);
    size("max_stderr_size", &mut logger.stderr_bytes);
    logger.older = flags.parsed("max_log_files").unwrap_or(logger.older);
    let disk = &mut config.settings.disk;
    disk.enforce = flags.switch("enforce_container_disk_quota");
    take(flags, "container_disk_watch_interval", &mut disk.interval);
    config.settings.ports = ports(flags, offered)?;
    config.sandbox_gc = collection(flags)?;
    Ok(())
}

fn ports(flags: &Flags, offered: &Resources) -> Result<PortsSettings, FlagError> {
    let isolated = match flags.text("container_ports_isolated_range") {
        Some(text) => Some(ranges(text).ok_or_else(|| {
            flags.refuse("container_ports_isolated_range", "it is a range of ports such as [1000-2000]")
        })?),
        None => None,
    };
    let offered_only = flags.switch("check_agent_port_range_only");
    if offered_only && isolated.is_some() {
        let why = "it and container_ports_isolated_range can't be used together";
        return Err(flags.refuse("check_agent_port_range_only", why));
    }
    let mut settings = PortsSettings {
        enforce: flags.switch("enforce_container_ports"),
        isolated,
        offered_only,
        offered: offered.ranges("ports"),
        ..PortsSettings::default()
    };
    take(flags, "container_ports_watch_interval", &mut settings.interval);
    Ok(settings)
}

fn ranges(text: &str) -> Option<Ranges> {
    let ranges = format!("ports:{text}").parse::<Resources>().ok()?.ranges("ports");
    (!ranges.is_empty()).then_some(ranges)
}

fn take(flags: &Flags, name: &'static str, into: &mut Duration) {
    *into = flags.duration(name).unwrap_or(*into);
}
