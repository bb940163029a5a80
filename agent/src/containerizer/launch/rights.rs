//! What a container's processes may do: their user, limits, capabilities.

use std::io;

use nix::unistd;

use crate::account::{Account, AccountError};
use crate::containerizer::isolation::LaunchPlan;
use crate::containerizer::isolation::plan::Capabilities;
use crate::containerizer::syscalls;

/// The highest capability that a mask of 64 can name.
const MAX_CAPABILITY: u8 = 63;
/// `RLIM_INFINITY`.
const INFINITE: u64 = u64::MAX;

/// Why they may not have that.
#[derive(Debug, thiserror::Error)]
pub(super) enum RightsError {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("{0}")]
    Limit(String),
    #[error("can't set the container's capabilities: {0}")]
    Capabilities(io::Error),
    #[error("can't give up new privileges: {0}")]
    NoNewPrivileges(io::Error),
}

/// Takes up what the plan and the user leave.
pub(super) fn take(plan: &LaunchPlan, user: Option<Account>) -> Result<(), RightsError> {
    for (number, soft, hard) in &plan.rlimits {
        limit(*number, *soft, *hard)?;
    }
    match (&plan.capabilities, user) {
        (Some(wanted), user) => take_capabilities(wanted, user)?,
        (None, Some(user)) => user.become_it()?,
        (None, None) => {}
    }
    if plan.no_new_privileges {
        let set = nix::sys::prctl::set_no_new_privs();
        set.map_err(|error| RightsError::NoNewPrivileges(error.into()))?;
    }
    Ok(())
}

fn limit(number: u32, soft: Option<u64>, hard: Option<u64>) -> Result<(), RightsError> {
    let (soft, hard) = (soft.unwrap_or(INFINITE), hard.unwrap_or(INFINITE));
    syscalls::set_limit(number, soft, hard).map_err(|error| {
        let shown = |value: u64| if value == INFINITE { "infinity".to_owned() } else { value.to_string() };
        let name = name_of_limit(number);
        let why = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "the agent may not raise a hard limit (it has no CAP_SYS_RESOURCE): ask for less, or raise the agent's own"
                    .to_owned()
            }
            _ => error.to_string(),
        };
        RightsError::Limit(format!("can't set the limit {name} to {} (hard {}): {why}", shown(soft), shown(hard)))
    })
}

/// As Mesos and `ulimit` call it.
fn name_of_limit(number: u32) -> String {
    const NAMES: [&str; 16] = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
        "RTTIME",
    ];
    NAMES.get(number as usize).map_or_else(|| number.to_string(), |name| format!("RLMT_{name}"))
}

/// Takes the sets, becoming the user on the way: the bounding set can be made smaller only as long as this process may.
fn take_capabilities(wanted: &Capabilities, user: Option<Account>) -> Result<(), RightsError> {
    let failed = RightsError::Capabilities;
    let last = last_capability();
    let mask = |all: &[u8]| all.iter().filter(|one| **one <= last).fold(0_u64, |mask, one| mask | 1 << one);
    for capability in (0..=last).filter(|one| !wanted.bounding.contains(one)) {
        syscalls::drop_bounding(capability).map_err(failed)?;
    }
    let becomes_root = user.as_ref().map_or_else(unistd::geteuid, |user| user.ids().0).is_root();
    let bounding = mask(&wanted.bounding) & held();
    let effective = match (&wanted.effective, becomes_root) {
        (Some(effective), _) => mask(effective),
        (None, true) => bounding,
        (None, false) => 0,
    };
    if becomes_root && effective != bounding {
        // Else a program that root executes has all of the bounding set.
        syscalls::set_secure_bits(syscalls::NOROOT).map_err(failed)?;
    }
    if let Some(user) = user {
        let keep = nix::sys::prctl::set_keepcaps(true);
        keep.map_err(|error| failed(error.into()))?;
        user.become_it()?;
    }
    syscalls::set_capabilities(effective, effective).map_err(failed)?;
    for capability in (0..=last).filter(|one| effective & (1 << one) != 0) {
        syscalls::raise_ambient(capability).map_err(failed)?;
    }
    Ok(())
}

/// What this process may do, a bit each.
fn held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapPrm:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// The highest capability that the kernel knows.
fn last_capability() -> u8 {
    let said = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    said.trim().parse().unwrap_or(40).min(MAX_CAPABILITY)
}
