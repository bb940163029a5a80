//! The flags that say how containers are kept together and held to what they asked for.

use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "launcher",
        aliases: &[],
        kind: Kind::OneOf(&["auto", "linux", "posix"]),
        default: Some("auto"),
        help: "How process trees are kept together: linux by cgroup v2 (needs root), posix by subreaper; auto: the first that works.",
    },
    Flag {
        name: "cgroups_root",
        aliases: &[],
        kind: Kind::Text,
        default: Some("meseta"),
        help: "The cgroup below which those of containers are made.",
    },
    Flag {
        name: "isolation",
        aliases: &[],
        kind: Kind::Text,
        default: Some("auto"),
        help: "What containers are held to, names separated by commas; auto: what this machine allows.",
    },
    Flag {
        name: "runtime_dir",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Where it keeps what dies with the machine; default: run below the work directory.",
    },
    Flag {
        name: "switch_user",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("true"),
        help: "Run tasks as the user that they name (needs root).",
    },
    Flag {
        name: "executor_environment_variables",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Environment variables of every executor and its tasks: NAME=VALUE joined by commas, or a JSON object.",
    },
];
