//! Masters, as the registry names them.

use std::fmt;
use std::str::FromStr;

use protocol::{UnixTime, Uuid};
use serde::{Deserialize, Serialize};

/// The number of a master in its cluster: `--id`. Never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text is no number of a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the number of a master: a whole number above zero")]
pub struct ParseMemberIdError;

impl FromStr for MemberId {
    type Err = ParseMemberIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(0) | Err(_) => Err(ParseMemberIdError),
            Ok(number) => Ok(Self(number)),
        }
    }
}

/// Identifies a cluster: chosen by its first leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub Uuid);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identifies the disk of a replica: chosen when its directory is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiskId(pub Uuid);

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A master that votes or learns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// `host:port`.
    pub address: String,
    /// Its disk, once it has been heard of.
    pub disk: Option<DiskId>,
    /// The newest operations that it understands; 0: not heard of yet.
    pub version: u32,
}

/// The master that leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Its number.
    pub id: MemberId,
    /// Raft's term of its lead.
    pub term: u64,
    /// Its master's actor, `master@ip:port`.
    pub pid: String,
    /// For people.
    pub hostname: String,
    /// Of its program.
    pub version: String,
    /// When it began to lead, by its clock.
    pub since: UnixTime,
}
