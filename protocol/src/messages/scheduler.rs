//! Between schedulers and the master.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, ExecutorId, Filters, FrameworkId, FrameworkInfo, KillPolicy, MasterId, Offer, OfferId,
    Operation, Resources, Role, TaskId, TaskStatus, Uuid,
};

/// A call of a scheduler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "meseta.scheduler.Call")]
pub struct SchedulerCall {
    /// Who calls; absent only in the first [`Call::Subscribe`] of a framework.
    pub framework_id: Option<FrameworkId>,
    /// What for.
    pub call: Call,
}

/// What a scheduler can ask of the master. Source: Mesos `scheduler::Call`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Subscribes, or subscribes again with `framework.id` set: the older connection is told so and dropped.
    Subscribe {
        /// Who; replaces what was known, as far as it may change.
        framework: FrameworkInfo,
        /// Replaces the set of suppressed roles.
        suppressed_roles: BTreeSet<Role>,
    },
    /// Ends the framework: its tasks are killed, its id can't subscribe again.
    Teardown,
    /// Uses offers of one agent and one role: what the operations leave is declined with `filters`.
    Accept {
        /// Without duplicates.
        offer_ids: Vec<OfferId>,
        /// In order.
        operations: Vec<Operation>,
        /// For the rest.
        filters: Filters,
    },
    /// Gives offers back.
    Decline {
        /// Unknown ones are ignored.
        offer_ids: Vec<OfferId>,
        /// How long they stay away.
        filters: Filters,
    },
    /// Clears filters and suppression of some roles; empty: of all.
    Revive {
        /// Roles it is subscribed to.
        roles: BTreeSet<Role>,
    },
    /// Stops offers for some roles; empty: for all.
    Suppress {
        /// Roles it is subscribed to.
        roles: BTreeSet<Role>,
    },
    /// Kills a task. Not reliable: repeat until a terminal update comes.
    Kill {
        /// Which.
        task_id: TaskId,
        /// Where, if known.
        agent_id: Option<AgentId>,
        /// In place of the task's own policy.
        kill_policy: Option<KillPolicy>,
    },
    /// Shuts an executor of its own down.
    Shutdown {
        /// Which.
        executor_id: ExecutorId,
        /// Where.
        agent_id: AgentId,
    },
    /// Acknowledges an update that carried a uuid.
    Acknowledge {
        /// The agent of the update.
        agent_id: AgentId,
        /// The task of the update.
        task_id: TaskId,
        /// The uuid of the update.
        uuid: Uuid,
    },
    /// Asks for the state of tasks; empty: of all that the master knows.
    Reconcile {
        /// Which.
        tasks: Vec<ReconcileTask>,
    },
    /// Sends bytes to an executor; at most once.
    Message {
        /// Where.
        agent_id: AgentId,
        /// To whom.
        executor_id: ExecutorId,
        /// What.
        data: Bytes,
    },
    /// Asks for resources; the allocator may ignore it, and the one we have does.
    Request {
        /// What.
        requests: Vec<Request>,
    },
    /// Changes how the framework describes itself, without a new subscription. Offers of roles that it leaves are
    /// rescinded.
    UpdateFramework {
        /// Replaces what was known; identity, user, principal and checkpoint can't change.
        framework: FrameworkInfo,
        /// Replaces the set of suppressed roles.
        suppressed_roles: BTreeSet<Role>,
    },
    /// Answers inverse offers; there are none until there is maintenance.
    AcceptInverseOffers {
        /// Unknown ones are ignored.
        inverse_offer_ids: Vec<OfferId>,
        /// How long they stay away.
        filters: Filters,
    },
    /// As above.
    DeclineInverseOffers {
        /// Unknown ones are ignored.
        inverse_offer_ids: Vec<OfferId>,
        /// How long they stay away.
        filters: Filters,
    },
}

/// A task that a scheduler asks about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileTask {
    /// Which.
    pub task_id: TaskId,
    /// Where it was last known to be.
    pub agent_id: Option<AgentId>,
}

/// A wish for resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// On which agent; absent: any.
    pub agent_id: Option<AgentId>,
    /// What.
    pub resources: Resources,
}

/// Describes a master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterInfo {
    /// One life of a master.
    pub id: MasterId,
    /// Where others reach it, `master@ip:port`.
    pub pid: String,
    /// For people.
    pub hostname: String,
    /// Of the program.
    pub version: String,
}

/// What the master tells a scheduler. Source: Mesos `scheduler::Event`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "meseta.scheduler.Event")]
pub enum Event {
    /// It is subscribed.
    Subscribed {
        /// As assigned, or as it said.
        framework_id: FrameworkId,
        /// By whom.
        master: MasterInfo,
        /// Whether the master knew it already.
        resubscribed: bool,
    },
    /// New offers.
    Offers(Vec<Offer>),
    /// This offer is no more; unused.
    Rescind(OfferId),
    /// A task's state. Acknowledge it if it carries a uuid.
    Update(TaskStatus),
    /// Bytes from an executor.
    Message {
        /// Where.
        agent_id: AgentId,
        /// From whom.
        executor_id: ExecutorId,
        /// What.
        data: Bytes,
    },
    /// An agent is lost (`executor_id` absent) or an executor has ended.
    Failure {
        /// Which agent.
        agent_id: AgentId,
        /// Which executor; absent: the whole agent.
        executor_id: Option<ExecutorId>,
        /// How the executor ended: exit status, or 128 + signal.
        status: Option<i32>,
    },
    /// The subscription is over, or was refused: nothing follows, and subscribing again unchanged won't help.
    Error(String),
    /// The master is there. Every 15 s on streams; the native connection has its own.
    Heartbeat,
}
