//! The settings of the isolators that use cgroups, as the flags say.

use agent::containerizer::isolation::cgroups::{CgroupSettings, blkio, devices};

use crate::flags::{FlagError, Flags};

pub(super) fn settings(flags: &Flags) -> Result<CgroupSettings, FlagError> {
    let text = |name| flags.text(name).unwrap_or_default();
    let pids: Option<u64> = flags.parsed("cgroups_pids_limit");
    let refused = |name| move |problem: String| flags.refuse(name, problem);
    Ok(CgroupSettings {
        enable_cfs: flags.switch("cgroups_enable_cfs"),
        limit_swap: flags.switch("cgroups_limit_swap"),
        pids_limit: pids.filter(|limit| *limit > 0),
        allowed_devices: devices::parse_allowed(text("allowed_devices"))
            .map_err(refused("allowed_devices"))?,
        io_limits: blkio::parse_limits(text("cgroups_blkio_limits"))
            .map_err(refused("cgroups_blkio_limits"))?,
        cpus: flags.text("cgroups_cpuset_cpus").map(str::to_owned),
        pin: flags.switch("cgroups_cpuset_pin"),
    })
}
