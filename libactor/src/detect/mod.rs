//! Who leads a group of nodes, and how others find out.
//!
//! Each node of the group has an actor that knows who leads. Whoever wants to know sends it [`Watch`] and is answered with
//! [`Leads`], at once and at each change, until it is gone. A watcher watches all nodes of the group that it knows: when one
//! freezes, the others say who took its place.

use serde::{Deserialize, Serialize};

use crate::Pid;

/// Tell me who leads, now and at each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "libactor.detect.Watch")]
pub struct Watch;

/// Who leads, as far as the sender knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "libactor.detect.Leads")]
pub struct Leads {
    /// Grows with each leader: what has a smaller one is older news.
    pub epoch: u64,
    /// The leading actor; `None`: nobody leads in this epoch yet, or any more.
    pub leader: Option<Pid>,
    /// Where else to ask: the nodes of the group, as `host:port`.
    pub members: Vec<String>,
}
