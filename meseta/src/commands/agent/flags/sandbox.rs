//! The flags that say what becomes of sandboxes: how long they are kept, what they may take, where containers listen.

use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "gc_delay",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("1weeks"),
        help: "How long the sandbox of what is over is kept at most; less on a fuller disk.",
    },
    Flag {
        name: "gc_disk_headroom",
        aliases: &[],
        kind: Kind::Text,
        default: Some("0.1"),
        help: "The part of the disk that should stay free: sandboxes are kept for gc_delay * (1 - this - what is used).",
    },
    Flag {
        name: "disk_watch_interval",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("1mins"),
        help: "How often the disk is looked at for that.",
    },
    Flag {
        name: "container_logger",
        aliases: &[],
        kind: Kind::OneOf(&["bounded", "plain"]),
        default: Some("bounded"),
        help: "Whether the sizes of stdout and stderr in sandboxes are bounded.",
    },
    Flag {
        name: "max_stdout_size",
        aliases: &[],
        kind: Kind::Size,
        default: Some("10MB"),
        help: "The size at which the oldest part of stdout goes to stdout.1.",
    },
    Flag {
        name: "max_stderr_size",
        aliases: &[],
        kind: Kind::Size,
        default: Some("10MB"),
        help: "The same of stderr.",
    },
    Flag {
        name: "max_log_files",
        aliases: &[],
        kind: Kind::Number,
        default: Some("1"),
        help: "How many older parts are kept beside each of them; 0: none.",
    },
    Flag {
        name: "container_disk_watch_interval",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("15secs"),
        help: "How often disk/du looks at what sandboxes take.",
    },
    Flag {
        name: "enforce_container_disk_quota",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "End containers whose sandbox takes more than their resource 'disk'.",
    },
    Flag {
        name: "container_ports_watch_interval",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("30secs"),
        help: "How often network/ports looks where containers listen.",
    },
    Flag {
        name: "enforce_container_ports",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "End containers that listen on ports that are not among their resources.",
    },
    Flag {
        name: "container_ports_isolated_range",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The ports that count for that, such as [1000-2000]; default: all that the kernel does not hand out by itself.",
    },
    Flag {
        name: "check_agent_port_range_only",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "Only ports that the agent offers count for that.",
    },
];
