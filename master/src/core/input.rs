//! What the master machine is told, and what it asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use libactor::Pid;
use protocol::messages::{AgentCall, AgentEvent, Call, Event, SchedulerCall};
use protocol::{AgentId, FrameworkId, FrameworkInfo, OfferId, Role, Task, TaskId, TaskStatus};

use crate::registry;

/// Facts and requests.
#[derive(Clone, Debug)]
pub enum Input {
    /// A scheduler calls.
    Scheduler {
        /// Its actor.
        from: Pid,
        /// What it asks.
        call: SchedulerCall,
    },
    /// An agent calls.
    Agent {
        /// Its actor.
        from: Pid,
        /// What it says.
        call: AgentCall,
    },
    /// A scheduler calls that subscribed over HTTP, and waits for one [`Output::Answer`]. Its subscription itself comes as
    /// [`Input::Scheduler`] from a [stream](Pid::stream).
    Call {
        /// To answer with.
        ask: Ask,
        /// Who it says it is.
        framework_id: FrameworkId,
        /// The stream that it says it holds: `Mesos-Stream-Id`.
        stream_id: Option<String>,
        /// What it asks; not a subscription.
        call: Call,
    },
    /// An operator asks for a change, and waits for one [`Output::Answer`].
    Operator {
        /// To answer with.
        ask: Ask,
        /// What.
        request: OperatorRequest,
    },
    /// A linked actor, its process or its host is gone.
    Exited {
        /// Which.
        pid: Pid,
    },
    /// The registry holds an operation that [`Output::Apply`] asked for; in the order of asking.
    Applied {
        /// As it was asked for.
        operation: registry::Operation,
    },
    /// Somebody wants to see the machine as it is now: a turn ends after this, and with it the edge gets a look.
    Look,
}

/// Imperatives.
#[derive(Clone, Debug)]
pub enum Output {
    /// Tell a scheduler.
    ToScheduler {
        /// Its actor.
        to: Pid,
        /// What.
        event: Event,
    },
    /// Tell an agent.
    ToAgent {
        /// Its actor.
        to: Pid,
        /// What.
        event: AgentEvent,
    },
    /// Report [`Input::Exited`] once when this actor is gone; again after it was reported or unlinked.
    Link {
        /// Which.
        pid: Pid,
    },
    /// Report nothing more of this actor until it is linked again. A [stream](Pid::stream) ends with this, after what it
    /// was told before.
    Unlink {
        /// Which.
        pid: Pid,
    },
    /// Answer an [`Input::Call`] or [`Input::Operator`]: once each, maybe later.
    Answer {
        /// Which.
        ask: Ask,
        /// How it went.
        answer: Answer,
    },
    /// Those who watch may want to know. In the order of what happened.
    Changed(Change),
    /// Put an operation into the registry and report [`Input::Applied`] when it is durable.
    Apply {
        /// What.
        operation: registry::Operation,
    },
    /// This master should lead no longer, since it would do harm: whoever runs it ends its process, so that another one leads.
    GiveUp {
        /// A sentence for people.
        reason: String,
    },
}

/// Which question an answer is for: chosen by the edge, unique among those that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask(pub u64);

/// What an operator asks for that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorRequest {
    /// Ends a framework: its tasks are killed, its id can't subscribe again.
    Teardown {
        /// Which.
        framework_id: FrameworkId,
    },
    /// An agent is gone for good, whatever it says: its tasks are lost, its id is not admitted again.
    MarkAgentGone {
        /// Which.
        agent_id: AgentId,
    },
    /// An agent is emptied: it gets no offers, and its tasks are killed in their own time.
    DrainAgent {
        /// Which.
        agent_id: AgentId,
        /// How; `drained` is false.
        drain: registry::Drain,
    },
    /// An agent gets no offers until it is reactivated, whichever master leads.
    DeactivateAgent {
        /// Which.
        agent_id: AgentId,
    },
    /// It does again.
    ReactivateAgent {
        /// Which.
        agent_id: AgentId,
    },
    /// Replaces the maintenance schedule. Host names are in lower case.
    UpdateSchedule {
        /// In order of time.
        windows: Vec<registry::Window>,
    },
    /// Machines of the schedule go down: their agents are told to end.
    StartMaintenance {
        /// Which; host names are in lower case.
        machines: Vec<registry::Machine>,
    },
    /// They are up again, and leave the schedule.
    StopMaintenance {
        /// Which; host names are in lower case.
        machines: Vec<registry::Machine>,
    },
    /// Sets weights of roles, in thousandths; others stay as they are.
    UpdateWeights {
        /// By role.
        weights: BTreeMap<Role, u64>,
    },
}

/// How a question went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is taken: what comes of it is told by events.
    Accepted,
    /// It is done.
    Done,
    /// It is refused, with a sentence that says why.
    Refused(Refusal, String),
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The question is wrong.
    Invalid,
    /// Not from this asker, or not now.
    Forbidden,
    /// There is no such thing.
    Unknown,
    /// It does not go with what is under way.
    Conflict,
    /// The master can't tell, or can't do it, now.
    Unavailable,
}

/// What has changed, as far as somebody may watch it: nothing that the machine shows changes without one that names it.
/// What is named is looked up at the end of the turn: it may be gone by then, which another change says.
///
/// | change | look again at |
/// |---|---|
/// | of a framework | how it describes itself, its connection, its times, its suppressed roles |
/// | of an agent | all of it, its orphans included |
/// | of a task | the task, wherever its framework keeps it; what is used of its agent |
/// | of an executor | all executors of that framework on that agent; what is used of it |
/// | of an offer | the offer; what is offered of its agent |
///
/// A framework that is removed takes its tasks along, which are named before; so are its executors and offers.
#[derive(Clone, Debug)]
pub enum Change {
    /// A framework is new here: it has subscribed, or an agent runs its tasks.
    FrameworkAdded(FrameworkId),
    /// It has subscribed again, or describes itself otherwise.
    FrameworkUpdated(FrameworkId),
    /// It is disconnected, or suppresses other roles.
    FrameworkState(FrameworkId),
    /// It is removed; it is among the completed ones from now on.
    FrameworkRemoved(FrameworkInfo),
    /// A completed framework is forgotten.
    FrameworkForgotten(FrameworkId),
    /// An agent is registered, or registered again after it was away.
    AgentAdded(AgentId),
    /// It describes itself otherwise, is connected or disconnected, leaves, or what it uses has changed.
    AgentUpdated(AgentId),
    /// It is no longer among the registered ones.
    AgentRemoved(AgentId),
    /// An agent that is not registered is from now on, or no longer, among those that are waited for, unreachable or gone.
    AgentMoved(AgentId),
    /// A task is new here.
    TaskAdded(Arc<Task>),
    /// A task has another state, or was told of with another status.
    TaskUpdated {
        /// As it is now.
        task: Arc<Task>,
        /// The status that says so.
        status: TaskStatus,
    },
    /// A task is kept elsewhere: it counts as ended, as unreachable, as back, or is forgotten. Also: what is known of an
    /// acknowledgement has changed.
    TaskMoved(FrameworkId, TaskId),
    /// An executor of a framework on an agent is new or gone.
    Executor(FrameworkId, AgentId),
    /// An offer is made, answered or rescinded.
    Offer(FrameworkId, AgentId, OfferId),
    /// Weights of roles have changed.
    Weights,
    /// The maintenance schedule has changed, or which machines are down.
    Maintenance,
}
