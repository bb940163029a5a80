//! Points in time and spans of it.

use std::time::Duration;

use crate::wire::v1;
use crate::{KillPolicy, UnixTime};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A span; none if it is negative.
pub fn duration(info: v1::DurationInfo) -> Option<Duration> {
    u64::try_from(info.nanoseconds).ok().map(Duration::from_nanos)
}

/// A span, at most the 292 years that the wire has room for.
pub fn duration_to_wire(duration: Duration) -> v1::DurationInfo {
    v1::DurationInfo { nanoseconds: i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX) }
}

/// A point in time; none if it lies before 1970.
pub fn time(info: v1::TimeInfo) -> Option<UnixTime> {
    u64::try_from(info.nanoseconds).ok().map(UnixTime)
}

/// A point in time, at most that of the year 2262, which the wire has room for.
pub fn time_to_wire(time: UnixTime) -> v1::TimeInfo {
    v1::TimeInfo { nanoseconds: i64::try_from(time.0).unwrap_or(i64::MAX) }
}

/// A point in time in seconds since 1970; none if it lies before, or is no number. [`UnixTime::as_secs_f64`] gives the same
/// seconds back: whole seconds and their fraction are taken apart before they are scaled.
pub fn seconds(seconds: f64) -> Option<UnixTime> {
    if seconds.is_nan() || seconds < 0.0 {
        return None;
    }
    let whole = seconds.trunc();
    // Both casts saturate.
    let nanos = ((seconds - whole) * NANOS_PER_SECOND as f64).round() as u64;
    Some(UnixTime((whole as u64).saturating_mul(NANOS_PER_SECOND).saturating_add(nanos)))
}

/// How a task is killed; a negative grace period is none at all, and kills at once.
pub fn kill_policy(policy: v1::KillPolicy) -> KillPolicy {
    KillPolicy { grace_period: policy.grace_period.map(|grace| duration(grace).unwrap_or_default()) }
}

/// How a task is killed.
pub fn kill_policy_to_wire(policy: KillPolicy) -> v1::KillPolicy {
    v1::KillPolicy { grace_period: policy.grace_period.map(duration_to_wire) }
}
