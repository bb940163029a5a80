//! The flags that say how an agent fetches what commands name.

use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "fetcher_cache_dir",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Where fetched files are kept for further tasks; default: fetch below the work directory.",
    },
    Flag {
        name: "fetcher_cache_size",
        aliases: &[],
        kind: Kind::Size,
        default: Some("2GB"),
        help: "How much is kept there.",
    },
    Flag {
        name: "fetcher_stall_timeout",
        aliases: &[],
        kind: Kind::Duration,
        default: Some("1mins"),
        help: "A transfer of which nothing comes for so long has failed.",
    },
    Flag {
        name: "fetcher_max_unpacked_size",
        aliases: &[],
        kind: Kind::Size,
        default: Some("10GB"),
        help: "The most that the URIs of one container may make in its sandbox, unpacked.",
    },
    Flag {
        name: "frameworks_home",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "Where relative paths among the URIs of commands begin.",
    },
];
