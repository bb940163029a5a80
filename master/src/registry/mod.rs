//! What every replica of the master holds.
//!
//! [`State`] is a value, [`Operation`]s are values, and [`State::apply`] is total and deterministic: replicas that apply the
//! same operations in the same order hold the same bytes ([`codec`]).
//!
//! | what | why it outlives a leader |
//! |---|---|
//! | agents admitted, unreachable, gone, draining | an agent is known, or is not to come back |
//! | frameworks, and since when they are disconnected | a framework keeps its id, and its failover clock goes on |
//! | weights, quotas, the maintenance schedule | an operator has set them |
//! | the masters, the leader | who votes, and where to find whom |

mod apply;
pub mod codec;
mod dump;
mod member;
mod operation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::{AgentId, AgentInfo, FrameworkId, FrameworkInfo, Resources, Role, UnixTime};
use serde::{Deserialize, Serialize};

pub use dump::json;
pub(crate) use dump::{drain_info, machine_id, machine_text, schedule};
pub use member::{ClusterId, DiskId, Leader, Member, MemberId};
pub use operation::Operation;

/// The newest version of the operations, and of what a state holds, that this program understands.
pub const VERSION: u32 = 1;

/// The registry's state: total and deterministic under [`State::apply`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The cluster; absent until its first leader has founded it.
    pub cluster: Option<ClusterId>,
    /// The masters that vote or learn. Which of them do what is raft's to say.
    pub masters: BTreeMap<MemberId, Member>,
    /// Numbers of masters that were let go: they are not given again, unless with another disk.
    pub former_masters: BTreeMap<MemberId, Option<DiskId>>,
    /// The last one that led.
    pub leader: Option<Leader>,
    /// Agents that are admitted.
    pub admitted: BTreeMap<AgentId, Admitted>,
    /// Agents that did not answer. Past [`MAX_UNREACHABLE_AGENTS`](crate::core::limits::MAX_UNREACHABLE_AGENTS) the oldest is
    /// forgotten.
    pub unreachable: BTreeMap<AgentId, Unreachable>,
    /// Agents that are gone by an operator's word, and since when. Past
    /// [`MAX_GONE_AGENTS`](crate::core::limits::MAX_GONE_AGENTS) the oldest is forgotten.
    pub gone: BTreeMap<AgentId, UnixTime>,
    /// Frameworks that have subscribed and are not over.
    pub frameworks: BTreeMap<FrameworkId, Subscribed>,
    /// Frameworks that are over, and since when: their ids can't subscribe again. Past
    /// [`MAX_REMOVED_FRAMEWORKS`](crate::core::limits::MAX_REMOVED_FRAMEWORKS) the oldest is forgotten.
    pub removed_frameworks: BTreeMap<FrameworkId, UnixTime>,
    /// Weights of roles that were set, in thousandths.
    pub weights: BTreeMap<Role, u64>,
    /// Quotas of roles that were set.
    pub quotas: BTreeMap<Role, Quota>,
    /// When which machines are worked on.
    pub maintenance: Vec<Window>,
    /// Machines that are down for it.
    pub machines_down: Vec<Machine>,
}

/// An agent that is admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// As it described itself last.
    pub info: Arc<AgentInfo>,
    /// What an operator wants of it.
    pub wish: Wish,
}

/// An agent that does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreachable {
    /// Since when.
    pub since: UnixTime,
    /// What an operator wants of it, when it is back.
    pub wish: Wish,
}

/// What an operator wants of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// It gets no offers.
    pub deactivated: bool,
    /// It is to be emptied.
    pub drain: Option<Drain>,
}

/// How an agent is emptied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// The longest that its tasks get; absent: what each asks for.
    pub max_grace_period: Option<Duration>,
    /// Whether it counts as gone when it is empty.
    pub mark_gone: bool,
    /// Whether it is empty.
    pub drained: bool,
}

/// A framework that has subscribed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    /// As it described itself last; `id` is set.
    pub info: Arc<FrameworkInfo>,
    /// When it first subscribed.
    pub since: UnixTime,
    /// Since when its scheduler is gone; absent while it is there, as the last leader knew.
    pub disconnected: Option<UnixTime>,
}

/// What a role is guaranteed and at most gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Kept free for it.
    pub guarantees: Resources,
    /// No more than this.
    pub limits: Resources,
}

/// A time at which machines are worked on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Which.
    pub machines: Vec<Machine>,
    /// From when.
    pub start: UnixTime,
    /// For how long; absent: until further notice.
    pub duration: Option<Duration>,
}

/// A machine, by one or both of its names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Machine {
    /// Its host name; empty: any.
    pub hostname: String,
    /// Its address; empty: any.
    pub ip: String,
}
