//! The flags that say which GPUs an agent takes.

use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "nvidia_gpu_devices",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The GPUs that it offers: numbers, or UUIDs of GPUs and MIG devices, separated by commas; default: all.",
    },
    Flag {
        name: "nvml_library",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "The library of NVIDIA's driver; default: libnvidia-ml.so.1, where the system has it.",
    },
];
