//! The flags that every daemon has.

use super::super::super::{HTTP_FLAGS, LOG_FLAGS};
use crate::flags::{Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "flags_dir",
        aliases: &[],
        kind: Kind::Text,
        default: None,
        help: "A directory of files, one a flag; default: /etc/mesos-agent and /etc/mesos-slave, if they are there.",
    },
    LOG_FLAGS[0],
    LOG_FLAGS[1],
    LOG_FLAGS[2],
    HTTP_FLAGS[0],
    HTTP_FLAGS[1],
    HTTP_FLAGS[2],
    HTTP_FLAGS[3],
    HTTP_FLAGS[4],
    HTTP_FLAGS[5],
    HTTP_FLAGS[6],
];
