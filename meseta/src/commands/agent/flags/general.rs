//! The flags of an agent that say where it is, what it offers, and how it speaks with others.

use super::super::super::ADVERTISE_FLAGS;
use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "master",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The masters, host:port, separated by commas.",
    },
    Flag {
        name: "work_dir",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Where it keeps its sandboxes, and what it must not forget.",
    },
    Flag {
        name: "ip",
        aliases: &[],
        kind: Kind::Text,
        default: Some("0.0.0.0"),
        help: "The address to listen on.",
    },
    Flag {
        name: "port",
        aliases: &[],
        kind: Kind::Port,
        default: Some("5051"),
        help: "The port to listen on; 0: any free one.",
    },
    ADVERTISE_FLAGS[0],
    ADVERTISE_FLAGS[1],
    Flag {
        name: "hostname",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The name that offers carry; default: the host's.",
    },
    Flag {
        name: "resources",
        aliases: &[],
        kind: Kind::Resources,
        default: None,
        help: "What it offers, such as cpus:4;mem:2048; what is not named is probed.",
    },
    Flag {
        name: "attributes",
        aliases: &[],
        kind: Kind::Attributes,
        default: None,
        help: "What tells it from other agents, such as rack:r1;zone:a.",
    },
    Flag {
        name: "default_role",
        aliases: &[],
        kind: Kind::Text,
        default: Some("*"),
        help: "The role of resources that name none.",
    },
    Flag {
        name: "executor_registration_timeout",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("1mins"),
        help: "How long an executor has to register.",
    },
    Flag {
        name: "executor_shutdown_grace_period",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("5secs"),
        help: "How long an executor has to shut down before it is killed.",
    },
    Flag {
        name: "registration_backoff_factor",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("1secs"),
        help: "The first wait between attempts to register; it doubles up to a minute.",
    },
];
