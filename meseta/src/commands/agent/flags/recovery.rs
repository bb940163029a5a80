//! The flags that say what becomes of executors when the agent goes away and comes back.

use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "recover",
        aliases: &[],
        kind: Kind::OneOf(&["reconnect", "cleanup"]),
        default: Some("reconnect"),
        help: "What becomes of executors that an earlier run of the agent has left: reconnect: they go on; cleanup: they are \
               ended and reported, the agent unregisters and ends, and the next start is that of a new agent.",
    },
    Flag {
        name: "strict",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("true"),
        help: "A checkpoint that can't be read whole ends the agent; false: what can't be read is set aside.",
    },
    Flag {
        name: "reconfiguration_policy",
        aliases: &[],
        kind: Kind::OneOf(&["equal", "additive", "compatible"]),
        default: Some("compatible"),
        help: "What may have changed since an earlier run: equal: nothing; additive: resources and attributes may be added; \
               compatible: anything, as long as what runs fits in.",
    },
    Flag {
        name: "recovery_timeout",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("15mins"),
        help: "How long an executor of a framework that checkpoints waits for its agent to come back.",
    },
    Flag {
        name: "executor_reregistration_timeout",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("2secs"),
        help: "How long executors have to come back to an agent that was away.",
    },
];
