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
        name: "switch_user",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("true"),
        help: "Run tasks as the user that they name (needs root).",
    },
];
