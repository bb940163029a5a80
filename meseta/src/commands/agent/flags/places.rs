//! Where flags are looked for besides.

use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[Flag {
    name: "flags_dir",
    aliases: &[],
    kind: Kind::Text,
    default: None,
    help: "A directory of files, one a flag; default: /etc/mesos-agent and /etc/mesos-slave, if they are there.",
}];
