//! What the session is told, and what it asks for.

use std::collections::BTreeSet;

use bytes::Bytes;
use libactor::Pid;
use libactor::detect::Leader;
use protocol::messages::{Event, MasterInfo, ReconcileTask, Request, SchedulerCall};
use protocol::{
    AgentId, ExecutorId, Filters, FrameworkId, KillPolicy, Offer, OfferId, Operation, Role, TaskId,
    TaskStatus, Uuid,
};

use crate::Status;

/// Facts and requests.
#[derive(Clone, Debug)]
pub enum Input {
    /// The driver was started.
    Start,
    /// The leading master is known, has changed, or is unknown. Another epoch is another lead, also of the same actor.
    MasterDetected {
        /// Its actor, and the epoch it leads in.
        master: Option<Leader>,
    },
    /// A master speaks.
    Master {
        /// Its actor.
        from: Pid,
        /// What it says.
        event: Event,
    },
    /// A linked actor, its process or its host is gone.
    Exited {
        /// Which.
        pid: Pid,
    },
    /// The framework calls.
    Call(DriverCall),
    /// What [`Output::Send`] asked for could not be queued and is gone.
    NotSent {
        /// What.
        call: Box<SchedulerCall>,
    },
    /// The callback of [`Output::Callback`] has returned.
    CallbackReturned,
    /// The callback has panicked: the scheduler must not be called again.
    CallbackPanicked {
        /// What it said.
        message: String,
    },
    /// The framework has made more calls than may wait; some are gone.
    CallsOverflowed,
}

/// What a framework asks of its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriverCall {
    /// Ends the session.
    Stop {
        /// Whether another scheduler is to take over: if not, the framework is torn down and its tasks are killed.
        failover: bool,
    },
    /// Ends the session without a word to the master: the framework's failover timeout starts.
    Abort,
    /// Asks for resources.
    RequestResources {
        /// What.
        requests: Vec<Request>,
    },
    /// Uses offers.
    Accept {
        /// Of one agent and role.
        offer_ids: Vec<OfferId>,
        /// In order.
        operations: Vec<Operation>,
        /// For the rest.
        filters: Filters,
    },
    /// Gives offers back.
    Decline {
        /// Which.
        offer_ids: Vec<OfferId>,
        /// How long they stay away.
        filters: Filters,
    },
    /// Clears filters and suppression.
    Revive {
        /// Of these roles; empty: of all.
        roles: BTreeSet<Role>,
    },
    /// Stops offers.
    Suppress {
        /// For these roles; empty: for all.
        roles: BTreeSet<Role>,
    },
    /// Kills a task.
    Kill {
        /// Which.
        task_id: TaskId,
        /// In place of the task's own.
        kill_policy: Option<KillPolicy>,
    },
    /// Shuts an executor down.
    ShutdownExecutor {
        /// Which.
        executor_id: ExecutorId,
        /// Where.
        agent_id: AgentId,
    },
    /// Acknowledges an update.
    Acknowledge {
        /// Where from.
        agent_id: AgentId,
        /// Of which task.
        task_id: TaskId,
        /// Which.
        uuid: Uuid,
    },
    /// Sends bytes to an executor.
    Message {
        /// Where.
        agent_id: AgentId,
        /// To whom.
        executor_id: ExecutorId,
        /// What.
        data: Bytes,
    },
    /// Asks for the state of tasks.
    Reconcile {
        /// Which; empty: all.
        tasks: Vec<ReconcileTask>,
    },
}

/// Imperatives.
#[derive(Clone, Debug)]
pub enum Output {
    /// Report [`Input::Exited`] once when this actor is gone.
    Link {
        /// Which.
        pid: Pid,
    },
    /// Report nothing more of this actor.
    Unlink {
        /// Which.
        pid: Pid,
    },
    /// Tell the master; report [`Input::NotSent`] if that can't even be queued.
    Send {
        /// Its actor.
        to: Pid,
        /// What.
        call: SchedulerCall,
    },
    /// Call the scheduler and report [`Input::CallbackReturned`]. There is never more than one at a time.
    Callback(Callback),
    /// The driver has ended: nothing follows.
    Terminate {
        /// How.
        status: Status,
        /// Why, where it was not asked for.
        error: Option<String>,
    },
}

/// One call of a method of the framework's `Scheduler`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    /// Subscribed for the first time in this driver's life.
    Registered {
        /// As assigned.
        framework_id: FrameworkId,
        /// By whom.
        master: MasterInfo,
    },
    /// Subscribed again.
    Reregistered {
        /// By whom.
        master: MasterInfo,
    },
    /// The master is gone; offers are void.
    Disconnected,
    /// New offers.
    Offers(Vec<Offer>),
    /// An offer is no more.
    Rescinded(OfferId),
    /// A task's state.
    Update(TaskStatus),
    /// Bytes from an executor.
    Message {
        /// From whom.
        executor_id: ExecutorId,
        /// Where.
        agent_id: AgentId,
        /// What.
        data: Bytes,
    },
    /// An agent is lost.
    AgentLost(AgentId),
    /// An executor has ended.
    ExecutorLost {
        /// Which.
        executor_id: ExecutorId,
        /// Where.
        agent_id: AgentId,
        /// Exit status, or 128 + signal.
        status: i32,
    },
    /// The session is over.
    Error(String),
}
