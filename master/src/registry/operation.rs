//! Changes of the registry, as values.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{AgentId, AgentInfo, FrameworkId, FrameworkInfo, Role, UnixTime};

use super::member::{ClusterId, DiskId, Leader, MemberId};
use super::{Drain, Machine, Quota, Window};

/// One change of the registry. Operations are values, so that they can be replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new agent, with the id that the master gave it (`agent.id` is set).
    AdmitAgent {
        /// Who.
        agent: Arc<AgentInfo>,
    },
    /// An admitted agent describes itself otherwise.
    UpdateAgent {
        /// Who, as it describes itself now.
        agent: Arc<AgentInfo>,
    },
    /// An agent that does not answer.
    MarkAgentUnreachable {
        /// Which.
        agent_id: AgentId,
        /// Since when.
        since: UnixTime,
    },
    /// It is back.
    MarkAgentReachable {
        /// Who, as it describes itself now.
        agent: Arc<AgentInfo>,
    },
    /// It has left for good.
    RemoveAgent {
        /// Which.
        agent_id: AgentId,
    },
    /// It is gone by an operator's word: whatever comes under this id is refused.
    MarkAgentGone {
        /// Which.
        agent_id: AgentId,
        /// Since when.
        since: UnixTime,
    },
    /// It gets no offers.
    DeactivateAgent {
        /// Which.
        agent_id: AgentId,
    },
    /// It does again.
    ReactivateAgent {
        /// Which.
        agent_id: AgentId,
    },
    /// It is to be emptied, and gets no offers.
    DrainAgent {
        /// Which.
        agent_id: AgentId,
        /// How.
        drain: Drain,
    },
    /// It is empty.
    MarkAgentDrained {
        /// Which.
        agent_id: AgentId,
    },
    /// Agents that are remembered no longer.
    Prune {
        /// Of the unreachable ones.
        unreachable: Vec<AgentId>,
        /// Of those that are gone.
        gone: Vec<AgentId>,
    },
    /// A framework has subscribed, for the first time or again, or describes itself otherwise.
    SubscribeFramework {
        /// Who; `id` is set.
        framework: Arc<FrameworkInfo>,
        /// When.
        at: UnixTime,
    },
    /// Its scheduler is gone: the failover clock runs.
    DisconnectFramework {
        /// Which.
        framework_id: FrameworkId,
        /// Since when.
        since: UnixTime,
    },
    /// It is over.
    RemoveFramework {
        /// Which.
        framework_id: FrameworkId,
        /// Since when.
        at: UnixTime,
    },
    /// Sets weights of roles, in thousandths; others stay as they are.
    UpdateWeights {
        /// By role.
        weights: BTreeMap<Role, u64>,
    },
    /// Sets quotas of roles; an empty one is taken away, others stay as they are.
    UpdateQuotas {
        /// By role.
        quotas: BTreeMap<Role, Quota>,
    },
    /// Replaces the maintenance schedule.
    UpdateSchedule {
        /// In order of time.
        windows: Vec<Window>,
    },
    /// Machines go down for maintenance.
    StartMaintenance {
        /// Which.
        machines: Vec<Machine>,
    },
    /// They are back; they leave the schedule.
    StopMaintenance {
        /// Which.
        machines: Vec<Machine>,
    },
    /// The cluster gets its identity, once.
    Found {
        /// Chosen at random.
        cluster: ClusterId,
    },
    /// A master leads from here on.
    Lead {
        /// Which.
        leader: Leader,
    },
    /// A master is taken in. Goes with the change of members.
    AddMaster {
        /// Its number.
        id: MemberId,
        /// `host:port`.
        address: String,
    },
    /// A master is let go. Goes with the change of members.
    RemoveMaster {
        /// Which.
        id: MemberId,
    },
    /// A master takes the place of another; both may have the same number. Goes with the change of members.
    ReplaceMaster {
        /// Who goes.
        old: MemberId,
        /// Who comes.
        new: MemberId,
        /// `host:port`.
        address: String,
    },
    /// What was heard of a master.
    IdentifyMaster {
        /// Which.
        id: MemberId,
        /// Its disk.
        disk: DiskId,
        /// The newest operations that it understands.
        version: u32,
    },
}

impl Operation {
    /// The version of the operations that it came with: all members must understand it before it is proposed.
    pub fn version(&self) -> u32 {
        1
    }
}
