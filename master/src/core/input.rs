//! What the master machine is told, and what it asks for.

use libactor::Pid;
use protocol::messages::{AgentCall, AgentEvent, Event, SchedulerCall};

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
    /// Report nothing more of this actor until it is linked again.
    Unlink {
        /// Which.
        pid: Pid,
    },
    /// Put an operation into the registry and report [`Input::Applied`] when it is durable.
    Apply {
        /// What.
        operation: registry::Operation,
    },
}
