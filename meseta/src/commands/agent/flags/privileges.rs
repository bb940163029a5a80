//! The flags that say what containers share with their agent, and what they may do.

use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "private_tmp",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "Each container has a /tmp and a /var/tmp of its own, in its sandbox (filesystem/linux).",
    },
    Flag {
        name: "effective_capabilities",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "What containers may do that ask for nothing: names as NET_RAW, separated by commas, or JSON (linux/capabilities).",
    },
    Flag {
        name: "bounding_capabilities",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "What no container may do more than (linux/capabilities).",
    },
    Flag {
        name: "disallow_sharing_agent_pid_namespace",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "Refuse containers that ask to see all processes (namespaces/pid).",
    },
    Flag {
        name: "disallow_sharing_agent_ipc_namespace",
        aliases: &[],
        kind: Kind::Switch,
        default: Some("false"),
        help: "Refuse containers that ask for the agent's shared memory (namespaces/ipc).",
    },
    Flag {
        name: "default_container_shm_size",
        aliases: &[],
        kind: Kind::Size,
        default: None,
        help: "The size of a container's own /dev/shm, if it asks for none (namespaces/ipc); default: the kernel's.",
    },
];
