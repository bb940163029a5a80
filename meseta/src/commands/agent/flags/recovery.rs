//! The flags that say what becomes of executors when the agent goes away and comes back.

use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[Flag {
    name: "recovery_timeout",
    aliases: &[],
    kind: Kind::Duration,
    default: Some("15mins"),
    help: "How long an executor of a framework that checkpoints may stay away after its connection broke.",
}];
