//! The flags of the isolators that hold containers to their share by cgroups.

use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "cgroups_enable_cfs",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "CPUs are a limit (CFS quota), not only a share (cgroups/cpu).",
    },
    Flag {
        name: "cgroups_limit_swap",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "What is written to swap space counts as memory (cgroups/mem).",
    },
    Flag {
        name: "cgroups_pids_limit",
        aliases: &[],
        kind: Kind::Number,
        default: Some("4096"),
        help: "How many processes and threads a container may have; 0: any number (cgroups/pids).",
    },
    Flag {
        name: "allowed_devices",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Device files for every container, such as /dev/fuse,/dev/net/tun, beside those that every process needs (cgroups/devices).",
    },
    Flag {
        name: "cgroups_blkio_limits",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "How fast a container may use block devices, a second: '254:0 rbps=1048576 wbps=1048576 riops=100 wiops=100; ...' (cgroups/blkio).",
    },
    Flag {
        name: "cgroups_cpuset_cpus",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The CPUs for containers, such as 2-7,9; default: all (cgroups/cpuset).",
    },
    Flag {
        name: "cgroups_cpuset_pin",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "A container of whole CPUs has them alone, the others share the rest (cgroups/cpuset).",
    },
];
