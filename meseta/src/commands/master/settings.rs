//! What the flags say of the master machine and of its replica.

use std::time::Duration;

use master::core::MasterConfig;
use master::core::allocator::{AllocatorConfig, Quantities};
use protocol::notation::{Percent, Rate};
use protocol::resources::Value;
use protocol::{Resource, Resources, Role, Scalar};

use super::super::{Failure, daemon};
use crate::flags::{FlagError, Flags, parse_weights};

/// As a replica has it by itself.
const DEFAULT_ELECTION: Duration = Duration::from_millis(250);
/// Ours: shorter than this, a busy disk or a thread that waits its turn would look like a dead leader.
const SHORTEST_ELECTION: Duration = Duration::from_millis(50);
/// Ours: longer than this nobody waits for a new leader.
const LONGEST_ELECTION: Duration = Duration::from_secs(60);
/// Of an election timeout.
const TICKS: u32 = 10;

/// The machine's settings.
///
/// # Errors
/// A value can't be what it is.
pub fn settings(flags: &Flags) -> Result<MasterConfig, Failure> {
    let mut config = MasterConfig {
        hostname: daemon::hostname(flags),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: flags.text("cluster").map(Into::into),
        offer_timeout: flags.duration("offer_timeout"),
        ..MasterConfig::default()
    };
    let duration = |name, into: &mut Duration| *into = flags.duration(name).unwrap_or(*into);
    duration("allocation_interval", &mut config.allocation_interval);
    duration("agent_ping_timeout", &mut config.agent_ping_timeout);
    duration("agent_reregister_timeout", &mut config.agent_reregister_timeout);
    duration("registry_gc_interval", &mut config.registry_gc_interval);
    duration("registry_max_agent_age", &mut config.registry_max_agent_age);
    let count = |name, into: &mut usize| *into = flags.parsed(name).unwrap_or(*into);
    count("registry_max_agent_count", &mut config.registry_max_agent_count);
    count("max_completed_frameworks", &mut config.max_completed_frameworks);
    count("max_completed_tasks_per_framework", &mut config.max_completed_tasks_per_framework);
    count("max_unreachable_tasks_per_framework", &mut config.max_unreachable_tasks_per_framework);
    let rate = flags.parsed::<Rate>("agent_removal_rate_limit");
    config.agent_removal_rate_limit = rate.map(|rate| (rate.permits, rate.per));
    if let Some(limit) = flags.parsed::<Percent>("recovery_agent_removal_limit") {
        config.recovery_agent_removal_limit = u32::try_from(limit.of(100)).unwrap_or(100);
    }
    if let Some(text) = flags.text("max_agent_ping_timeouts") {
        let parsed = text.parse::<u32>().ok().filter(|count| *count > 0);
        config.max_agent_ping_timeouts = parsed
            .ok_or_else(|| flags.refuse("max_agent_ping_timeouts", "expected a whole number above zero"))?;
    }
    for name in ["allocation_interval", "agent_ping_timeout", "registry_gc_interval"] {
        if flags.duration(name).is_some_and(|duration| duration.is_zero()) {
            return Err(flags.refuse(name, "expected a duration above zero").into());
        }
    }
    let weights = flags.text("weights").map(parse_weights).transpose()?.unwrap_or_default();
    config.weights =
        weights.into_iter().map(|(role, weight)| (Role::from(role), Scalar::millis(weight))).collect();
    config.allocator = AllocatorConfig {
        min_allocatable: min_allocatable(flags)?,
        filter_gpu_resources: flags.switch("filter_gpu_resources"),
        fair_sharing_excluded_resource_names: flags
            .text("fair_sharing_excluded_resource_names")
            .map(|names| names.split(',').map(|name| name.trim().to_owned()).collect())
            .unwrap_or_default(),
        ..AllocatorConfig::default()
    };
    Ok(config)
}

/// Raft's unit of time.
///
/// # Errors
/// The election timeout is too short, or too long.
pub fn tick(flags: &Flags) -> Result<Duration, FlagError> {
    let timeout = flags.duration("election_timeout").unwrap_or(DEFAULT_ELECTION);
    if !(SHORTEST_ELECTION..=LONGEST_ELECTION).contains(&timeout) {
        return Err(flags.refuse("election_timeout", "expected 50ms to 1mins"));
    }
    Ok(timeout / TICKS)
}

/// Alternatives joined by `|`, each a list of amounts.
fn min_allocatable(flags: &Flags) -> Result<Vec<Quantities>, FlagError> {
    const NAME: &str = "min_allocatable_resources";
    let text = flags.text(NAME).unwrap_or_default();
    let alternatives = text.split('|').filter(|alternative| !alternative.trim().is_empty());
    alternatives
        .map(|alternative| {
            let refuse = || flags.refuse(NAME, "expected amounts such as cpus:0.01|mem:32;disk:10");
            let resources: Resources = alternative.parse().map_err(|_| refuse())?;
            let amount = |resource: &Resource| match &resource.value {
                Value::Scalar(amount) => Some((resource.name.to_string(), *amount)),
                _ => None,
            };
            let amounts: Option<Quantities> = resources.iter().map(amount).collect();
            amounts.ok_or_else(refuse)
        })
        .collect()
}
